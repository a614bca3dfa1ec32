"""What every kind of test may use."""

from __future__ import annotations

import pytest
from interpreters import Interpreter, interpreters, missing

from memtui.testing import plugin


def pytest_configure(config: pytest.Config) -> None:
    """memtui's own plugin, where memtui was installed before it had one or is not installed at all."""
    if not config.pluginmanager.is_registered(plugin):
        config.pluginmanager.register(plugin)


_ABSENT = pytest.mark.skip(reason="no such interpreter on this machine")


@pytest.fixture(params=[*interpreters(), *(pytest.param(one, marks=_ABSENT) for one in missing())], ids=str)
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    """Each interpreter of this machine in turn; the missing minor versions are skipped visibly."""
    return request.param
