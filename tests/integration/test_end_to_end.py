"""memtui as a person meets it: in a real terminal, on real programs, by its keys."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from observed import until
from own_terminal import Terminal, only, processes_with, without_size

import memtui.report

PROGRAMS = Path(__file__).resolve().parent.parent / "programs"
SCHEMA = json.loads((Path(memtui.report.__path__[0]) / "schema.json").read_text())
SHOP = PROGRAMS / "shop.py"
CTRL_C = "\x03"


def valid_report(path: Path) -> Any:
    report = json.loads(path.read_text())
    jsonschema.validate(report, SCHEMA)
    return report


def script(folder: Path, text: str) -> str:
    """A script with a name that no other process has."""
    path = folder / f"program_{folder.name}.py"
    path.write_text(text)
    return str(path)


class Shop:
    """A target that memtui did not start."""

    def __init__(self, folder: Path) -> None:
        self._answer = folder / "answer"
        self.process = subprocess.Popen([sys.executable, str(SHOP), str(self._answer)], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"shop open\n"
        self.pid = self.process.pid

    def sees(self) -> Any:
        """What it sees of itself."""
        self._answer.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
        until(self._answer.exists)
        return json.loads(self._answer.read_text())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    one = Shop(tmp_path)
    yield one
    one.process.kill()
    one.process.communicate()


class TestRun:
    def test_the_demo(self, tmp_path: Path) -> None:
        with Terminal("run", "--demo", "--report", "end.json", cwd=tmp_path) as terminal:
            terminal.wait_for("memtui pid", "Python 3", "RSS", "agent inside")
            terminal.press("t")
            terminal.wait_for("leaky_shop.py:", "Tracing on")
            terminal.press("s")
            terminal.wait_for("Snapshot 1")
            terminal.press("e")
            terminal.wait_until(lambda: list(tmp_path.glob("memtui-*.json")) != [])
            workload = only(processes_with("demo/leaky_shop.py", terminal.process.pid))
            terminal.press("q")
            assert terminal.wait_for_exit() == 0, "the demo ends politely"
            terminal.assert_reset()
        assert not Path(f"/proc/{workload}").exists()
        for path in (only(list(tmp_path.glob("memtui-*.json"))), tmp_path / "end.json"):
            report = valid_report(path)
            assert report["target"]["pid"] == workload
            assert report["memory"]["rss_bytes"]["last"] > 0
            assert any(row["file"].endswith("leaky_shop.py") for row in report["allocations"])

    def test_its_exit_code_and_output(self, tmp_path: Path) -> None:
        program = script(tmp_path, "import sys, time\ntime.sleep(0.5)\nprint('given', sys.argv[1:])\nsys.exit(7)")
        with Terminal("run", "--output", "out", program, "--help", "a b", cwd=tmp_path) as terminal:
            terminal.wait_for("exited with code 7", "given ['--help', 'a b']")
            terminal.press("q")
            assert terminal.wait_for_exit() == 7
            terminal.assert_reset()
        assert (tmp_path / "out").read_text() == "given ['--help', 'a b']\n"

    @pytest.mark.parametrize(
        ("text", "words"),
        [("raise KeyError('gone')", "KeyError: 'gone'"), ("x = = 1", "SyntaxError: invalid syntax")],
    )
    def test_a_crash_is_shown_and_not_lost(self, tmp_path: Path, text: str, words: str) -> None:
        with Terminal("run", script(tmp_path, text)) as terminal:
            terminal.wait_for("exited with code 1", words)
            terminal.press("q")
            assert terminal.wait_for_exit() == 1
            terminal.assert_reset()
        assert words.encode() in terminal.raw.rpartition(b"\x1b[?1049l")[2]

    def test_killed_by_a_signal(self, tmp_path: Path) -> None:
        with Terminal("run", script(tmp_path, "import os\nos.kill(os.getpid(), 11)")) as terminal:
            terminal.wait_for("killed by SIGSEGV")
            terminal.press("q")
            assert terminal.wait_for_exit() == 128 + 11

    def test_a_program_that_ends_at_once(self) -> None:
        with Terminal("run", "--", "false") as terminal:
            terminal.wait_for("exited with code 1")
            terminal.press("q")
            assert terminal.wait_for_exit() == 1

    def test_a_command_with_a_python_below_it(self, tmp_path: Path) -> None:
        program = script(tmp_path, "import time\ntime.sleep(60)")
        with Terminal("run", "--", "sh", "-c", f"{sys.executable} {program}; true") as terminal:
            terminal.wait_for("Python 3", "agent inside")
            terminal.press("q")
            terminal.wait_for_exit()
        assert processes_with(program) == []

    def test_quitting_ends_a_program_that_does_not_want_to(self, tmp_path: Path) -> None:
        text = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('deaf')\ntime.sleep(60)"
        program = script(tmp_path, text)
        with Terminal("run", "--grace", "100ms", program) as terminal:
            terminal.wait_for("q Quit")
            terminal.press("w")
            terminal.wait_for("deaf")
            terminal.press("q")
            assert terminal.wait_for_exit() == 128 + 9
        assert processes_with(program) == []

    def test_keep(self, tmp_path: Path) -> None:
        program = script(tmp_path, "import time\nprint('kept', flush=True)\ntime.sleep(60)")
        with Terminal("run", "--keep", "--output", "out", program, cwd=tmp_path) as terminal:
            terminal.wait_for("agent inside")
            terminal.press("w")
            terminal.wait_for("kept")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
        kept = only(processes_with(program))
        try:
            assert f"goes on as process {kept}".encode() in terminal.raw
            assert (tmp_path / "out").read_text() == "kept\n"
        finally:
            os.kill(kept, signal.SIGKILL)

    def test_typing_to_it(self, tmp_path: Path) -> None:
        program = script(tmp_path, "import time\nprint('got', input())\ntime.sleep(60)")
        with Terminal("run", "--stdin", program) as terminal:
            terminal.wait_for("agent inside")
            terminal.press("w")
            terminal.wait_for("a line for the workload")
            terminal.press("hello\r")
            terminal.wait_for("got hello")
            terminal.press(CTRL_C)
            assert terminal.wait_for_exit() == 130

    def test_piped_input_is_the_programs(self, tmp_path: Path) -> None:
        program = script(tmp_path, "import sys, time\nprint(sys.stdin.read().upper())\ntime.sleep(60)")
        reader, writer = os.pipe()
        os.write(writer, b"from a pipe")
        os.close(writer)
        with Terminal("run", "--stdin", program, stdin=reader) as terminal:
            os.close(reader)
            terminal.wait_for("agent inside")
            terminal.press("w")
            terminal.wait_for("FROM A PIPE")
            terminal.press("q")
            assert terminal.wait_for_exit() == 128 + 15
            terminal.assert_reset()

    def test_environment(self, tmp_path: Path) -> None:
        text = "import os, json\nprint(json.dumps(dict(os.environ)))"
        environment = {"NO_COLOR": "1", "LINES": "", "ODD": "ü=\n"}
        with Terminal(
            "run", "--output", "out", script(tmp_path, text), cwd=tmp_path, environment=environment
        ) as terminal:
            terminal.wait_for("exited with code 0")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
        seen = json.loads((tmp_path / "out").read_text())
        assert seen == {**without_size(os.environ), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment}


class TestAttach:
    def test_everything_and_nothing_left(self, shop: Shop, tmp_path: Path) -> None:
        before = shop.sees()
        leak = 1 + SHOP.read_text().splitlines().index("    KEPT.append(bytearray(5000))  # THE LEAK")
        with Terminal("attach", str(shop.pid), "--interval", "250ms", cwd=tmp_path) as terminal:
            terminal.wait_for(f"pid {shop.pid}", "Python 3", "RSS", "700")
            assert shop.sees() == before, "observing puts nothing in"
            terminal.press("t")
            terminal.wait_for(f"shop.py:{leak}")
            assert shop.sees()["tracing"]
            terminal.press("s")
            terminal.wait_for("Snapshot 1")
            terminal.press("s")
            terminal.wait_for("Snapshot 2")
            terminal.press("g")
            terminal.wait_for("objects", "freed")
            terminal.press("d")
            terminal.wait_for("by holder")
            terminal.press("bb")
            terminal.wait_for("by line", "+", f"shop.py:{leak}")
            terminal.press("\x1b")
            terminal.wait_for("memory over time")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
            terminal.assert_reset()
        assert shop.sees() == before

    def test_observing_only(self, shop: Shop) -> None:
        before = shop.sees()
        with Terminal("attach", str(shop.pid), "--observe-only") as terminal:
            terminal.wait_for("RSS", "700")
            terminal.press("t")
            terminal.wait_for("--observe-only")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
        assert shop.sees() == before

    def test_ctrl_c_is_an_interruption(self, shop: Shop) -> None:
        with Terminal("attach", str(shop.pid), "--agent") as terminal:
            terminal.wait_for("agent inside")
            terminal.press(CTRL_C)
            assert terminal.wait_for_exit() == 130
            terminal.assert_reset()
        assert shop.sees()["threads"] == 1

    def test_a_target_that_is_killed(self, shop: Shop, tmp_path: Path) -> None:
        with Terminal("attach", str(shop.pid), cwd=tmp_path) as terminal:
            terminal.wait_for("RSS", "700")
            shop.process.kill()
            shop.process.wait()
            terminal.wait_for("ended")
            terminal.press("e")
            terminal.wait_until(lambda: list(tmp_path.glob("memtui-*.json")) != [])
            terminal.press("q")
            assert terminal.wait_for_exit() == 4
        assert valid_report(only(list(tmp_path.glob("memtui-*.json"))))["observed"]["samples"] > 0

    def test_two_at_once(self, shop: Shop) -> None:
        with Terminal("attach", str(shop.pid), "--agent") as one, Terminal("attach", str(shop.pid), "--agent") as two:
            one.wait_for("agent inside")
            two.wait_for("agent inside")
            one.press("q")
            assert one.wait_for_exit() == 0
            two.press("t")
            two.wait_for("shop.py:")
            two.press("q")
            assert two.wait_for_exit() == 0
        assert shop.sees()["threads"] == 1

    def test_another_size_at_any_time(self, shop: Shop) -> None:
        with Terminal("attach", str(shop.pid), "--interval", "100ms") as terminal:
            terminal.wait_for("RSS", "q Quit")
            for columns, rows in (80, 24), (20, 6), (200, 60), (1, 1), (120, 40):
                drawn = len(terminal.raw)
                terminal.resize(columns, rows)
                terminal.wait_until(lambda drawn=drawn: len(terminal.raw) > drawn)
            terminal.wait_for("RSS", "q Quit", "memory over time")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
    def test_an_orderly_end(self, tmp_path: Path, number: signal.Signals) -> None:
        program = script(tmp_path, "import time\ntime.sleep(60)")
        with Terminal("run", "--report", "end.json", program, cwd=tmp_path) as terminal:
            terminal.wait_for("agent inside")
            terminal.signal(number)
            assert terminal.wait_for_exit() == 128 + number
            terminal.assert_reset()
        assert processes_with(program) == []
        assert valid_report(tmp_path / "end.json")["observed"]["samples"] > 0

    def test_attached_and_told_to_end(self, shop: Shop) -> None:
        before = shop.sees()
        with Terminal("attach", "--trace", "--interval", "250ms", str(shop.pid)) as terminal:
            terminal.wait_for("shop.py:")
            terminal.signal(signal.SIGTERM)
            assert terminal.wait_for_exit() == 143
            terminal.assert_reset()
        assert shop.sees() == before

    def test_the_window_is_closed(self, tmp_path: Path) -> None:
        program = script(tmp_path, "import time\ntime.sleep(60)")
        with Terminal("run", "--report", "end.json", program, cwd=tmp_path) as terminal:
            terminal.wait_for("agent inside")
            terminal.close()
            assert terminal.wait_for_exit() == 128 + signal.SIGHUP
        assert processes_with(program) == []
        assert valid_report(tmp_path / "end.json")["observed"]["samples"] > 0


class TestTerminals:
    @pytest.mark.parametrize("term", ["dumb", "", "unknown"])
    def test_one_that_cannot_do_it(self, shop: Shop, term: str) -> None:
        with Terminal("attach", str(shop.pid), environment={"TERM": term}) as terminal:
            assert terminal.wait_for_exit() == 2
        assert f"memtui profile {shop.pid} --json".encode() in terminal.raw
        assert b"\x1b" not in terminal.raw

    def test_standard_input_elsewhere(self, shop: Shop) -> None:
        with open(os.devnull) as nothing, Terminal("attach", str(shop.pid), stdin=nothing.fileno()) as terminal:
            assert terminal.wait_for_exit() == 2
        assert b"standard input, which is not a terminal" in terminal.raw

    def test_standard_output_elsewhere(self, shop: Shop, tmp_path: Path) -> None:
        out = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
        with Terminal("attach", str(shop.pid), stdout=out, columns=150) as terminal:
            os.close(out)
            terminal.wait_for("RSS", "q Quit")
            assert max(map(len, terminal.text.splitlines())) > 130, "all of the width is used"
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
        assert (tmp_path / "out").read_bytes() == b""

    @pytest.mark.parametrize(
        "locale", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "latin-1"}]
    )
    def test_one_that_knows_no_unicode(self, shop: Shop, locale: dict[str, str]) -> None:
        with Terminal("attach", str(shop.pid), environment=locale) as terminal:
            terminal.wait_for("RSS", "q Quit")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
            terminal.assert_reset()
        assert b"\\u" not in terminal.raw

    def test_a_report_that_could_not_be_written_is_refused_first(self, shop: Shop, tmp_path: Path) -> None:
        for path, words in ("no/such/end.json", b"does not exist"), (".", b"It is a directory"):
            with Terminal("attach", str(shop.pid), "--report", path, cwd=tmp_path) as terminal:
                assert terminal.wait_for_exit() == 2
            assert words in terminal.raw
            assert b"\x1b" not in terminal.raw
