"""Pictures where something goes wrong: memory that makes no sense, targets that change or die, kills, no room."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from attach_driver import tracer
from heap_images import PROGRAMS, Frozen, frozen
from interpreters import Interpreter, current, interpreters
from observed import line_from, running, until

from memtui.attach.leftovers import find as find_leftovers
from memtui.attach.photograph import clean_leftovers
from memtui.errors import MemtuiError, RefusedError, TargetDiedError, WriteError
from memtui.heap.file import read_picture
from memtui.heap.read.image import Image
from memtui.heap.read.layout import layout_for
from memtui.heap.taker import check_room, read_by_its_layout
from memtui.heap.taking import PictureJob, Progress

SEVERAL = [one for one in interpreters() if one.minor in ((3, 8), (3, 13))]
DAMAGES, LONG_DAMAGES = 12, 60
ANSWERING = """
import sys
kept = [bytes(100 + n % 50) for n in range(int(sys.argv[1]))]
print("ready", flush=True)
for line in sys.stdin:
    print(len(kept), flush=True)
"""
CHANGING = """
import random, sys, threading
class Node: pass
shared = {}
def change(seed):
    dice = random.Random(seed)
    own = []
    while True:
        node = Node()
        node.text, node.list = "x" * dice.randrange(300), [dice.random()] * dice.randrange(40)
        node.dict = {seed: node}
        own.append(node)
        shared[dice.randrange(5000)] = node, {n: [n] for n in range(dice.randrange(30))}
        if len(own) > 2000:
            del own[dice.randrange(2000):]
