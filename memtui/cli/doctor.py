"""``memtui doctor [PID]``: what attaching would do, and what is in the way."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from memtui.attach.survey import fetching_refused, find_entry, survey, tracing_refused
from memtui.cli.forecast import forecast
from memtui.cli.options import process_id
from memtui.cli.ps import printable
from memtui.errors import EXIT_OK, EXIT_TARGET
from memtui.model.diagnosis import Diagnosis, MachineFinding, RungFinding, Standing
from memtui.model.target import Rung
from memtui.observe.diagnosis import Facts, gather, judge
from memtui.observe.machine import read_machine
from memtui.observe.standing import MachineFacts, judge_machine

HELP = "what attaching would do, what is in the way, and how to lift it"

_EPILOG = """\
Nothing is changed, stopped or put into any process. The exit code is 0 when the agent could go in now (without PID:
into a process of your own), and 3 when not.

examples:
  memtui doctor 4242
  memtui doctor            what this machine and your rights allow
  memtui doctor 4242 --json | jq -r '.rungs[] | select(.available | not) | .obstacles[0].remedy'

--json prints {"schema": "memtui.doctor/1", "pid", "target": {"command", "python", "user"} (nulls: may not be seen),
"rung" (the highest available, or null), "rungs": [{"rung", "available", "obstacles": [{"what", "why", "remedy"}]}],
"attaching": [sentences]}; without PID {"schema", "pid": null, "machine": [{"name", "standing", "text", "remedy"}]},
where standing is "fine", "limited" or "blocked".
"""
_SCHEMA = "memtui.doctor/1"
_GIVES = {
    Rung.PROCESS: "memory, threads and files of the process",
    Rung.OBSERVE: "Python's version and garbage collector, read from outside",
    Rung.AGENT: "tracing, snapshots and forced collections",
    Rung.TRACER: "native allocations (memray is there; this version does not use it yet)",
}
_SIGNS = {Standing.FINE: "ok", Standing.LIMITED: "limited", Standing.BLOCKED: "NO"}
_INDENT = " " * 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = "Says how far memtui could climb in a process now, and in words what is in the way."
    parser.epilog = _EPILOG
    parser.add_argument("pid", metavar="PID", type=process_id, nargs="?", help="the process; without: this machine")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    """Look, and print. The exit code says whether the agent could go in."""
    return _machine(args.json) if args.pid is None else _process(args.pid, args.json)


def _process(pid: int, as_json: bool) -> int:
    facts = survey(gather(pid), read_machine())
    diagnosis = judge(facts)
    possible = diagnosis.on(Rung.AGENT).available
    sentences = list(forecast(facts, find_entry(pid))) if possible else []
    if as_json:
        print(json.dumps(process_document(facts, diagnosis, sentences), indent=2))
    else:
        print("\n".join(process_lines(facts, diagnosis, sentences, shutil.get_terminal_size().columns)))
    return EXIT_OK if possible else EXIT_TARGET


def process_document(facts: Facts, diagnosis: Diagnosis, sentences: Sequence[str]) -> dict[str, Any]:
    """The JSON document about one process."""
    target = facts.target
    return {
        "schema": _SCHEMA,
        "pid": facts.pid,
        "target": {
            "command": list(target.command) if target else None,
            "python": target.python if target else None,
            "user": target.user if target else None,
        },
        "rung": diagnosis.best.value if diagnosis.best else None,
        "rungs": [
            {
                "rung": one.rung.value,
                "available": one.available,
                "obstacles": [asdict(each) for each in one.obstacles],
            }
            for one in diagnosis.rungs
        ],
        "attaching": list(sentences),
    }


def process_lines(facts: Facts, diagnosis: Diagnosis, sentences: Sequence[str], width: int) -> Iterator[str]:
    """What a person reads about one process."""
    if facts.target is not None:
        yield printable(f"Process {facts.pid}: {shlex.join(facts.target.command)}")
        yield f"Python {facts.target.python or '–'}, user {facts.target.user or '–'}"
        yield ""
    said: set[str] = set()
    for finding in diagnosis.rungs:
        yield from _rung_lines(finding, said, width)
    if sentences:
        yield ""
        yield "What attaching would do:"
        for sentence in sentences:
            yield from textwrap.wrap(f"- {sentence}", width, subsequent_indent="  ")


def machine_lines(findings: Sequence[MachineFinding], width: int) -> Iterator[str]:
    """What a person reads about the machine."""
    for one in findings:
        yield from _wrapped(f"{one.name:<9}", f"{_SIGNS[one.standing]}: {one.text}", width)
        if one.remedy:
            yield from _wrapped("", f"-> {one.remedy}", width)


def _machine(as_json: bool) -> int:
    machine = read_machine()
    facts = MachineFacts(
        machine=machine,
        ptrace=tracing_refused(machine),
        fetching=fetching_refused(),
        gdb=shutil.which("gdb"),
        memray=_where_is("memray"),
    )
    findings = judge_machine(facts)
    if as_json:
        print(json.dumps({"schema": _SCHEMA, "pid": None, "machine": [asdict(one) for one in findings]}, indent=2))
    else:
        print("\n".join(machine_lines(findings, shutil.get_terminal_size().columns)))
    return EXIT_TARGET if any(one.standing is Standing.BLOCKED for one in findings) else EXIT_OK


def _where_is(package: str) -> str | None:
    """Directory of a package that memtui itself could import; it is not imported."""
    found = importlib.util.find_spec(package)
    return os.path.dirname(found.origin) if found is not None and found.origin else None


def _rung_lines(finding: RungFinding, said: set[str], width: int) -> Iterator[str]:
    """One rung; what was ``said`` of a lower one is not repeated."""
    name = f"{finding.rung.value:<9}"
    if finding.available:
        yield from _wrapped(name, f"ok: {_GIVES[finding.rung]}", width)
        return
    news = [one for one in finding.obstacles if str(one) not in said]
    if not news:
        yield from _wrapped(name, "NO, for the same reason", width)
    for one in news:
        said.add(str(one))
        yield from _wrapped(name, f"NO: {one.what} {one.why}".rstrip(), width)
        if one.remedy:
            yield from _wrapped("", f"-> {one.remedy}", width)
        name = ""


def _wrapped(name: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=f"{name:<{len(_INDENT)}}", subsequent_indent=_INDENT)
