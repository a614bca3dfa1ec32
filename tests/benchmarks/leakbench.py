"""memtui diagnostics on a collection of real leaks, their fixed versions and healthy look-alikes; a table.

    python tests/benchmarks/leakbench.py FOLDER [--seconds 60] [--jobs 2] [--fixed] [--healthy] [--only NAME ...]

FOLDER holds ``cases/NAME/{workload.py,case.toml}``, ``healthy/NAME/...`` and ``run_case.py``, which makes the
environment of a case (``--venv-only`` prints its interpreter). Without --fixed and --healthy the leaks are run. For
each: the state, whether the first suspect (and one of the first three) names a true type, allocation site or holder,
and what the target paid.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 4.0


@dataclass(frozen=True)
class Result:
    """One case. ``first`` and ``three``: the truth is named by the first suspect, by one of the first three."""

    name: str
    state: str
    first: bool | None
    three: bool | None
    suspect: str
    pause_seconds: float | None
    error: str = ""


def read_case(folder: Path) -> dict[str, Any]:
    """The small part of TOML that ``case.toml`` uses."""
    table: dict[str, Any] = {}
    found = table
    for line in (folder / "case.toml").read_text().splitlines():
        line = line.strip()
        if line.startswith("["):
            found = table.setdefault(line.strip("[]").strip(), {})
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            value = value.strip()
            found[key.strip()] = value == "true" if value in ("true", "false") else ast.literal_eval(value)
    return table


def interpreter_of(collection: Path, name: str, fixed: bool) -> str:
    """The Python of the case's environment."""
    command = [sys.executable, str(collection / "run_case.py"), name, "--venv-only", *(["--fixed"] if fixed else [])]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return out.strip().splitlines()[-1]


@contextmanager
def running(
    folder: Path, python: str, options: Sequence[str] = (), environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The workload of a case at its own rate, in a process group of its own. ``options`` are those of ``python``."""
    rate = str(read_case(folder)["default_rate"])
    command = [python, *options, str(folder / "workload.py"), "--seconds", "0", "--rate", rate]
    null = subprocess.DEVNULL
    process = subprocess.Popen(
        command, stdin=null, stdout=null, stderr=null, start_new_session=True, cwd=folder, env=environment
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def growing_process(pid: int, case: dict[str, Any]) -> int:
    """The process that grows: that of the workload, or its newest child."""
    if case.get("growing_process") != "child":
        return pid
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[-1])


def run_case(collection: Path, folder: Path, fixed: bool, seconds: float) -> Result:
    """Start the workload, diagnose it, end it."""
    case = read_case(folder)
    with running(folder, interpreter_of(collection, folder.name, fixed)) as process:
        time.sleep(START_SECONDS)
        pid = growing_process(process.pid, case)
        return diagnose(folder.name, pid, seconds, case.get("truth", {}), bool(case.get("native")))


def diagnose(name: str, pid: int, seconds: float, truth: dict[str, Any], native: bool) -> Result:
    """Run ``memtui diagnostics`` on a process and compare its report with the truth."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "report.json"
        command = [
            sys.executable,
            "-m",
            "memtui",
            "diagnostics",
            str(pid),
            "--for",
            f"{seconds:g}s",
            "--report",
            path,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not path.exists():
            return Result(name, "-", None, None, "", None, done.stderr.strip().splitlines()[-1])
        report = json.loads(path.read_text())
        keep = os.environ.get("LEAKBENCH_REPORTS")
        if keep:
            Path(keep, f"{name}.json").write_text(path.read_text())
            Path(keep, f"{name}.txt").write_text(done.stdout)
    return judged(name, report, truth, native)


def judged(name: str, report: dict[str, Any], truth: dict[str, Any], native: bool) -> Result:
    """A report.json compared with the truth."""
    suspects = report["suspects"]
    right = [is_right(one, truth, native) for one in suspects[:3]]
    told = (
        f"{suspects[0]['kind']} {suspects[0]['type']} @ {(suspects[0]['holder'] or {}).get('path')}"
        if suspects
        else ""
    )
    pause = report["cost"]["target_longest_pause_seconds"]
    return Result(name, report["verdict"]["state"], bool(right and right[0]), any(right), told, pause)


def is_right(suspect: dict[str, Any], truth: dict[str, Any], native: bool) -> bool:
    """Whether a suspect names a true type, site or holder; of native leaks, that it is one."""
    if native:
        return suspect["kind"] == "native"
    types = {one.removeprefix("builtins.") for one in truth.get("leaking_types", [])}
    if suspect["type"] in types:
        return True
    sites = [site.partition(":")[0] for site in truth.get("allocation_site", [])]
    if any(place["file"].endswith(site) for place in suspect["allocated_at"] for site in sites):
        return True
    path = (suspect["holder"] or {}).get("path", "")
    names = set(re.findall(r"[A-Za-z_]{4,}", truth.get("holder_path", "")))
    return bool(path) and any(name in path.split(".")[-1] or name in path.split(".")[-2:] for name in names)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--fixed", action="store_true")
    parser.add_argument("--healthy", action="store_true")
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    root = args.folder / ("healthy" if args.healthy else "cases")
    folders = [one for one in sorted(root.iterdir()) if not args.only or one.name in args.only]
    with ThreadPoolExecutor(args.jobs) as pool:
        futures = [pool.submit(run_case, args.folder, one, args.fixed, args.seconds) for one in folders]
        results = []
        for future, folder in zip(futures, folders, strict=True):
            try:
                results.append(future.result())
            except Exception as error:
                results.append(Result(folder.name, "-", None, None, "", None, repr(error)))
            one = results[-1]
            pause = "-" if one.pause_seconds is None else f"{1000 * one.pause_seconds:.1f} ms"
            print(f"{one.name:26} {one.state:12} {one.first!s:6} {one.three!s:6} {pause:9} {one.suspect} {one.error}")
            sys.stdout.flush()
    caught = sum(one.state in ("suspect", "leak") for one in results)
    print(f"suspect or leak: {caught} of {len(results)}; leak: {sum(one.state == 'leak' for one in results)}")
    first, three = sum(bool(one.first) for one in results), sum(bool(one.three) for one in results)
    print(f"first suspect right: {first}, in three: {three}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