for seed in range(8):
    threading.Thread(target=change, args=(seed,), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def answering(kept: int, python: str = sys.executable) -> Iterator[subprocess.Popen[bytes]]:
    """A program that answers how many objects it keeps."""
    with running(python, "-c", ANSWERING, str(kept)) as process:
        assert line_from(process) == b"ready\n"
        yield process


def check_unharmed(process: subprocess.Popen[bytes], kept: int) -> None:
    assert process.stdin is not None
    process.stdin.write(b"how many?\n")
    process.stdin.flush()
    assert line_from(process) == b"%d\n" % kept
    assert not tracer(process.pid)


def damaged(heap: Frozen, number: int) -> Frozen:
    """The same memory with some of its words changed, in one of several ways."""
    dice = np.random.default_rng(number)
    words = np.array(heap.image.words)
    count = max(1, int(len(words) * 10.0 ** dice.integers(-5, 0)))
    where = dice.integers(0, len(words), count)
    ways = (
        dice.integers(0, 1 << 63, count, np.uint64), words[dice.integers(0, len(words), count)],
        dice.integers(0, 1 << 12, count, np.uint64), words[where] + np.uint64(8), np.uint64(0xFFFFFFFFFFFFFFFF),
    )  # fmt: skip
    words[where] = ways[number % len(ways)]
    return replace(heap, image=Image(words, heap.image.regions, heap.image._read_only))


def check_damaged(python: str, times: int) -> None:
    refused = 0
    with frozen(python, str(PROGRAMS / "heap_leaks.py"), "20") as heap:
        for number in range(times):
            try:
                damaged(heap, number).read(heap.layout, quick=number % 7 == 0)
            except RefusedError:
                refused += 1
    assert refused


def test_damaged_memory_is_read_or_refused() -> None:
    check_damaged(current().path, DAMAGES)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_damaged_memory_is_read_or_refused_everywhere(interpreter: Interpreter) -> None:
    check_damaged(interpreter.path, LONG_DAMAGES)


def test_memory_without_sense_is_refused() -> None:
    with frozen(current().path, "-c", "print(1, flush=True); input()") as heap:
        dice = np.random.default_rng(0)
        for words in (dice.integers(0, 1 << 63, len(heap.image.words), np.uint64), np.zeros_like(heap.image.words)):
            image = Image(words, heap.image.regions, heap.image._read_only)
            with pytest.raises(RefusedError, match="cannot be read"):
                replace(heap, image=image).read(heap.layout)


@pytest.mark.parametrize("one", SEVERAL, ids=str)
def test_programs_that_never_rest(one: Interpreter, tmp_path: Path) -> None:
    with running(one.path, "-c", CHANGING) as process:
        assert line_from(process) == b"ready\n"
        for number in range(3):
            path = tmp_path / f"{number}.memtui"
            facts = PictureJob(process.pid, path).run()
            assert facts.quality is not None
            assert facts.quality > 0.97
        assert process.poll() is None


@pytest.mark.parametrize("hold", [False, True])
def test_a_process_that_is_held_while_it_is_read(hold: bool, tmp_path: Path) -> None:
    with answering(1000) as process:
        PictureJob(process.pid, tmp_path / "heap.memtui", hold=hold).run()
        picture, _ = read_picture(tmp_path / "heap.memtui")
        assert picture.facts["source"] == ("stopped" if hold else "frozen copy")
        assert picture.facts["stop_seconds"] > 0
        check_unharmed(process, 1000)


@pytest.mark.parametrize("step", ["waiting for a good moment", "reading"])
@pytest.mark.parametrize("hold", [False, True])
def test_a_target_that_dies_leaves_nothing(step: str, hold: bool, tmp_path: Path) -> None:
    with answering(400_000) as process:

        def kill(progress: Progress) -> None:
            if progress.step == step:
                process.kill()

        with contextlib.suppress(TargetDiedError, RefusedError):  # there is no such process, or: it ended
            PictureJob(process.pid, tmp_path / "heap.memtui", hold=hold).run(kill)
            assert step == "reading"
            read_picture(tmp_path / "heap.memtui")
            return
    assert os.listdir(tmp_path) == []


@pytest.mark.timeout(300)
def test_the_taker_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    dice = random.Random(8)
    with answering(100_000) as process:
        for number in range(10):
            job = PictureJob(process.pid, tmp_path / "heap.memtui")
            seconds = dice.uniform(0.05, 1.2)
            how = (signal.SIGKILL, signal.SIGTERM)[number % 2]
            killer = threading.Thread(target=_kill_soon, args=(job, seconds, how))
            killer.start()
            with contextlib.suppress(MemtuiError):
                job.run()
            killer.join()
            clean_leftovers(process.pid)
            until(lambda: not find_leftovers(process.pid) and not tracer(process.pid))
            check_unharmed(process, 100_000)
            for name in os.listdir(tmp_path):
                if name == "heap.memtui":
                    read_picture(tmp_path / name)
        PictureJob(process.pid, tmp_path / "heap.memtui").run()
        read_picture(tmp_path / "heap.memtui")


def _kill_soon(job: PictureJob, seconds: float, how: int) -> None:
    time.sleep(seconds)
    if job._process is not None and job._process.poll() is None:
        job._process.send_signal(how)


def test_a_taker_that_is_killed_is_said_to_be(tmp_path: Path) -> None:
    with answering(1000) as process:
        job = PictureJob(process.pid, tmp_path / "heap.memtui")

        def kill(progress: Progress) -> None:
            assert job._process is not None
            job._process.kill()

        with pytest.raises(MemtuiError, match=r"was killed \(SIGKILL\)\. Perhaps memory ran out"):
            job.run(kill)
        clean_leftovers(process.pid)


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A limit for the size of files does what a disk without room does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with answering(50_000) as process:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        try:
            with pytest.raises(WriteError, match="was not written"):
                PictureJob(process.pid, tmp_path / "heap.memtui").run()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        check_unharmed(process, 50_000)
    assert os.listdir(tmp_path) == []


def test_no_room_is_said_in_numbers() -> None:
    with pytest.raises(RefusedError, match=r"process 7\. It takes up to .* GiB, and 1.0 GiB are available.*--quick"):
        check_room(7, 5 << 30, False, 1 << 30)
    check_room(7, 5 << 20, False, 1 << 30)
    with pytest.raises(RefusedError) as error:
        check_room(7, 5 << 30, True, 1 << 30)
    assert error.value.next_step == ""


def test_pythons_that_are_laid_out_in_another_way() -> None:
    with pytest.raises(RefusedError, match=r"Python 3\.19 cannot be read from outside"):
        layout_for((3, 19))
    with pytest.raises(RefusedError, match="free-threaded"):
        read_by_its_layout(7, (3, 13), free_threaded=True)
    assert read_by_its_layout(7, (3, 13), free_threaded=False).minor == (3, 13)
