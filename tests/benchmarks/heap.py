"""What a heap picture costs, from the target's stop to the file, beside the peers; prints tables.

    python tests/benchmarks/heap.py [--large] [--peers PYTHON] [--real PYTHON] [--case 1M] [--python PYTHON]

``--large`` adds five million objects. PEERS is a Python with objgraph, guppy3 and pympler, REAL one with Django,
Flask, SQLAlchemy and pandas: environments made for this and nothing else (``python -m venv``); what is missing is
said. The limits in brackets are those that memtui promises at a million objects.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from heap_truth import Verdict, compare, truthful
from photograph import TARGET as BUILDING

from memtui.attach.photograph import photograph
from memtui.heap.file import read_picture
from memtui.heap.taking import PictureJob, Progress
from memtui.model.heap import PictureFacts

PEERS = {
    "objgraph types": "import objgraph\nwork = objgraph.most_common_types",
    "guppy3 heap()": "from guppy import hpy\nwork = lambda: str(hpy().heap())",
    "pympler summary": (
        "from pympler import muppy, summary\nwork = lambda: summary.summarize(muppy.get_objects(remove_dups=False))"
    ),
}
PEER = """
import json, threading, time
{setup}
longest, last, going = 0.0, time.perf_counter(), True
def tick():
    global longest, last
    while going:
        time.sleep(0.0003)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
threading.Thread(target=tick, daemon=True).start()
time.sleep(0.1)
longest, cpu, wall = 0.0, time.process_time(), time.perf_counter()
work()
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
time.sleep(0.05)
print(json.dumps([wall, cpu, longest]), flush=True)
"""
REAL = ("numpy", "pandas", "sqlalchemy", "sqlalchemy.orm", "flask", "django", "django.http", "django.db.models")
REAL_OBJECTS = "20000"
ROUNDS = 7


@contextmanager
def target(python: str, case: str) -> Iterator[subprocess.Popen[str]]:
    """The target of the photograph benchmark: ``case`` is ``1M`` and the like."""
    with subprocess.Popen(
        [python, "-W", "ignore", "-c", BUILDING, case], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def fork_ms(process: subprocess.Popen[str]) -> float:
    """What ``os.fork()`` takes in it."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("fork\n")
    process.stdin.flush()
    return 1e3 * float(process.stdout.readline())


def stops(process: subprocess.Popen[str]) -> None:
    """Stop and release of bare photographs in turn with forks."""
    stopped, released, forks = [], [], []
    for _ in range(ROUNDS):
        with photograph(process.pid, accept_stop=True) as photo:
            assert photo.stop_seconds is not None
            stopped.append(1e3 * photo.stop_seconds)
            began = time.perf_counter()
            photo.release()
        released.append(1e3 * (time.perf_counter() - began))
        time.sleep(0.1)
        forks.append(fork_ms(process))
        time.sleep(0.1)
    allowed = 1.5 * min(forks) + 1
    print(f"  stop, ms, least / median        {_two(stopped)}   [6, at 5 M 45]")
    print(f"  os.fork() inside, the same      {_two(forks)}   [stop <= {allowed:.1f}]")
    print(f"  release of the copy, ms            {statistics.median(released):7.2f}            [1000]")


def _two(values: list[float]) -> str:
    return f"{min(values):7.2f} /{statistics.median(values):7.2f}"


def picture(process: subprocess.Popen[str], path: Path, quick: bool) -> PictureFacts:
    """One picture as memtui takes it, with what each of its steps took."""
    steps: list[tuple[str, float]] = []

    def note(progress: Progress) -> None:
        if not steps or steps[-1][0] != progress.step:
            steps.append((progress.step, time.perf_counter()))

    began = time.perf_counter()
    facts = PictureJob(process.pid, path, quick=quick, accept_stop=True).run(note)
    ended = time.perf_counter()
    pairs = zip(steps, [*steps[1:], ("", ended)], strict=True)
    words = ", ".join(f"{name} {end - start:.2f}" for (name, start), (_, end) in pairs)
    print(
        f"  {'quick picture' if quick else 'picture'}: {facts.objects:,} objects; wall {ended - began:.2f} s: {words}"
    )
    costs, limit = read_picture(path)[0].facts, 2 if quick else 8
    print(f"    CPU s {costs['cpu_seconds']:.2f} [{limit}], memory of the tool {_mb(costs['tool_bytes'])} MB [900]")
    print(f"    file {_mb(os.path.getsize(path))} MB, quality {costs['quality']}")
    return facts


def _mb(size: int | None) -> str:
    return "?" if size is None else f"{size / 1e6:.1f}"


