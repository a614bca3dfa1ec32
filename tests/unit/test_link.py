"""memtui's end of the channel, against a target that sends what it likes."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator

import pytest

from memtui.channel.link import AgentLink
from memtui.errors import ChannelError
from memtui.protocol import HEADER, encode


@pytest.fixture
def pair() -> Iterator[tuple[AgentLink, socket.socket]]:
    mine, other = socket.socketpair()
    link = AgentLink(mine)
    with other:
        yield link, other
        link.close()


def flood(other: socket.socket, piece: bytes) -> None:
    try:
        while True:
            other.sendall(piece)
    except OSError:
        pass


LARGE = encode({"t": "sample", "text": "x" * 1_000_000})
PIECES = [encode({}) * 1000, encode({"t": "sample"}) * 1000, LARGE]


@pytest.mark.parametrize("piece", PIECES, ids=["empty", "small", "large"])
def test_waiting_for_a_reply_ends_when_too_much_else_comes(
    pair: tuple[AgentLink, socket.socket], piece: bytes
) -> None:
    link, other = pair
    sender = threading.Thread(target=flood, args=(other, piece))
    sender.start()
    with pytest.raises(ChannelError, match="more than it was asked for"):
        link.wait_for(("reply",), 60.0)
    link.close()
    sender.join()


def test_one_look_takes_in_no_more_than_a_bounded_amount(pair: tuple[AgentLink, socket.socket]) -> None:
    link, other = pair
    sender = threading.Thread(target=flood, args=(other, encode({}) * 1000))
    sender.start()
    assert select.select([link], [], [], 30.0)[0], "the flood has not begun"
    assert 0 < len(list(link.receive())) < 250_000
    link.close()
    sender.join()


def test_frames_that_were_not_waited_for_are_kept(pair: tuple[AgentLink, socket.socket]) -> None:
    link, other = pair
    other.sendall(encode({"t": "sample", "n": 1}) + encode({"t": "reply"}) + encode({"t": "sample", "n": 2}))
    assert link.wait_for(("reply",), 10.0) == {"t": "reply"}
    assert [frame["n"] for frame in link.receive()] == [1, 2]


def test_what_came_before_the_end_is_still_given_out(pair: tuple[AgentLink, socket.socket]) -> None:
    link, other = pair
    other.sendall(encode({"t": "reply"}))
    other.close()
    frames = link.receive()
    assert next(frames) == {"t": "reply"}
    with pytest.raises(ChannelError, match="cut"):
        next(frames)


@pytest.mark.parametrize("data", [b"\xff" * 4, HEADER.pack(2) + b"[]", HEADER.pack(1) + b"{"])
def test_what_is_no_frame_ends_the_conversation(pair: tuple[AgentLink, socket.socket], data: bytes) -> None:
    link, other = pair
    other.sendall(data)
    with pytest.raises(ChannelError, match="no frame"):
        link.wait_for(("reply",), 10.0)
