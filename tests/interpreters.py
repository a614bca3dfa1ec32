"""The CPython interpreters of this machine that memtui claims to work with, found on PATH and through pyenv."""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST, NEWEST = (3, 8), (3, 13)
SYSTEM = Path("/usr/bin/python3")
_NAME = re.compile(r"python3(\.\d+)?")
_ASK = "import platform; print(platform.python_implementation(), platform.python_version())"


@dataclass(frozen=True)
class Interpreter:
    """One executable. ``version`` is that of the interpreter: ``(3, 11, 7)``."""

    path: str
    version: tuple[int, int, int]

    @property
    def minor(self) -> tuple[int, int]:
        """``(3, 11)``."""
        return self.version[:2]

    def __str__(self) -> str:
        where = "-system" if Path(self.path) == SYSTEM else ""
        return ".".join(map(str, self.version)) + where


@functools.cache
def interpreters() -> tuple[Interpreter, ...]:
    """One CPython 3.8 to 3.13 for each minor version (the newest patch), oldest first; then the system's python3."""
    by_minor: dict[tuple[int, int], Interpreter] = {}
    for path in _candidates():
        one = ask(str(path))
        if (
            one
            and OLDEST <= one.minor <= NEWEST
            and (one.minor not in by_minor or by_minor[one.minor].version < one.version)
        ):
            by_minor[one.minor] = one
    system = ask(str(SYSTEM)) if SYSTEM.exists() else None
    found = [by_minor[minor] for minor in sorted(by_minor)]
    if system and OLDEST <= system.minor <= NEWEST and system not in found:
        found.append(system)
    return tuple(found)


def missing() -> list[str]:
    """The minor versions, as ``"3.9"``, for which this machine has no interpreter."""
    have = {one.minor for one in interpreters()}
    return [f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1) if (3, minor) not in have]


def current() -> Interpreter:
    """The interpreter that runs the tests."""
    return Interpreter(sys.executable, sys.version_info[:3])


@functools.cache
def ask(path: str) -> Interpreter | None:
    """The interpreter at ``path``; None when it is not CPython or does not start."""
    try:
        done = subprocess.run([path, "-I", "-S", "-c", _ASK], capture_output=True, text=True, timeout=20, check=False)
        implementation, version = done.stdout.split()
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if implementation != "CPython" or numbers is None:
        return None
    return Interpreter(path, (int(numbers[1]), int(numbers[2]), int(numbers[3])))


def _candidates() -> Iterator[Path]:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob("versions/3.*/bin/python"))
    if platform.python_implementation() == "CPython":
        yield Path(getattr(sys, "_base_executable", sys.executable))
    for folder in os.get_exec_path():
        # pyenv's shims are shell scripts that may pick any version: the real ones were listed above.
        if "shims" not in Path(folder).parts and Path(folder).is_dir():
            yield from sorted(one for one in Path(folder).iterdir() if _NAME.fullmatch(one.name) and one != SYSTEM)
