"""An example of a clean-up suite: what a service opens is gone when it was closed. Copy it for your own resources."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import Any

import pytest


class Client:
    """A client of a service: it listens to the service's news until it is closed."""

    listeners: list[Any] = []

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.news: list[str] = []
        Client.listeners.append(self.news.append)
        Client.listeners.append(self.close)

    def close(self) -> None:
        self.near.close()
        self.far.close()
        Client.listeners.clear()


def test_a_closed_client_is_collected(assert_collected: Any) -> None:
    client = Client()
    client.close()
    assert_collected(client)


def test_a_client_that_was_not_closed_is_named(assert_collected: Any) -> None:
    client = Client()
    try:
        with pytest.raises(AssertionError, match=r"Client\.listeners\[1\]\.__self__"):
            assert_collected(client)
    finally:
        client.close()


@pytest.mark.memtui(max_growth="200kB", iterations=40, warmup=5)
def test_connections_do_not_pile_up() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.sendall(b"x" * 1000)
        assert far.recv(1000, socket.MSG_WAITALL)


@pytest.mark.memtui(max_growth="200kB", iterations=40, warmup=5)
async def test_cancelled_tasks_do_not_pile_up() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_finished_task_is_collected(assert_collected: Any) -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    check = assert_collected(task)
    await task
    del task
    check()


def test_a_subprocess_leaves_no_objects(object_growth: Any) -> None:
    command = [sys.executable, "-S", "-c", "pass"]
    subprocess.run(command, check=True)  # what it imports at first stays
    with object_growth({subprocess.Popen: 0, "TextIOWrapper": 0, "BufferedReader": 0}):
        for _ in range(3):
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.communicate(timeout=30)[0] == ""
        del process