STEPS = """
import json, sys, time
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
from heap_images import frozen_process
from memtui.heap.graph.analysis import analyse
from memtui.heap.read.reader import Reader
with frozen_process(int(sys.argv[2])) as heap:
    began = time.process_time()
    picture = heap.read(heap.layout)
    read = time.process_time()
    analyse(picture)
    print(json.dumps([read - began, time.process_time() - read]))
"""


def parts(process: subprocess.Popen[str]) -> None:
    """CPU of reading and of analysing, by themselves."""
    done = subprocess.run(
        [sys.executable, "-c", STEPS, json.dumps(sys.path), str(process.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    graph, retained = json.loads(done.stdout)
    print(f"  CPU s: objects, references, names {graph:.2f} [4]; holders, retained sizes {retained:.2f} [4]")


def difference(process: subprocess.Popen[str], folder: Path) -> None:
    """Comparing two pictures, from their files."""
    picture(process, folder / "b.memtui", quick=False)
    for by in ("holder", "type"):
        began, cpu = time.perf_counter(), os.times()
        command = ["-m", "memtui", "diff", str(folder / "a.memtui"), str(folder / "b.memtui"), "--by", by, "--json"]
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        now = os.times()
        used = now.children_user + now.children_system - cpu.children_user - cpu.children_system
        print(f"  diff by {by}: wall {time.perf_counter() - began:.2f} s, CPU {used:.2f} s [5]")


def peers(python: str | None, case: str) -> None:
    """Peers inside the same kind of target; each in a fresh one."""
    for name, setup in PEERS.items():
        done = subprocess.run(
            [python or sys.executable, "-W", "ignore", "-c", _building() + PEER.format(setup=setup), case],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["failed"]
            print(f"  {name}: left out ({last[0][:90]})")
        else:
            wall, cpu, gap = json.loads(done.stdout.splitlines()[-1])
            print(f"  {name} (inside the target): longest gap {gap:.3f} s, wall {wall:.2f} s, CPU {cpu:.2f} s")


def _building() -> str:
    """The part of the target that builds its heap."""
    return BUILDING.split("longest = 0.0")[0]


def real(python: str | None) -> None:
    """A process with large libraries: truth, quality, time."""
    if python is None:
        print("  left out: no --real PYTHON")
        return
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with truthful(python, Path(folder), REAL_OBJECTS, *REAL) as (taken, truth):
            verdict = compare(taken, truth)
        facts = taken.facts
        seconds, rss, tool = time.perf_counter() - began, _mb(facts["rss_bytes"]), _mb(facts["tool_bytes"])
        print(f"  {facts['objects']:,} objects, RSS {rss} MB, with the truth {seconds:.1f} s")
        print(f"  stop {1e3 * facts['stop_seconds']:.1f} ms, CPU {facts['cpu_seconds']:.2f} s, tool {tool} MB")
        print(f"  quality {facts['quality']:.4f}; recall {verdict.recall:.4%}, precision {verdict.precision:.4%}")
        show(verdict)


def show(verdict: Verdict) -> None:
    """Where picture and truth differ most."""
    print(f"    missing {verdict.missing.most_common(4)}")
    print(f"    wrong {verdict.wrong.most_common(4)}")
    known, read = verdict.bytes_true.total(), verdict.bytes_read.total()
    off = {name: (true, verdict.bytes_read[name]) for name, true in verdict.bytes_true.items() if true}
    worst = sorted(off.items(), key=lambda row: -abs(row[1][1] - row[1][0]))[:5]
    print(f"    bytes {read:,} of {known:,} ({read / known - 1:+.2%}); most: {worst}")
    missing = verdict.edges_missing
    print(f"    references of {verdict.edges:,} missing {missing.total()}: {missing.most_common(4)}")


def measure(python: str, case: str, compared: bool) -> None:
    """All figures for one size of target."""
    print(f"{case} of gc objects, {python}")
    with tempfile.TemporaryDirectory() as name, target(python, case) as process:
        folder = Path(name)
        stops(process)
        parts(process)
        picture(process, folder / "quick.memtui", quick=True)
        picture(process, folder / "a.memtui", quick=False)
        if compared:
            difference(process, folder)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--case", default="1M")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--real", metavar="PYTHON")
    options = parser.parse_args()
    measure(options.python, options.case, compared=True)
    print("peers")
    peers(options.peers, options.case)
    if options.large:
        measure(options.python, "5M", compared=False)
    print("a process with Django, Flask, SQLAlchemy, pandas")
    real(options.real)


if __name__ == "__main__":
    main()
