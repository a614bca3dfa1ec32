"""The first lines in the target, the parts that can be seen from within: how the channel is made."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from collections.abc import Iterator

import pytest

from memtui.agent import bootstrap, core
from memtui.agent.grip import Grip
from memtui.channel.fetch import announced

TOKEN = "0123456789ab"


@pytest.fixture
def no_socket_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Any import of it fails, as reading its file would give the GIL away."""
    assert ctypes
    monkeypatch.setitem(sys.modules, "_socket", None)
    yield
    monkeypatch.undo()


def opened(waited_seconds: float) -> bootstrap.Channel:
    return bootstrap._open_channel(TOKEN, bootstrap.Arrival(False, Grip(), waited_seconds))


@pytest.mark.usefixtures("no_socket_module")
def test_where_c_code_keeps_the_gil_the_channel_is_made_without_giving_it_away() -> None:
    channel = opened(3.0)
    try:
        number = announced(os.getpid(), TOKEN)
        assert number is not None
        os.write(number, b"from the viewer")
        assert os.read(channel.file, 99) == b"from the viewer"
        with pytest.raises(BlockingIOError):  # after a turn, and not never
            os.read(channel.file, 99)
    finally:
        channel.close()
    assert announced(os.getpid(), TOKEN) is None


@pytest.mark.usefixtures("no_socket_module")
def test_elsewhere_it_is_made_as_usual() -> None:
    with pytest.raises(ImportError):
        opened(0.0)


@pytest.mark.parametrize("module", [None, object()], ids=["forbidden", "half imported"])
def test_without_ctypes_it_is_made_as_usual(module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", module)
    assert bootstrap.keeping("socketpair") == ()
    opened(3.0).close()


def test_a_read_of_the_channel_waits_as_long_as_the_agent_thinks() -> None:
    assert struct.unpack("qq", bootstrap.TURN) == (0, 1000 * core._LINGER_MILLISECONDS)
    assert socket.SO_RCVTIMEO == 20
