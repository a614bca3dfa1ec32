"""The wire: memtui's frames and the agent's own copy of them, run against each other."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui import protocol
from memtui.agent import wire
from memtui.protocol import Decoder, FrameError, encode

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
frames = st.dictionaries(st.text(max_size=10), values, max_size=6)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """``data`` in pieces, as a stream may deliver it."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def taken_by_agent(pieces: list[bytes]) -> list[dict[str, Any]]:
    inbox, found = bytearray(), []
    for piece in pieces:
        inbox += piece
        while (frame := wire.take_frame(inbox)) is not None:
            found.append(frame)
    assert not inbox
    return found


def test_both_ends_agree_on_the_numbers() -> None:
    assert wire.VERSION == protocol.VERSION
    assert protocol.HEADER.size == wire.HEADER_BYTES
    assert wire.MAX_IN_BYTES == protocol.MAX_FRAME_TO_AGENT_BYTES
    assert wire.MAX_OUT_BYTES == protocol.MAX_FRAME_FROM_AGENT_BYTES


@given(st.lists(frames, max_size=4), st.lists(st.integers(0, 10_000), max_size=6))
def test_frames_arrive_at_the_agent_however_they_are_cut(sent: list[dict[str, Any]], places: list[int]) -> None:
    assert taken_by_agent(cut(b"".join(map(encode, sent)), places)) == sent


@given(st.lists(frames, max_size=4), st.lists(st.integers(0, 10_000), max_size=6))
def test_frames_arrive_at_memtui_however_they_are_cut(sent: list[dict[str, Any]], places: list[int]) -> None:
    decoder = Decoder()
    pieces = cut(b"".join(map(wire.encode, sent)), places)
    assert [frame for piece in pieces for frame in decoder.feed(piece)] == sent


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_an_error(data: bytes) -> None:
    decoder, inbox = Decoder(), bytearray(data)
    try:
        assert all(isinstance(frame, dict) for frame in decoder.feed(data))
    except FrameError:
        pass
    try:
        while wire.take_frame(inbox) is not None:
            pass
    except wire.WireError:
        pass


@given(st.binary(max_size=60))
def test_any_body_is_a_frame_or_an_error(body: bytes) -> None:
    data = len(body).to_bytes(4, "big") + body
    try:
        agents = wire.take_frame(bytearray(data))
    except wire.WireError:
        agents = None
    try:
        (memtuis,) = Decoder().feed(data)
    except FrameError:
        memtuis = None
    # memtui's end also takes other encodings of Unicode; whatever the agent takes, both take alike.
    assert agents in (None, memtuis)


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b"{", b"\xff", b"", b"[" * 100_000])
def test_what_is_no_object_is_refused_by_both(body: bytes) -> None:
    data = len(body).to_bytes(4, "big") + body
    with pytest.raises(FrameError):
        list(Decoder().feed(data))
    with pytest.raises(wire.WireError):
        wire.take_frame(bytearray(data))


def test_a_length_above_the_limit_is_refused_before_the_body_arrives() -> None:
    with pytest.raises(FrameError, match="1001 bytes"):
        list(Decoder(limit_bytes=1000).feed((1001).to_bytes(4, "big")))
    with pytest.raises(wire.WireError):
        wire.take_frame(bytearray((wire.MAX_IN_BYTES + 1).to_bytes(4, "big")))


def test_frames_above_the_limit_are_not_sent() -> None:
    with pytest.raises(FrameError, match="at most 10"):
        encode({"text": "0123456789"}, limit_bytes=10)
    with pytest.raises(wire.TooLarge):
        wire.encode({"text": "x" * wire.MAX_OUT_BYTES})


def test_numbers_of_absurd_length_are_refused_by_the_agent() -> None:
    with pytest.raises(wire.WireError):
        wire.take_frame(bytearray(encode({"id": 10**30})))


@pytest.mark.parametrize("rows", [0, 1, wire.SLICE - 1, wire.SLICE, wire.SLICE + 1, 3 * wire.SLICE + 7])
def test_long_lists_are_the_same_as_short_ones(rows: int) -> None:
    frame = {"before": 1, "groups": [[number, "ü"] for number in range(rows)], "after": None}
    assert list(Decoder().feed(wire.encode(frame))) == [frame]


@pytest.fixture
def pair() -> Any:
    mine, other = socket.socketpair()
    viewer = wire.Viewer(other.detach())
    with mine:
        yield viewer, mine
    viewer.close()


def test_a_viewer_is_never_waited_for(pair: tuple[wire.Viewer, socket.socket]) -> None:
    viewer, mine = pair
    assert viewer.receive() is None
    viewer.send(b"x" * 4_000_000)
    assert viewer.pending
    assert not viewer.wants_to_read()
    viewer.send(b"sample", droppable=True)
    received = 0
    mine.settimeout(10)
    while viewer.pending:
        received += len(mine.recv(1 << 20))
        viewer.flush()
    mine.shutdown(socket.SHUT_WR)
    mine.setblocking(False)
    while True:
        try:
            received += len(mine.recv(1 << 20))
        except BlockingIOError:
            break
    assert received == 4_000_000
    with pytest.raises(wire.WireError, match="closed"):
        viewer.receive()


def test_a_viewer_that_is_gone_is_noticed_when_sending(pair: tuple[wire.Viewer, socket.socket]) -> None:
    viewer, mine = pair
    mine.close()
    with pytest.raises(wire.WireError, match="cut"):
        viewer.send(b"x")


def test_a_stuck_viewer_is_noticed(pair: tuple[wire.Viewer, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    viewer, _ = pair
    viewer.send(b"x" * 4_000_000)
    viewer.flush()
    monkeypatch.setattr(wire, "STUCK_SECONDS", -1.0)
    with pytest.raises(wire.WireError, match="stuck"):
        viewer.flush()


def test_requests_wait_for_the_reply_before_them(pair: tuple[wire.Viewer, socket.socket]) -> None:
    viewer, mine = pair
    mine.sendall(encode({"id": 1}) + encode({"id": 2}))
    viewer.receive()
    assert viewer.next_request(0.0) == {"id": 1}
    viewer.send(b"x" * 4_000_000)
    assert viewer.next_request(0.0) is None
    mine.settimeout(10)
    while viewer.pending:
        mine.recv(1 << 20)
        viewer.flush()
    assert viewer.next_request(0.0) == {"id": 2}


def test_the_rate_of_requests_is_bounded(pair: tuple[wire.Viewer, socket.socket]) -> None:
    viewer, mine = pair
    most = wire.REQUESTS_PER_SECOND
    mine.sendall(encode({"do": "ping"}) * (most + 5))
    viewer.receive()
    assert sum(viewer.next_request(100.0) is not None for _ in range(most + 5)) == most
    assert not viewer.wants_to_read()
    assert viewer.resumes_at() == 101.0
    assert sum(viewer.next_request(101.0) is not None for _ in range(most + 5)) == 5


def test_closing_twice_closes_once(pair: tuple[wire.Viewer, socket.socket]) -> None:
    viewer, mine = pair
    viewer.close()
    reader, writer = os.pipe()
    viewer.close()
    os.close(reader)
    os.close(writer)
    assert mine.recv(1) == b""
