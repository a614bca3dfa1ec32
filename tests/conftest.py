"""What every kind of test may use."""

from __future__ import annotations

import pytest
from interpreters import Interpreter, interpreters, missing

_ABSENT = pytest.mark.skip(reason="no such interpreter on this machine")


@pytest.fixture(params=[*interpreters(), *(pytest.param(one, marks=_ABSENT) for one in missing())], ids=str)
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    """Each interpreter of this machine in turn; the missing minor versions are skipped visibly."""
    return request.param
