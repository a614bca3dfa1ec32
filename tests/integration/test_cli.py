"""The command line without a terminal: help, mistakes, refusals, and what a program is asked to be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memtui import __version__
from memtui.cli import main
from memtui.cli.attach import configure as configure_attach
from memtui.cli.attach import parse as parse_attach
from memtui.cli.main import COMMANDS, Parser
from memtui.cli.program import Kind, Program, split
from memtui.cli.run import configure as configure_run
from memtui.cli.run import parse as parse_run
from memtui.errors import MemtuiError, UsageError

NOBODY_HAS_IT = 4194304  # the largest pid a Linux kernel gives is one less


def memtui(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """``memtui ARGUMENTS`` with no terminal."""
    return subprocess.run(
        [sys.executable, "-m", "memtui", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def failed(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and the one sentence of a command line that fails before there is a dashboard."""
    code = main.run(list(arguments))
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("memtui: ")
    assert err.count("\n") == 1, "one line"
    return code, err


class TestHelp:
    def test_nothing_asked(self) -> None:
        done = memtui()
        assert done.returncode == 2
        assert done.stdout == ""
        assert "memtui run --demo" in done.stderr

    def test_overview(self) -> None:
        done = memtui("--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert all(f"\n  {name} " in done.stdout for name in COMMANDS)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_each_command_teaches_by_example(self, name: str) -> None:
        done = memtui(name, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"\n  memtui {name} " in done.stdout.partition("example")[2]

    def test_version(self) -> None:
        done = memtui("--version")
        assert (done.returncode, done.stdout) == (0, f"memtui {__version__}\n")

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
    def test_any_locale(self, encoding: str) -> None:
        done = memtui("run", "--help", env={**os.environ, "PYTHONIOENCODING": encoding})
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_reader_that_has_gone(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "memtui", "--help"], stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False
        )
        os.close(writer)
        assert done.stderr == b""


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ("4242", "To watch process 4242: memtui attach 4242"),
            ("atach 1", "Did you mean: memtui attach"),
            ("pyproject.toml", "To start pyproject.toml: memtui run pyproject.toml"),
            ("sleep 5", "To start sleep: memtui run -- sleep"),
            ("zzzz", "The commands are: attach, run, profile"),
            ("--nonsense", "Unrecognized arguments: --nonsense"),
            ("attach", "PID of a process is missing"),
            ("attach app.py", "'app.py' is not a process id"),
            ("attach 0", "'0' is not a process id"),
            ("attach -- -1", "'-1' is not a process id"),
            ("attach --trace 0", "'0' is not a process id"),
            ("diagnostics 0", "'0' is not a process id"),
            ("record --for 1s 0 -o no.memtui", "'0' is not a process id"),
            ("soak 99999999999", "'99999999999' is not a process id"),
            ("attach 1 --interval 1ms", "'1ms' is not between 100ms and 60s"),
            ("attach 1 --interval soon", "'soon' is not a duration such as 90s"),
            ("attach 1 --trace 0", "A number of frames is between 1 and 65535"),
            ("attach 1 --trace 70000", "A number of frames is between 1 and 65535"),
            ("attach 1 --trace=few", "'few' is not a number of frames"),
            ("run --trace 70000 app.py", "A number of frames is between 1 and 65535"),
            ("attach 1 --observe-only --trace", "--observe-only and --trace contradict each other"),
            ("attach 1 --observe-only --agent", "--observe-only and --agent contradict each other"),
            ("attach 1 --observe-only --via gdb", "--observe-only and --via gdb contradict each other"),
            ("attach 1 --via strace", "invalid choice: 'strace'"),
            ("attach 1 --observe", "Unrecognized arguments: --observe"),
            ("run", "There is nothing to run"),
            ("run --", "Nothing follows --"),
            ("run -m", "Nothing follows -m"),
            ("run --demo app.py", "--demo takes no program"),
            ("run --python python3 -- true", "--python does not go with a command"),
            ("run --observe-only --trace 5 app.py", "--observe-only and --trace contradict each other"),
            ("run --grace soon app.py", "'soon' is not a duration"),
            ("run --no-such app.py", "Unrecognized arguments: --no-such"),
        ],
    )
    def test_say_what_to_do(self, capfd: pytest.CaptureFixture[str], arguments: str, words: str) -> None:
        code, said = failed(capfd, *arguments.split())
        assert code == 2
        assert words in said


