"""Programs with the agent in them, for every test that talks to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from agent_driver import Host, StartHost
from interpreters import Interpreter, current


@pytest.fixture
def new_host() -> Iterator[StartHost]:
    """Starts hosts and ends them after the test."""
    hosts: list[Host] = []

    def start(interpreter: Interpreter, *options: str) -> Host:
        hosts.append(Host(interpreter, *options))
        return hosts[-1]

    yield start
    for one in hosts:
        one.close()


@pytest.fixture
def host(interpreter: Interpreter, new_host: StartHost) -> Host:
    """A host on each interpreter in turn."""
    return new_host(interpreter)


@pytest.fixture
def own_host(new_host: StartHost) -> Host:
    """A host on the interpreter that runs the tests."""
    return new_host(current())
