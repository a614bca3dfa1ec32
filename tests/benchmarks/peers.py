"""What other tools put first, beside what memtui does, on a collection of real leaks; one Markdown table.

    python tests/benchmarks/peers.py FOLDER [--seconds 30] [--jobs 2] [--healthy] [--only NAME ...] [--ours REPORTS]

FOLDER is that of leakbench.py. Each tool gets a run of its own of each workload:

* tracemalloc: two snapshots, compared by traceback (25 frames). The program is started again with tracing on.
* objgraph: ``growth()`` twice, then ``find_backref_chain`` of the newest object of the first type. It runs in the
  program, which has to offer a console or be changed for it.
* memray: ``memray run --native --trace-python-allocators`` (so its documentation on leaks), ended by Ctrl-C; the
  largest of what had not been freed. The program is started again.
* memtui: ``memtui diagnostics PID`` on the running program. --ours: use the reports that leakbench.py kept there
  (LEAKBENCH_REPORTS) instead of watching again.

An answer is right by the rule of leakbench.py: it names a true type, allocation site or holder. Where a tool tells
the function too, that must be right as well. Of a native leak the place that allocates counts, or the extension's
name.
With --healthy right and wrong are not asked, but whether something would be accused: the first entry grew by as much
as makes a suspect in memtui (or, where only objects are counted, by a thousand).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leakbench import (
    START_SECONDS,
    growing_process,
    interpreter_of,
    is_right,
    judged,
    read_case,
    run_case,
    running,
)

INSIDE = Path(__file__).with_name("peers_inside")
PACKAGES = Path.home() / ".cache" / "leakbench-peers"
INSTALLING = threading.Lock()
PATIENCE_SECONDS = 60.0
ACCUSED_BYTES = 384 * 1024
ACCUSED_OBJECTS = 1000
WATCH_SECONDS = 60.0
PYTHON_OWN = {"dict", "list", "tuple", "set", "function", "cell", "method", "weakref", "frame", "traceback", "type"}


@dataclass(frozen=True)
class Answer:
    """What a tool put first. ``right``: None when there is no answer; ``accused``: it says that there is a leak."""

    text: str
    right: bool | None = None
    accused: bool = False


@dataclass(frozen=True)
class Case:
    """One workload to run."""

    collection: Path
    folder: Path
    seconds: float
    python: str
    facts: dict[str, Any]

    @property
    def truth(self) -> dict[str, Any]:
        """What really leaks; empty of a healthy one."""
        return dict(self.facts.get("truth", {}))


def with_probe(case: Case, peer: str) -> Answer:
    """tracemalloc or objgraph, which look from inside."""
    with tempfile.TemporaryDirectory() as directory:
        answer = Path(directory) / "answer"
        environment = surroundings(case, peer) | {"PEERS_ANSWER": str(answer), "PEERS_SECONDS": str(case.seconds)}
        with running(case.folder, case.python, environment=environment) as process:
            time.sleep(START_SECONDS)
            answer = answer.with_name(f"answer.{growing_process(process.pid, case.facts)}")
            end = time.monotonic() + case.seconds + PATIENCE_SECONDS
            while time.monotonic() < end and process.poll() is None and not is_complete(answer, peer):
                time.sleep(0.2)
        return judge(peer, json.loads(answer.read_text()), case) if answer.exists() else Answer("no answer")


def is_complete(answer: Path, peer: str) -> bool:
    """objgraph's chain comes after its types."""
    if not answer.exists():
        return False
    found = json.loads(answer.read_text())
    return peer != "objgraph" or not found or "holder" in found[0]


def with_memray(case: Case) -> Answer:
    """memray, from the start, until Ctrl-C."""
    with tempfile.TemporaryDirectory() as directory:
        recording = Path(directory) / "recording.bin"
        options = [
            "-m",
            "memray",
            "run",
            "--native",
            "--trace-python-allocators",
            "--follow-fork",
            "-o",
            str(recording),
        ]
        environment = surroundings(case, "memray")
        with running(case.folder, case.python, options, environment) as process:
            time.sleep(START_SECONDS)
            pid = growing_process(process.pid, case.facts)
            time.sleep(case.seconds)
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                pass  # what it has written until now can be read
        if pid != process.pid:
            recording = recording.with_name(f"{recording.name}.{pid}")
        done = subprocess.run(
            [case.python, INSIDE / "read_memray.py", recording],
            env=environment,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_SECONDS,
            check=False,
        )
    if done.returncode:
        return Answer(f"no answer: {(done.stderr.strip().splitlines() or ['?'])[-1][:80]}")
    return judge("memray", json.loads(done.stdout), case)


def surroundings(case: Case, peer: str) -> dict[str, str]:
    """The environment that brings a tool into a workload."""
    packages = PACKAGES / Path(case.python).resolve().parents[1].name / peer
    if peer != "tracemalloc":
        with INSTALLING:
            install(case.python, peer, packages)
    return dict(os.environ) | {
        "PYTHONPATH": str(INSIDE),
        "PEERS_PACKAGES": str(packages),
        "PEERS_PEER": peer,
        "PEERS_START": str(START_SECONDS),
    }


def install(python: str, peer: str, packages: Path) -> None:
    """Have a tool in a folder of its own: the environment of the case stays as it is."""
    if packages.exists():
        return
    command = [python, "-m", "pip", "install", "-q", "--only-binary", "memray", "--target", str(packages), peer]
    if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
        raise LookupError(f"no {peer} can be installed for this Python")


