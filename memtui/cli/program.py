"""What ``memtui run`` is asked to start: cut out of the command line, checked, and turned into an argv."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from memtui.errors import TargetError, UsageError

DEMO = Path(__file__).resolve().parent.parent / "demo" / "leaky_shop.py"

_FIND_MODULE = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
_FIND_SECONDS = 20


class Kind(Enum):
    """How a program is named."""

    NONE = "nothing"
    SCRIPT = "script"
    MODULE = "module"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Program:
    """What follows memtui's own options. ``words``: the script or module or command, and its arguments."""

    kind: Kind
    words: tuple[str, ...] = ()


def split(
    arguments: Sequence[str], with_value: Sequence[str], with_number: Sequence[str]
) -> tuple[list[str], Program]:
    """Cut ``arguments`` into memtui's options and the program; what follows its name is the program's, untouched.

    ``with_value``: options that take the next word; ``with_number``: those that take it only when it is a number.
    Raises UsageError for ``-m`` or ``--`` with nothing behind it.
    """
    index = 0
    while index < len(arguments):
        word, rest = arguments[index], tuple(arguments[index + 1 :])
        following = rest[0] if rest else ""
        if word == "--":
            return list(arguments[:index]), _named(Kind.COMMAND, rest, "--", "-- COMMAND")
        if word == "-m":
            return list(arguments[:index]), _named(Kind.MODULE, rest, "-m", "-m MODULE")
        if word.startswith("-m") and not word.startswith("--"):
            return list(arguments[:index]), Program(Kind.MODULE, (word[2:], *rest))
        if not word.startswith("-") or word == "-":
            return list(arguments[:index]), Program(Kind.SCRIPT, (word, *rest))
        index += 1
        if word in with_value or (word in with_number and following.isdigit()):
            index += 1
    return list(arguments), Program(Kind.NONE)


def command_line(program: Program, python: str | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The argv that starts ``program`` as if memtui were not there. Raises TargetError when it cannot be started.

    ``python``: the interpreter the user chose; None for the one that runs memtui.
    """
    if program.kind is Kind.COMMAND:
        if shutil.which(program.words[0]) is None:
            raise TargetError(
                f"{program.words[0]} cannot be started.",
                why="It is neither the path of an executable file nor a program on PATH.",
                next_step="To run a Python script leave out the --.",
            )
        return program.words
    interpreter = _interpreter(python)
    if program.kind is Kind.MODULE:
        _check_module(program.words[0], interpreter, environment)
        return (interpreter, "-m", *program.words)
    _check_script(program.words[0])
    return (interpreter, *program.words)


def _named(kind: Kind, words: tuple[str, ...], option: str, wanted: str) -> Program:
    if not words:
        raise UsageError(f"Nothing follows {option}.", next_step=f"It is: memtui run {wanted} [ARGS...]")
    return Program(kind, words)


def _interpreter(python: str | None) -> str:
    if python is None:
        return sys.executable
    found = shutil.which(python)
    if found is None:
        raise TargetError(
            f"There is no Python interpreter {python!r}.",
            why="It is neither the path of an executable file nor a program on PATH.",
            next_step="Give a path such as /usr/bin/python3.",
        )
    return found if os.path.dirname(python) == "" else python


def _check_script(name: str) -> None:
    path = Path(name)
    what = f"The script {name} cannot be started."
    try:
        if path.is_dir():
            if not (path / "__main__.py").is_file():
                raise TargetError(
                    what, why="It is a directory without a __main__.py.", next_step="Name a script in it."
                )
        else:
            with path.open("rb"):
                pass
    except FileNotFoundError as error:
        raise TargetError(what, why="There is no such file.", next_step=_instead_of(name)) from error
    except PermissionError as error:
        raise TargetError(what, why="You may not read it.", next_step=f"See: ls -l {name}") from error
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TargetError(what, why=f"The system says: {words}.") from error


def _instead_of(name: str) -> str:
    if os.sep not in name and shutil.which(name):
        return f"To start the program of that name: memtui run -- {name}"
    return f"Its path is looked for from {os.getcwd()}."


def _check_module(name: str, interpreter: str, environment: Mapping[str, str]) -> None:
    """Ask the interpreter for the top-level name only: to find what is below, it would have to run the package."""
    top = name.partition(".")[0]
    what = f"The module {name} cannot be started."
    if not top or os.sep in name:
        raise TargetError(
            what, why=f"{name!r} is not the name of a module.", next_step="Leave out the -m for a file."
        )
    try:
        done = subprocess.run(
            [interpreter, "-c", _FIND_MODULE, top],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_FIND_SECONDS,
            check=False,
        )
    except OSError as error:
        raise TargetError(what, why=f"{interpreter} does not start: {error.strerror}.") from error
    except subprocess.TimeoutExpired:
        return  # a slow start is no reason to refuse: the interpreter itself will say what is wrong
    if done.returncode == 1:
        raise TargetError(
            what,
            why=f"{interpreter} finds no module {top!r}.",
            next_step="Install it there, or choose another interpreter with --python.",
        )
