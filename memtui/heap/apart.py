"""Processes of their own for what needs numpy: its memory is never memtui's, and a slow one holds nothing up."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO

from memtui import paths

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""numpy would set aside memory for threads that are not used."""


def start_apart(
    module: str, *arguments: str, stdin: int = subprocess.DEVNULL, stderr: int | IO[bytes] = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """Run ``main()`` of a module of memtui in a Python of its own, which no signal of the terminal reaches."""
    path = [str(paths.PACKAGE.parent), *(entry for entry in sys.path if entry)]
    code = f"import sys; sys.path[:] = {path!r}; from {module} import main; main()"
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code, *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, **_ONE_THREAD},
        start_new_session=True,
    )
