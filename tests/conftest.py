"""What every kind of test may use."""

from __future__ import annotations

import resource

import pytest
from interpreters import Interpreter, interpreters, missing

from memtui.testing import plugin

_MOST_BYTES = 6 << 30
"""Of memory for the tests and for each process they start: what grows without end ends before the machine does."""


def pytest_configure(config: pytest.Config) -> None:
    """A bound for memory; and memtui's own plugin, where memtui was installed before it had one or is not at all."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES if hard < 0 else min(_MOST_BYTES, hard), hard))
    if not config.pluginmanager.is_registered(plugin):
        config.pluginmanager.register(plugin)


_ABSENT = pytest.mark.skip(reason="no such interpreter on this machine")


@pytest.fixture(params=[*interpreters(), *(pytest.param(one, marks=_ABSENT) for one in missing())], ids=str)
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    """Each interpreter of this machine in turn; the missing minor versions are skipped visibly."""
    return request.param