def judge(peer: str, found: list[dict[str, Any]], case: Case) -> Answer:
    """The first entry of a tool, against the truth."""
    if not found:
        return Answer("nothing", right=False)
    first = found[0]
    frames = first.get("frames", [])
    size = first.get("bytes")
    accused = first["objects"] >= ACCUSED_OBJECTS if size is None else size >= ACCUSED_BYTES
    if peer == "objgraph":
        holder = first.get("holder")
        return Answer(f"{first['type']} @ {holder or 'no chain'}", objgraph_is_right(first, case), accused)
    told: list[Any] = next((one for one in frames if one[0].endswith(".py")), frames[0] if frames else ["?", 0, "?"])
    where = "/".join(Path(told[0]).parts[-2:])
    text = f"{where}:{told[1]} {told[2] or ''}"
    if peer == "memray" and frames and frames[0] is not told:
        text = f"{frames[0][2]} ← {text}"
    return Answer(f"{text.strip()} ({(size or 0) / 1e6:+.1f} MB)", stack_is_right(frames, case), accused)


def objgraph_is_right(first: dict[str, Any], case: Case) -> bool:
    """objgraph shows types by their short names."""
    truth = case.truth
    short = {**truth, "leaking_types": [one.rpartition(".")[2] for one in truth.get("leaking_types", [])]}
    holder = {"path": first["holder"]} if first.get("holder") else None
    suspect = {"kind": "python", "type": first["type"], "allocated_at": [], "holder": holder}
    return is_right(suspect, short, native=False)


def stack_is_right(frames: list[list[Any]], case: Case) -> bool:
    """Whether a stack goes through a true site, and not only because a module was imported on the way."""
    if any("importlib" in one[0] for one in frames):
        return False
    sites = [one.partition(":") for one in case.truth.get("allocation_site", [])]
    for file, _, function in frames:
        for suffix, _, functions in sites:
            if str(file).endswith(suffix) and function in [one.strip() for one in functions.split(",")]:
                return True
    name = str(case.facts.get("package", "?")).removeprefix("python-")
    named = [f"{str(file).partition('site-packages/')[2]} {function}" for file, _, function in frames]
    return bool(case.facts.get("native")) and any(name in one for one in named)


def ours(case: Case, reports: Path | None) -> Answer:
    """memtui's first suspect: from a kept report, or from watching now."""
    name = case.folder.name
    kept = reports / f"{name}.json" if reports else None
    if kept is not None and kept.exists():
        result = judged(name, json.loads(kept.read_text()), case.truth, bool(case.facts.get("native")))
    else:
        result = run_case(case.collection, case.folder, False, WATCH_SECONDS)
    if result.first is None:
        return Answer(f"– {result.error[:60]}")
    return Answer(f"{result.state}: {result.suspect}", result.first, result.state in ("suspect", "leak"))


def compare(collection: Path, folder: Path, seconds: float, reports: Path | None) -> dict[str, Answer]:
    """All tools on one workload, one after the other."""
    case = Case(collection, folder, seconds, interpreter_of(collection, folder.name, False), read_case(folder))
    tools: dict[str, Callable[[], Answer]] = {
        "memtui": lambda: ours(case, reports),
        "tracemalloc": lambda: with_probe(case, "tracemalloc"),
        "objgraph": lambda: with_probe(case, "objgraph"),
        "memray": lambda: with_memray(case),
    }
    answers = {}
    for name, ask in tools.items():
        try:
            answers[name] = ask()
        except Exception as error:  # the other tools go on
            answers[name] = Answer(f"– {error}"[:100])
    return answers


LABELS = {
    "memtui": "memtui (attached)",
    "tracemalloc": "tracemalloc (restarted)",
    "objgraph": "objgraph (code inside)",
    "memray": "memray --native (restarted)",
}


def cell(answer: Answer, healthy: bool) -> str:
    """A cell of the table."""
    mark = ("**accuses**" if answer.accused else "quiet") if healthy else "✓" if answer.right else "✗"
    return f"{mark} {answer.text.replace('|', '/')}"


def totals(rows: list[dict[str, Answer]], healthy: bool) -> str:
    """The last row: how many were right, or how many were accused."""
    told = [sum(one[name].accused if healthy else bool(one[name].right) for one in rows) for name in LABELS]
    return f"| **{'accused' if healthy else 'first is right'}** | | " + " | ".join(
        f"**{one} of {len(rows)}**" for one in told
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0, help="between the two looks of a tool")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--healthy", action="store_true")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--ours", type=Path, metavar="REPORTS")
    args = parser.parse_args()
    root = args.folder / ("healthy" if args.healthy else "cases")
    folders = [one for one in sorted(root.iterdir()) if not args.only or one.name in args.only]
    print(f"| case | kind | {' | '.join(LABELS.values())} |")
    print(f"|---|---|{'---|' * len(LABELS)}", flush=True)
    rows = []
    with ThreadPoolExecutor(args.jobs) as pool:
        futures = [pool.submit(compare, args.folder, one, args.seconds, args.ours) for one in folders]
        for future, folder in zip(futures, folders, strict=True):
            rows.append(future.result())
            kind = read_case(folder).get("kind", "healthy")
            cells = " | ".join(cell(rows[-1][name], args.healthy) for name in LABELS)
            print(f"| {folder.name} | {kind} | {cells} |", flush=True)
    print(f"{totals(rows, args.healthy)} |")
    if not args.healthy:
        first = [one["objgraph"] for one in rows if one["objgraph"].right]
        telling = sum(one.text.partition(" ")[0] not in PYTHON_OWN for one in first)
        print(f"\nobjgraph: {telling} of its {len(first)} right answers name a type that tells something.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
