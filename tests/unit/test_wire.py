"""What the target sends is not trusted: every frame of another shape is a ChannelError and nothing else."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtui.attach.inject import Attached
from memtui.channel.link import AgentLink
from memtui.errors import ChannelError
from memtui.model.allocation import Allocation, Frame, GroupBy, Tracing, TypeCount
from memtui.protocol import HEADER, VERSION, encode
from memtui.session import wire
from memtui.session.conversation import Conversation
from memtui.session.messages import Message
from memtui.session.slowdown import Slowdown

TRACING = {"on": True, "frames": 2, "traced": 10, "peak": 20, "overhead": 30, "found_on": False}
SAMPLE = {
    "t": "sample",
    "pauses": {"count": 2, "total": 0.5, "max": 0.3, "last": 0.2, "last_generation": 1},
    "tracing": TRACING,
    "cost": {"cpu": 0.1, "longest_pause": 0.01, "longest_what": None, "bytes": 5},
}
ALLOCATIONS = {
    "by": "line", "files": ["a.py", "b.py"], "groups": [[30, 3, [[1, 7], [0, 2]]]], "total_bytes": 30,
    "total_count": 3, "group_count": 1, "seconds": 0.1,
}  # fmt: skip
TYPES = {"types": [["dict", 5]], "objects": 5, "type_count": 1, "seconds": 0.1, "pause": 0.01}
COLLECTED = {
    "collected": 5,
    "uncollectable": 1,
    "blocks_freed": 9,
    "traced_freed": None,
    "seconds": 0.1,
    "garbage": 0,
}
STARTED = {"started": True, "frames": 1, "found_on": False}
STOPPED = {"stopped": True, "left_on": False, "why": ""}
HELLO = {"t": "hello", "version": VERSION, "pid": 1, "viewers": 1, "thread": 1, "tracing": TRACING}

strange = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything inside ``value``."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inside for place in places(one, (*path, key)))]


@st.composite
def misshapen(draw: st.DrawFn, good: dict[str, Any]) -> dict[str, Any]:
    """``good`` with one thing in it removed or replaced by something strange."""
    frame = json.loads(json.dumps(good))
    path = draw(st.sampled_from(places(frame)[1:]))
    holder = frame
    for key in path[:-1]:
        holder = holder[key]
    if draw(st.booleans()):
        del holder[path[-1]]
    else:
        holder[path[-1]] = draw(strange)
    return frame


def check(read: Callable[[], object]) -> None:
    """It either can be read, or is a ChannelError."""
    try:
        read()
    except ChannelError as error:
        assert "misshapen" in str(error)  # noqa: PT017 - most frames are readable


def test_good_frames() -> None:
    seen = wire.allocations(ALLOCATIONS, 1.0)
    assert seen.rows == (Allocation((Frame("b.py", 7), Frame("a.py", 2)), 30, 3),)
    assert (seen.by, seen.total_bytes, seen.groups, seen.took_seconds) == (GroupBy.LINE, 30, 1, 0.1)
    assert wire.type_counts(TYPES) == ((TypeCount("dict", 5),), 5)
    tracing = wire.tracing(TRACING, 3.0, 12.5)
    assert tracing == Tracing(True, 2, 3.0, False, 10, 20, 30, 12.5)
    report = wire.agent_report(SAMPLE, tracing)
    assert (report.pauses.count, report.pauses.last_generation, report.held_bytes) == (2, 1, 5)


def test_tracing_that_is_off_has_no_figures() -> None:
    raw = {"on": False, "frames": 1, "traced": None, "peak": None, "overhead": None, "found_on": False}
    assert wire.tracing(raw, 3.0, 12.5) == Tracing(False, 1, None, False)


@given(misshapen(SAMPLE))
def test_samples(frame: dict[str, Any]) -> None:
    check(lambda: wire.agent_report(frame, Tracing()))
    check(lambda: wire.tracing(frame.get("tracing"), None, None))


@given(misshapen(ALLOCATIONS))
def test_allocations(frame: dict[str, Any]) -> None:
    def read() -> None:
        assert all(row.place for row in wire.allocations(frame, 0.0).rows)

    check(read)


@given(misshapen(TYPES))
def test_types(frame: dict[str, Any]) -> None:
    check(lambda: wire.type_counts(frame))


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400, "x", None, [], {}])
def test_numbers_that_are_none(value: Any) -> None:
    with pytest.raises(ChannelError, match="misshapen"):
        wire.agent_report({**SAMPLE, "cost": {"cpu": value, "longest_pause": 0.0}}, Tracing())


class Talk:
    """A conversation whose agent is the test."""

    def __init__(self) -> None:
        mine, self.agent = socket.socketpair()
        self.messages: list[Message] = []
        link = AgentLink(mine)
        self.conversation = Conversation(
            Attached(1, link, HELLO, "test", 0.0), 1.0, self.messages.append, lambda: 5.0, Slowdown()
        )

    def close(self) -> None:
        self.conversation.link.close()
        self.agent.close()


REQUESTS: dict[str, tuple[Callable[[Conversation], None], dict[str, Any]]] = {
    "collect": (lambda one: one.collect(lambda: 1000), COLLECTED),
    "start": (lambda one: one.start_tracing(1), STARTED),
    "stop": (lambda one: one.stop_tracing(), STOPPED),
    "snapshot": (lambda one: one.snapshot(1000), TYPES),
    "table": (lambda one: one.tick(), ALLOCATIONS),
}


def last_id(talk: Talk) -> int:
    data, found = talk.agent.recv(1 << 16), 0
    while data:
        (size,) = HEADER.unpack_from(data)
        found = json.loads(data[4 : 4 + size])["id"]
        data = data[4 + size :]
    return found


@pytest.mark.parametrize("name", REQUESTS)
@settings(max_examples=60)
@given(data=st.data())
def test_replies_in_a_conversation(name: str, data: st.DataObject) -> None:
    request, good = REQUESTS[name]
    talk = Talk()
    try:
        talk.conversation.receive()
        request(talk.conversation)
        reply = {"t": "reply", "id": last_id(talk), "ok": True, **good}
        talk.agent.sendall(encode(data.draw(misshapen(reply))))
        try:
            talk.conversation.receive()
        except ChannelError:
            pass
    finally:
        talk.close()


@given(st.binary(max_size=60))
def test_bytes_that_are_no_frames(noise: bytes) -> None:
    talk = Talk()
    try:
        talk.agent.sendall(noise)
        talk.agent.shutdown(socket.SHUT_WR)
        with pytest.raises(ChannelError):
            talk.conversation.receive()
    finally:
        talk.close()


@pytest.mark.parametrize("tracing", [None, [], {}, {"on": True, "frames": "x"}, 5])
def test_a_misshapen_hello(tracing: Any) -> None:
    mine, agent = socket.socketpair()
    with mine, agent, pytest.raises(ChannelError, match="misshapen"):
        Conversation(
            Attached(1, AgentLink(mine), {"tracing": tracing}, "test", 0.0),
            1.0,
            lambda _: None,
            lambda: 0.0,
            Slowdown(),
        )
