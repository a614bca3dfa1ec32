"""``memtui snapshot``, ``diff`` and ``open`` on real programs and on files of every kind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from interpreters import Interpreter, interpreters
from observed import line_from, running, until
from own_terminal import Terminal

from memtui.cli import main
from memtui.cli.progress import ProgressLine
from memtui.errors import StopTooLongError, TargetDiedError
from memtui.heap import taking
from memtui.heap.taking import Progress
from memtui.model.heap import PictureFacts

SEVERAL = [one for one in interpreters() if one.minor in ((3, 8), (3, 13))]
LEAKING = """
import sys
class Order:
    def __init__(self): self.items = [object()]
CACHE = {}
class Registry: seen = []
print("ready", flush=True)
for line in sys.stdin:
    for number in range(int(line)):
        CACHE["%s-%d" % (line, number)] = bytes(1000 + number % 2)
        Registry.seen.append(Order())
    print("done", flush=True)
"""


def memtui(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """``memtui ARGUMENTS`` with no terminal."""
    return subprocess.run(
        [sys.executable, "-m", "memtui", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False, **options,
    )  # fmt: skip


def grow(process: subprocess.Popen[bytes], number: int) -> None:
    assert process.stdin is not None
    process.stdin.write(b"%d\n" % number)
    process.stdin.flush()
    assert line_from(process) == b"done\n"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Three pictures of one leaking program."""
    folder = tmp_path_factory.mktemp("pictures")
    files = [str(folder / f"{name}.memtui") for name in "abc"]
    with running(sys.executable, "-c", LEAKING) as process:
        assert line_from(process) == b"ready\n"
        for number, file in enumerate(files, 1):
            grow(process, 300 * number)
            done = memtui("snapshot", str(process.pid), "-o", file)
            assert done.returncode == 0, done.stderr
        yield files


@pytest.mark.parametrize("one", SEVERAL, ids=str)
def test_two_snapshots_and_their_difference(one: Interpreter, tmp_path: Path) -> None:
    with running(one.path, "-c", LEAKING) as process:
        assert line_from(process) == b"ready\n"
        grow(process, 500)
        first = memtui("snapshot", str(process.pid), cwd=tmp_path)
        assert first.returncode == 0, first.stderr
        (file,) = os.listdir(tmp_path)
        assert file.startswith(f"{process.pid}-20")
        assert file.endswith(".memtui")
        assert "the process was stopped for" in first.stdout
        assert "__main__.CACHE (dict)" in first.stdout
        assert "memtui: references\n" in first.stderr
        grow(process, 2000)
        second = memtui("snapshot", str(process.pid), "-o", "b.memtui", "--json", cwd=tmp_path)
        assert second.stderr == ""
        document = json.loads(second.stdout)
        assert document["schema"] == "memtui.heap-picture/1"
        assert document["pid"] == process.pid
        assert document["stop_seconds"] > 0
        assert Path(document["file"]) == tmp_path / "b.memtui"
    compared = json.loads(memtui("diff", file, "b.memtui", "--json", cwd=tmp_path).stdout)
    assert compared["by"] == "holder"
    assert compared["rows"][0]["label"] == "__main__.CACHE"
    assert compared["rows"][0]["elements_after"] - compared["rows"][0]["elements_before"] == 2000
    assert "__main__.Registry.seen" in {row["label"] for row in compared["rows"]}


def test_differences_in_words(pictures: list[str]) -> None:
    by_holder = memtui("diff", *pictures[:2])
    assert by_holder.returncode == 0
    assert "+600      +1,200  __main__.CACHE (dict)" in by_holder.stdout
    by_type = memtui("diff", *pictures[:2], "--by", "type", "--limit", "3")
    assert len(by_type.stdout.splitlines()) == 7
    by_line = memtui("diff", *pictures[:2], "--by", "line")
    assert by_line.returncode == 0
    assert "tracemalloc was not on" in by_line.stdout


def test_what_was_born_and_is_still_alive(pictures: list[str]) -> None:
    document = json.loads(memtui("diff", *pictures, "--json").stdout)
    assert document["by"] == "born"
    assert len(document["pictures"]) == 3
    born = {row["label"]: row["count_change"] for row in document["rows"]}
    assert born["__main__.CACHE[*]"] == 600
    in_words = memtui("diff", *pictures)
    assert "born" in in_words.stdout


