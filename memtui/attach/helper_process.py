"""The helper process as memtui sees it: started early, given one plan, asked for one answer."""

from __future__ import annotations

import marshal
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from memtui import paths
from memtui.errors import RefusedError

_PYTHON = getattr(sys, "_base_executable", None) or sys.executable
"""Without the detour by a virtual environment, of which it needs nothing: it is waited for."""
_ANSWER_SECONDS = 40.0
_END_SECONDS = 5.0
_READ_BYTES = 65536


class HelperProcess:
    """One helper that starts up while its plan is made. Close it: without a plan it ends, having touched nothing.

    ``module`` has the ``main`` that reads the plan and prints the answer.

    It must not be killed half-way, so it is only ever waited for.
    """

    def __init__(self, module: str = "memtui.attach.helper") -> None:
        root = str(paths.PACKAGE.parent)
        code = f"import sys; sys.path.insert(0, {root!r}); from {module} import main; main()"
        self.process = subprocess.Popen(
            [_PYTHON, "-I", "-S", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )

    def run(self, plan: dict[str, Any]) -> dict[str, Any]:
        """Have it make the attempt that ``plan`` describes. Returns its answer; raises RefusedError without one."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            with self.process.stdin as pipe:
                left = memoryview(marshal.dumps(plan))
                while left:
                    left = left[pipe.write(left) :]
        except BrokenPipeError:
            pass  # what it says below tells why
        try:
            answer = marshal.loads(_read(self.process.stdout.fileno()))
        except (EOFError, ValueError, TypeError) as error:
            raise self._failed() from error
        assert isinstance(answer, dict)
        return answer

    def close(self) -> None:
        """Let it end, if it has not; one that hangs is left alone, because it may hold a thread."""
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_END_SECONDS)

    def _failed(self) -> RefusedError:
        assert self.process.stderr is not None
        last = _read(self.process.stderr.fileno()).decode(errors="replace").strip().splitlines()[-1:]
        why = f"{(last or ['no message'])[0]}."
        return RefusedError("The attach helper failed; the process was given back.", why=why)


def _read(pipe: int) -> bytes:
    """Everything up to the end. Raises RefusedError when it does not come."""
    end = time.monotonic() + _ANSWER_SECONDS
    data = b""
    while select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
        piece = os.read(pipe, _READ_BYTES)
        if not piece:
            return data
        data += piece
    raise RefusedError("The attach helper does not come back.", why="A thread of the process hangs.")