class TestRefusals:
    def test_no_such_process(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert failed(capfd, "attach", str(NOBODY_HAS_IT))[0] == 3

    def test_not_python(self, capfd: pytest.CaptureFixture[str]) -> None:
        with subprocess.Popen(["sleep", "60"]) as process:
            try:
                code, said = failed(capfd, "attach", str(process.pid))
            finally:
                process.kill()
        assert code == 3
        assert f"{process.pid}" in said

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["gone.py"], "The script gone.py cannot be started. There is no such file."),
            (["sleep"], "To start the program of that name: memtui run -- sleep"),
            (["empty"], "It is a directory without a __main__.py."),
            (["-m", "no_such_module_at_all"], "finds no module 'no_such_module_at_all'"),
            (["-m", "no_such.part"], "finds no module 'no_such'"),
            (["-m", "app.py/x"], "'app.py/x' is not the name of a module"),
            (["--python", "no-such-python", "app.py"], "There is no Python interpreter 'no-such-python'"),
            (["--", "no-such-program"], "no-such-program cannot be started."),
        ],
    )
    def test_nothing_to_start(
        self,
        capfd: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        arguments: list[str],
        words: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "empty").mkdir()
        (tmp_path / "app.py").touch()
        code, said = failed(capfd, "run", *arguments)
        assert code == 3
        assert words in said

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_script_that_may_not_be_read(self, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        script = tmp_path / "secret.py"
        script.touch(mode=0o000)
        code, said = failed(capfd, "run", str(script))
        assert code == 3
        assert "You may not read it." in said

    def test_a_module_is_found_without_running_its_package(self, tmp_path: Path) -> None:
        package = tmp_path / "shop"
        package.mkdir()
        (package / "__init__.py").write_text("open('it-ran', 'w')")
        done = memtui("run", "-m", "shop.serve", cwd=tmp_path)
        assert "needs a terminal" in done.stderr, "the module was found"
        assert not (tmp_path / "it-ran").exists()

    def test_no_terminal(self) -> None:
        done = memtui("attach", str(os.getpid()))
        assert (done.returncode, done.stdout) == (2, "")
        assert f"Without one, use: memtui profile {os.getpid()} --json" in done.stderr

    def test_nothing_is_started_without_a_terminal(self, tmp_path: Path) -> None:
        done = memtui("run", "--", "touch", str(tmp_path / "started"))
        assert done.returncode == 2
        assert not (tmp_path / "started").exists()


class TestErrorsAtTheEdge:
    @pytest.fixture
    def broken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("memtui.cli.profile.run", self.fail)

    error: BaseException = MemtuiError("It broke.", why="So it goes.", next_step="Try again.")

    def fail(self, _: object) -> int:
        raise self.error

    @pytest.mark.usefixtures("broken")
    def test_a_sentence(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert failed(capfd, "profile", "1") == (3, "memtui: It broke. So it goes. Try again.\n")

    @pytest.mark.usefixtures("broken")
    def test_an_interruption(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setattr(type(self), "error", KeyboardInterrupt())
        assert main.run(["profile", "1"]) == 130
        assert capfd.readouterr() == ("", "")

    @pytest.mark.usefixtures("broken")
    def test_a_mistake_of_ours_is_not_hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "error", ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            main.run(["profile", "1"])


VALUED = ("--output", "--theme")


@pytest.mark.parametrize(
    ("arguments", "options", "program"),
    [
        ([], [], Program(Kind.NONE)),
        (["--demo"], ["--demo"], Program(Kind.NONE)),
        (["app.py"], [], Program(Kind.SCRIPT, ("app.py",))),
        (["app.py", "--help", "-m", "--", ""], [], Program(Kind.SCRIPT, ("app.py", "--help", "-m", "--", ""))),
        (["--keep", "app.py", "--keep"], ["--keep"], Program(Kind.SCRIPT, ("app.py", "--keep"))),
        (["--output", "o", "app.py"], ["--output", "o"], Program(Kind.SCRIPT, ("app.py",))),
        (["--output=o", "app.py"], ["--output=o"], Program(Kind.SCRIPT, ("app.py",))),
        (["--output", "--", "app.py"], ["--output", "--"], Program(Kind.SCRIPT, ("app.py",))),
        (["--trace", "app.py"], ["--trace"], Program(Kind.SCRIPT, ("app.py",))),
        (["--trace", "5", "app.py"], ["--trace", "5"], Program(Kind.SCRIPT, ("app.py",))),
        (["--trace=5", "app.py"], ["--trace=5"], Program(Kind.SCRIPT, ("app.py",))),
        (["--trace", "-m", "pkg", "-m"], ["--trace"], Program(Kind.MODULE, ("pkg", "-m"))),
        (["-mpkg", "x"], [], Program(Kind.MODULE, ("pkg", "x"))),
        (["--keep", "--", "--keep", "-m"], ["--keep"], Program(Kind.COMMAND, ("--keep", "-m"))),
        (["--", "a", "--", "b"], [], Program(Kind.COMMAND, ("a", "--", "b"))),
    ],
)
def test_options_stop_where_the_program_begins(arguments: list[str], options: list[str], program: Program) -> None:
    assert split(arguments, VALUED, ("--trace",)) == (options, program)


def test_every_option_of_run_that_takes_a_value_is_known_to_do_so(tmp_path: Path) -> None:
    parser = Parser()
    configure_run(parser)
    values = {"--interval": "2s", "--grace": "2s", "--trace": "7", "--snapshot-on": "critical"}
    values |= {"--warning": "rss=1GB", "--critical": "rss=1GB", "--cooldown": "2s"}
    for action in parser._actions:
        option = action.option_strings[-1] if action.option_strings else ""
        if option and action.nargs != 0:
            given = [option, values.get(option, "word"), "app.py", "tail"]
            parser = Parser()
            configure_run(parser)
            assert parse_run(parser, given).program == Program(Kind.SCRIPT, ("app.py", "tail")), option


@pytest.mark.parametrize(
    ("arguments", "pid", "frames"),
    [
        ("4242", 4242, None),
        ("4242 --trace", 4242, 1),
        ("4242 --trace 25", 4242, 25),
        ("--trace 25 4242", 4242, 25),
        ("--trace 4242", 4242, 1),
        ("--trace 424242", 424242, 1),
        ("--trace=25 4242", 4242, 25),
    ],
)
def test_frames_and_pid_of_attach(arguments: str, pid: int, frames: int | None) -> None:
    parser = Parser()
    configure_attach(parser)
    args = parse_attach(parser, arguments.split())
    assert (args.pid, args.trace) == (pid, frames)


def test_frames_alone_are_no_pid() -> None:
    parser = Parser()
    configure_attach(parser)
    with pytest.raises(UsageError, match="missing"):
        parse_attach(parser, ["--trace=25"])