def test_a_quick_picture_has_types_only(tmp_path: Path) -> None:
    with running(sys.executable, "-c", LEAKING) as process:
        line_from(process)
        grow(process, 400)
        done = memtui("snapshot", str(process.pid), "--quick", "-o", "q.memtui", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "  str\n" in done.stdout
        assert "what keeps the most alive" not in done.stdout
        grow(process, 100)
        memtui("snapshot", str(process.pid), "--quick", "-o", "r.memtui", cwd=tmp_path)
    by_type = json.loads(memtui("diff", "q.memtui", "r.memtui", "--by", "type", "--json", cwd=tmp_path).stdout)
    assert {row["label"]: row["count_change"] for row in by_type["rows"]}["__main__.Order"] == 100
    by_holder = memtui("diff", "q.memtui", "r.memtui", cwd=tmp_path)
    assert by_holder.returncode == 2
    assert by_holder.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["snapshot"], 2, "PID of a process, or --core"),
        (["snapshot", "12", "--core", "x"], 2, "PID of a process, or --core"),
        (["snapshot", "nobody"], 2, "is not a process id"),
        (["snapshot", "12", "--exe", "python"], 2, "--exe belongs to --core"),
        (["snapshot", "--core", "x", "--hold"], 2, "not for --core"),
        (["snapshot", "--core", "missing"], 2, "no core file"),
        (["snapshot", "4194304"], 3, "There is no process 4194304"),
        (["snapshot", "4194304", "-o", "missing/x.memtui"], 2, "does not exist"),
        (["snapshot", "4194304", "-o", "."], 2, "is a directory"),
        (["snapshot", "4194304", "-o", "/dev/null"], 2, "no regular file"),
        (["diff", "a"], 2, "two pictures, or three"),
        (["diff", "a", "b", "c", "--by", "type"], 2, "no --by"),
        (["diff", "missing", "b"], 2, "There is no such file"),
        (["diff", ".", "b"], 2, "It is no file"),
        (["diff", "foreign", "foreign"], 2, "foreign"),
        (["diff", "foreign", "foreign", "--limit", "0"], 2, "not a number of rows"),
        (["open", "missing"], 2, "There is no such file"),
        (["open", "foreign"], 2, "needs a terminal"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    (tmp_path / "foreign").write_text("hello")
    done = memtui(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("memtui: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert words in done.stderr
    assert os.listdir(tmp_path) == ["foreign"]


def test_a_file_that_was_cut_off(pictures: list[str], tmp_path: Path) -> None:
    (tmp_path / "cut.memtui").write_bytes(Path(pictures[0]).read_bytes()[:-5000])
    done = memtui("diff", "cut.memtui", pictures[0], cwd=tmp_path)
    assert done.returncode == 2
    assert "damaged" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_no_python_is_refused() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        done = memtui("snapshot", str(process.pid))
        process.kill()
    assert done.returncode == 3
    assert "is no Python process" in done.stderr


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys\nfrom memtui.cli.main import run\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\nsys.exit(run(sys.argv[1:]))"
    )
    with running(sys.executable, "-c", LEAKING) as process:
        line_from(process)
        grow(process, 1000)
        done = subprocess.run(
            [sys.executable, "-c", code, "snapshot", str(process.pid)],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("memtui: ")
    assert os.listdir(tmp_path) == []


def test_ctrl_c_leaves_no_file(tmp_path: Path) -> None:
    with running(sys.executable, "-c", LEAKING) as process:
        line_from(process)
        grow(process, 20_000)
        taking_it = subprocess.Popen(
            [sys.executable, "-m", "memtui", "snapshot", str(process.pid)],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        with taking_it:
            assert taking_it.stderr is not None
            assert b"waiting" in taking_it.stderr.readline()
            taking_it.send_signal(signal.SIGINT)
            assert taking_it.wait(30) == 130
        assert os.listdir(tmp_path) == []
        grow(process, 1)
        until(lambda: Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text() == "")


class StandIn:
    """A job that raises what it is told to."""

    error: Exception = RuntimeError()

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def run(self, progress: Any) -> PictureFacts:
        progress(Progress("reading", 0.2))
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (StopTooLongError("It would be stopped for about 120 ms.", next_step="x"), 3, "--accept-stop"),
        (TargetDiedError("Process 7 ended."), 4, "Process 7 ended."),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_a_job_refuses(
    error: Exception, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(taking, "PictureJob", StandIn)
    monkeypatch.setattr(StandIn, "error", error)
    monkeypatch.chdir(tmp_path)
    with running(sys.executable, "-c", LEAKING) as process:
        line_from(process)
        assert main.run(["snapshot", str(process.pid)]) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("memtui: reading\n")
    assert words in err
    assert os.listdir(tmp_path) == []


def test_json_keeps_stderr_quiet_and_a_terminal_gets_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = ProgressLine(quiet=True)
    quiet.tell("reading", 0.5)
    quiet.end()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    bar = ProgressLine(quiet=False)
    bar.tell("reading", 0.5)
    bar.end()
    assert "[############............]  50 % reading" in capsys.readouterr().err


def test_headless_commands_load_nothing_heavy(pictures: list[str]) -> None:
    code = (
        "import sys\nfrom memtui.cli.main import run\ncode = run(sys.argv[1:])\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "diff", *pictures[:2]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert not set(done.stderr.split()) & {"textual", "rich", "numpy", "plotext"}


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40)])
def test_files_in_a_terminal(pictures: list[str], columns: int, rows: int) -> None:
    with Terminal("open", *pictures[:2], columns=columns, rows=rows) as terminal:
        terminal.wait_for("by holder", "__main__.CACHE dict", "+600")
        terminal.press("\r")
        terminal.wait_for("__main__.CACHE", "held by a module", "▾ holds")
        terminal.press("\x1b")
        terminal.wait_for("by holder")
        terminal.press("h")
        terminal.wait_for("types", "sort retained", "__main__.Order")
        terminal.press("q")
        assert terminal.wait_for_exit() == 0
        terminal.assert_reset()
