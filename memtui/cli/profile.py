"""``memtui profile PID``: one look at a process from outside."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from memtui.errors import EXIT_OK, MemtuiError, RefusedError, TargetDiedError
from memtui.heap.scanner import COVERS, TypeScan, scan_types
from memtui.model.allocation import TypeCount
from memtui.model.gc import GcState
from memtui.model.sample import Cost, Sample, Series
from memtui.model.state import State
from memtui.model.target import Rung
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.observe.eligibility import check_process, check_readable
from memtui.observe.gcstate import GcReader
from memtui.observe.interpreter import Interpreter, find_interpreter
from memtui.observe.process import ProcessReader, children
from memtui.observe.smaps import Usage, read_classes
from memtui.report.build import build_report
from memtui.session.snapshotting import scanned_snapshot

NAME = "profile"
HELP = "one look at a process: memory, its kinds, threads, garbage collector, status"

_EPILOG = """examples:
  memtui profile 4242 --types
  memtui profile 4242 --json | jq .memory.rss_bytes.last"""
_TYPES_SHOWN = 20
_MAX_TYPES_SHOWN = 500
_WARNING_SHARE = 0.80
_CRITICAL_SHARE = 0.90


@dataclass(frozen=True, slots=True)
class Profile:
    """One look. ``classes``, ``open_files``: None where they may not be seen. ``status``: ok, warning or critical.

    ``scan``: None when types were not asked for or cannot be counted (then the state's note says why).
    """

    state: State
    classes: Mapping[str, Usage] | None
    open_files: int | None
    children: tuple[int, ...]
    status: str
    status_reason: str
    scan: TypeScan | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = "Looks once at a running Python process from outside; nothing is changed in it or stopped."
    parser.epilog = _EPILOG
    parser.add_argument("pid", metavar="PID", type=_pid, help="the process")
    parser.add_argument(
        "--types",
        metavar="N",
        nargs="?",
        type=_number_of_types,
        const=_TYPES_SHOWN,
        help=f"the N most numerous types ({_TYPES_SHOWN} when N is left out), counted by scanning its memory",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document (schema memtui.report/1)")


def run(args: argparse.Namespace) -> int:
    """Look, and print. Raises :class:`MemtuiError` when there is nothing to look at."""
    profile = look(args.pid, args.types)
    text = json.dumps(as_json(profile), indent=2) if args.json else "\n".join(as_text(profile))
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))
    return EXIT_OK


def look(pid: int, types: int | None = None) -> Profile:
    """What can be seen of ``pid`` now, with that many types.

    What may not be read is left unknown, with the reason in the state's note. Raises :class:`RefusedError` for what
    is no Python process, and :class:`TargetDiedError` when it ends meanwhile.
    """
    started_at = time.time()
    check_process(pid)
    with ProcessReader(pid) as process:
        interpreter, gc, note = _look_inside(pid)
        seen = process.sample()
        limit = process.memory_limit_bytes()
        target = replace(process.target(), python=interpreter.version_text if interpreter else None)
        open_files = process.open_files()
    scan = None
    if types is not None and interpreter is not None and gc is not None:
        scan, note = _scan(interpreter)
    sample = Sample(
        0.0,
        seen.rss_bytes,
        seen.uss_bytes,
        seen.pss_bytes,
        seen.swap_bytes,
        gc_counts=tuple(one.count for one in gc.generations) if gc else None,
        gc_objects=gc.objects if gc else None,
    )
    state = State(
        target,
        started_at,
        rung=Rung.OBSERVE if gc else Rung.PROCESS,
        note=note,
        series=Series().append(sample),
        gc=gc,
        cost=Cost(tool_cpu_seconds=round(time.process_time(), 3)),
        threads=seen.threads,
        memory_limit_bytes=limit,
    )
    if scan is not None:
        shown = replace(scanned_snapshot(scan, 0.0, seen.rss_bytes), number=1, types=scan.types[:types])
        state = replace(state, snapshots=(shown,))
    return Profile(state, _classes(pid), open_files, tuple(children(pid)), *judge(seen.rss_bytes, limit), scan)


def judge(rss_bytes: int, limit_bytes: int | None) -> tuple[str, str]:
    """Status and the reason for it: how near RSS is to the control group's limit."""
    if limit_bytes is None:
        return "ok", "no limit is set"
    share = rss_bytes / limit_bytes if limit_bytes else 1.0
    status = "critical" if share >= _CRITICAL_SHARE else "warning" if share >= _WARNING_SHARE else "ok"
    return status, f"RSS is {share:.0%} of the limit of {format_bytes(limit_bytes)}"


def as_json(profile: Profile) -> dict[str, Any]:
    """The report of one look, and what only a profile has."""
    report = build_report(profile.state)
    # One look shows no growth, which is not the same as none.
    report["memory"] |= {"growth_bytes": None, "growth_percent": None}
    return report | {
        "status": profile.status,
        "status_reason": profile.status_reason,
        "profile": {
            "note": profile.state.note or None,
            "threads": profile.state.threads,
            "open_files": profile.open_files,
            "children": list(profile.children),
            "classes": {kind: asdict(usage) for kind, usage in profile.classes.items()} if profile.classes else None,
            "type_scan": _scan_as_json(profile.scan) if profile.scan else None,
        },
    }


def as_text(profile: Profile) -> Iterator[str]:
    """The lines that a person reads."""
    state, target = profile.state, profile.state.target
    uptime = state.started_at - target.started_at if target.started_at is not None else None
    yield f"Process {target.pid}: {_printable(shlex.join(target.command))}"
    yield f"Python {target.python or '–'}, user {target.user or '–'}, up {format_seconds(uptime)}"
    yield f"Status: {profile.status} ({profile.status_reason})"
    if state.note:
        yield f"Note: {state.note}"
    yield ""
    yield from _memory_lines(profile)
    yield ""
    yield (
        f"Threads {format_count(state.threads)}, open files {format_count(profile.open_files)}, "
        f"children {_children(profile.children)}"
    )
    yield ""
    yield from _gc_lines(state.gc)
    if profile.scan is not None:
        yield ""
        yield from _type_lines(profile.scan, state.snapshots[-1].types)


def _look_inside(pid: int) -> tuple[Interpreter | None, GcState | None, str]:
    """Interpreter and collector, or the reason why they are not known. Raises for what is no Python process."""
    try:
        check_readable(pid)
    except RefusedError as error:
        return None, None, str(error)
    interpreter = find_interpreter(pid)
    try:
        with GcReader(interpreter) as reader:
            return interpreter, reader.read(), ""
    except RefusedError as error:
        return interpreter, None, str(error)


def _scan(interpreter: Interpreter) -> tuple[TypeScan | None, str]:
    """The types, or the reason why they are not known."""
    try:
        return scan_types(interpreter.pid, interpreter), ""
    except TargetDiedError:
        raise
    except MemtuiError as error:
        return None, str(error)


def _scan_as_json(scan: TypeScan) -> dict[str, Any]:
    return {
        "covers": COVERS,
        "objects": scan.objects,
        "bytes_read": scan.bytes_read,
        "swapped_bytes": scan.swapped_bytes,
        "seconds": round(scan.seconds, 3),
        "cpu_seconds": round(scan.cpu_seconds, 3),
    }


def _classes(pid: int) -> Mapping[str, Usage] | None:
    try:
        return read_classes(pid)
    except RefusedError:
        return None


def _memory_lines(profile: Profile) -> Iterator[str]:
    sample = profile.state.series.last
    assert sample is not None
    yield f"{'Memory':<12}{'RSS':>12}{'PSS':>12}{'USS':>12}{'swap':>12}"
    for kind, usage in (profile.classes or {}).items():
        if usage != Usage():
            yield _memory_line(kind, usage.rss_bytes, usage.pss_bytes, usage.uss_bytes, usage.swap_bytes)
    yield _memory_line("total", sample.rss_bytes, sample.pss_bytes, sample.uss_bytes, sample.swap_bytes)


def _memory_line(name: str, *sizes: int | None) -> str:
    return f"{'  ' + name:<12}" + "".join(f"{format_bytes(size):>12}" for size in sizes)


def _gc_lines(gc: GcState | None) -> Iterator[str]:
    if gc is None:
        yield "Garbage collector: not known (see the note)"
        return
    survivors = f"{format_count(gc.objects)} objects survived or await a full collection"
    yield f"Garbage collector: {'enabled' if gc.enabled else 'DISABLED'}, {survivors}"
    columns = ("count", "threshold", "collections", "collected")
    yield f"{'  generation':<12}" + "".join(f"{name:>12}" for name in columns) + f"{'uncollectable':>15}"
    for number, one in enumerate(gc.generations):
        yield (
            f"{number:>12}{one.count:>12,}{one.threshold:>12,}{one.collections:>12,}"
            f"{one.collected:>12,}{one.uncollectable:>15,}"
        )


def _type_lines(scan: TypeScan, shown: Sequence[TypeCount]) -> Iterator[str]:
    yield f"Types, most numerous first ({COVERS})"
    yield from (f"{one.count:>12,}  {_printable(one.type)}" for one in shown)
    took = f"{format_bytes(scan.bytes_read)} in {format_seconds(scan.seconds)}"
    yield f"{scan.objects:>12,}  in all, by scanning {took}"
    if scan.swapped_bytes:
        yield f"Not counted: objects in {format_bytes(scan.swapped_bytes)} that are swapped out"


def _children(pids: tuple[int, ...]) -> str:
    return f"{len(pids)} ({', '.join(map(str, pids))})" if pids else "0"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _number_of_types(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MAX_TYPES_SHOWN:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of types (1 to {_MAX_TYPES_SHOWN})")
    return int(text)


def _pid(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a process id")
    return int(text)
