"""``memtui ps``: the Python processes one may attach to."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import textwrap
import time
from collections.abc import Iterator, Sequence
from typing import Any

from memtui.errors import EXIT_OK
from memtui.model.diagnosis import PythonProcess
from memtui.model.target import Rung
from memtui.model.units import format_bytes, format_seconds
from memtui.observe.processes import python_processes

HELP = "the Python processes one may attach to, largest first"

_EPILOG = """\
The rung is how far memtui can climb in the process now: "process" reads sizes only, "observe" also the garbage
collector, "agent" does everything memtui does, "tracer" says that memray is installed there, too.

examples:
  memtui ps
  memtui ps --json | jq '.processes[] | select(.rung == "agent") | .pid'

--json prints {"schema": "memtui.ps/1", "processes": [...]}, each with "pid", "user", "python" (null: may not be
seen), "rss_bytes", "uptime_seconds", "command" (a list), "rung", "reason" (why the next rung is out of reach, or
null) and "remedy" (null where there is none).
"""
_USER_WIDTH = 8
_NARROWEST_COMMAND = 10
_ENOUGH = (Rung.AGENT, Rung.TRACER)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = "Lists the CPython processes of this machine, memtui itself left out. Nothing is touched."
    parser.epilog = _EPILOG
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    """Look, and print."""
    found = sorted(python_processes(), key=lambda one: -one.rss_bytes)
    now = time.time()
    if args.json:
        document = {"schema": "memtui.ps/1", "processes": [as_json(one, now) for one in found]}
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(as_text(found, now, shutil.get_terminal_size().columns)))
    return EXIT_OK


def as_json(process: PythonProcess, now: float) -> dict[str, Any]:
    """One process, with its uptime at the time ``now``."""
    obstacle = process.obstacle
    return {
        "pid": process.pid,
        "user": process.user,
        "python": process.python,
        "rss_bytes": process.rss_bytes,
        "uptime_seconds": round(max(0.0, now - process.started_at), 1),
        "command": list(process.command),
        "rung": process.best.value,
        "reason": f"{obstacle.what} {obstacle.why}".strip() if obstacle else None,
        "remedy": obstacle.remedy or None if obstacle else None,
    }


def as_text(processes: Sequence[PythonProcess], now: float, width: int) -> Iterator[str]:
    """The table, at most ``width`` columns wide, and below it, once each, what keeps memtui out."""
    if not processes:
        yield "There is no Python process here that can be seen."
        return
    notes: list[str] = []
    yield _row(("PID", "USER", "PYTHON", "RSS", "UP", "RUNG", "COMMAND"), width)
    for process in processes:
        up = format_seconds(max(1.0, now - process.started_at))
        size = format_bytes(process.rss_bytes)
        rung = process.best.value + _mark(process, notes)
        program, *arguments = process.command
        command = printable(shlex.join([os.path.basename(program) or program, *arguments]))
        yield _row((str(process.pid), process.user, process.python or "–", size, up, rung, command), width)
    for number, note in enumerate(notes, 1):
        yield ""
        yield from textwrap.wrap(f"({number}) {note}", max(20, width), subsequent_indent="    ")


def printable(text: str) -> str:
    """``text`` without characters that would move the cursor."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _mark(process: PythonProcess, notes: list[str]) -> str:
    """The number of the note that says why the agent is out of reach."""
    if process.obstacle is None or process.best in _ENOUGH:
        return ""
    note = re.sub(rf"\b{process.pid}\b", "PID", str(process.obstacle))
    if note not in notes:
        notes.append(note)
    return f" ({notes.index(note) + 1})"


def _row(cells: Sequence[str], width: int) -> str:
    pid, user, python, size, up, rung, command = cells
    if len(user) > _USER_WIDTH:
        user = f"{user[: _USER_WIDTH - 1]}+"
    start = f"{pid:>7} {user:<{_USER_WIDTH}} {python:<8} {size:>10} {up:>9}  {rung:<11} "
    room = max(_NARROWEST_COMMAND, width - len(start))
    return (start + (command if len(command) <= room else f"{command[: room - 1]}…")).rstrip()
