"""Programs that memtui starts: that they notice nothing, what is heard of them, and how they end."""

from __future__ import annotations

import json
import os
import pty
import selectors
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from observed import until
from own_terminal import as_stdin

from memtui.errors import TargetError, WriteError
from memtui.session.workload import Exit, LaunchSpec, Workload

DESCRIBE = Path(__file__).resolve().parent.parent / "programs" / "describe.py"
SECONDS = 20.0

Start = Callable[..., Workload]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workloads that do not outlive the test."""
    started: list[Workload] = []

    def go(*argv: str, environment: dict[str, str] | None = None, **options: Any) -> Workload:
        workload = Workload.start(LaunchSpec(argv, environment or dict(os.environ), **options))
        started.append(workload)
        return workload

    yield go
    for one in started:
        one.end(0)


def python(code: str) -> tuple[str, str, str]:
    return sys.executable, "-c", code


def hear(workload: Workload, until_heard: bytes | None = None) -> bytes:
    """What it writes until it ends, or until it wrote ``until_heard``, waiting as the session does."""
    heard = b""
    end = time.monotonic() + SECONDS
    with selectors.DefaultSelector() as selector:
        if workload.fd is not None:
            selector.register(workload.fd, selectors.EVENT_READ)
        while workload.poll() is None and (until_heard is None or until_heard not in heard):
            assert time.monotonic() < end, f"heard only {heard[-2000:]!r}"
            selector.select(0.05)
            heard += workload.read()
            if workload.fd is None:
                for key in list(selector.get_map().values()):
                    selector.unregister(key.fileobj)
    while until_heard is None and (data := workload.read()):
        heard += data
    return heard


def running(pid: int) -> bool:
    """Whether there is such a process, other than as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class TestEnding:
    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("pass", Exit(0, None, "exited with code 0")),
            ("raise SystemExit(7)", Exit(7, None, "exited with code 7")),
            ("raise SystemExit(255)", Exit(255, None, "exited with code 255")),
            ("1 / 0", Exit(1, None, "exited with code 1")),
            ("import os; os.kill(os.getpid(), 11)", Exit(None, 11, "was killed by SIGSEGV")),
            ("import os; os.kill(os.getpid(), 40)", Exit(None, 40, "was killed by signal 40")),
        ],
    )
    def test_how_it_ended(self, start: Start, code: str, expected: Exit) -> None:
        workload = start(*python(code))
        hear(workload)
        assert workload.poll() == expected
        assert workload.end(1) == expected

    def test_status_is_that_of_a_shell(self) -> None:
        assert Exit(7, None, "").status == 7
        assert Exit(None, signal.SIGKILL, "").status == 137

    def test_no_zombie_is_left(self, start: Start) -> None:
        workload = start(*python("pass"))
        hear(workload)
        workload.end(1)
        assert not Path(f"/proc/{workload.pid}").exists()

    def test_term_first(self, start: Start) -> None:
        code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(3)); print('on'); time.sleep(60)"
        workload = start(*python(code))
        hear(workload, b"on\n")
        assert workload.poll() is None
        assert workload.end(SECONDS) == Exit(3, None, "exited with code 3")

    def test_kill_when_term_is_ignored(self, start: Start) -> None:
        workload = start(
            *python("import signal, time; signal.signal(15, signal.SIG_IGN); print('on'); time.sleep(60)")
        )
        hear(workload, b"on\n")
        assert workload.end(0.2).signal == signal.SIGKILL
        assert not running(workload.pid)

    def test_a_stopped_one_ends_politely(self, start: Start) -> None:
        code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(3)); print('on'); time.sleep(60)"
        workload = start(*python(code))
        hear(workload, b"on\n")
        os.kill(workload.pid, signal.SIGSTOP)
        assert workload.end(SECONDS).code == 3

    def test_twice_is_once(self, start: Start) -> None:
        workload = start(*python("raise SystemExit(7)"))
        hear(workload)
        assert workload.end(1) == workload.end(1) == workload.poll()
        assert workload.read() == b""
        assert workload.fd is None

    def test_long_last_words_do_not_hold_it_up(self, start: Start, tmp_path: Path) -> None:
        code = (
            "import signal, sys, time\n"
            "signal.signal(15, lambda *_: sys.exit(4))\n"
            "try: print('on'); time.sleep(60)\n"
            "finally: print('z' * 500_000)"
        )
        workload = start(*python(code), output=tmp_path / "out")
        hear(workload, b"on\n")
        assert workload.end(SECONDS).code == 4
        assert (tmp_path / "out").read_bytes() == b"on\n" + b"z" * 500_000 + b"\n"

    def test_its_children_end_with_it(self, start: Start) -> None:
        code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid); time.sleep(60)"
        workload = start(*python(code))
        child = int(hear(workload, b"\n"))
        assert running(child)
        workload.end(SECONDS)
        until(lambda: not running(child))

    def test_children_that_outlived_it_end_too(self, start: Start) -> None:
        code = (
            "import subprocess\n"
            "shell = ['sh', '-c', 'trap \"\" HUP TERM; echo on; sleep 60']\n"
            "child = subprocess.Popen(shell, stdout=subprocess.PIPE)\n"
            "child.stdout.readline(); print(child.pid)"
        )
        workload = start(*python(code))
        child = int(hear(workload))
        assert workload.poll() == Exit(0, None, "exited with code 0")
        assert running(child)
        assert workload.end(0.2).code == 0
        until(lambda: not running(child))
        assert not Path(f"/proc/{workload.pid}").exists()

    def test_it_gets_a_hangup_when_memtui_is_killed(self, tmp_path: Path) -> None:
        program = (
            "import os, signal, sys, time\n"
            "signal.signal(signal.SIGHUP, lambda *_: (open(sys.argv[1], 'w').close(), os._exit(0)))\n"
            "print('on'); time.sleep(60)"
        )
        hung_up = tmp_path / "hung-up"
        starter = (
            "import os, sys, time\n"
            "from memtui.session.workload import LaunchSpec, Workload\n"
            "workload = Workload.start(LaunchSpec((sys.executable, '-c', *sys.argv[1:]), dict(os.environ)))\n"
            "while not workload.read(): time.sleep(0.01)\n"
            "os.kill(os.getpid(), 9)"
        )
        subprocess.run([*python(starter), program, str(hung_up)], check=False, timeout=SECONDS)
        until(hung_up.exists)


class TestAsIfStartedWithoutMemtui:
    def described(self, workload: Workload) -> Any:
        return json.loads(hear(workload))

    def plain(self, *argv: str, **options: Any) -> Any:
        return json.loads(subprocess.run(argv, stdout=subprocess.PIPE, check=True, **options).stdout)

    SAME = ("argv", "path", "name", "package", "main", "spec", "cwd", "environ", "executable", "flags")

    @pytest.mark.parametrize("how", ["script", "module"])
    def test_like_plain_python(self, start: Start, tmp_path: Path, how: str) -> None:
        (tmp_path / "described.py").write_text(DESCRIBE.read_text())
        named = ("described.py",) if how == "script" else ("-m", "described")
        argv = (sys.executable, *named, "--help", "-m", "", "a b", "--", "ü", "*", "$HOME", "\n")
        environment = {**os.environ, "NO_COLOR": "1", "FORCE_COLOR": "", "ODD": "a=b\n\udcff", "PYTHONHASHSEED": "0"}
        ours = self.described(start(*argv, environment=environment, cwd=tmp_path))
        theirs = self.plain(*argv, env=environment, cwd=tmp_path)
        assert {key: ours[key] for key in self.SAME} == {key: theirs[key] for key in self.SAME}

    def test_its_terminal(self, start: Start) -> None:
        seen = self.described(start(sys.executable, str(DESCRIBE)))
        assert seen["stdout_tty"]
        assert seen["stderr_tty"]
        assert seen["leader"]
        assert seen["stdin"] == "/dev/null"
        assert seen["fds"] == [0, 1, 2, 3], "the fourth is the listing itself"

    def test_default_signals(self, start: Start) -> None:
        workload = start(*python("print(open('/proc/self/status').read())"))
        status = dict(line.split(":\t") for line in hear(workload).decode().splitlines() if ":\t" in line)
        assert int(status["SigBlk"], 16) == 0
        # Python itself ignores SIGPIPE and SIGXFSZ; nothing else may be ignored.
        assert int(status["SigIgn"], 16) & ~(1 << 12 | 1 << 24) == 0

    def test_sigpipe_is_not_ignored_in_other_programs(self, start: Start) -> None:
        workload = start("sh", "-c", "grep SigIgn /proc/self/status")
        assert int(hear(workload).split()[1], 16) == 0

    def test_a_resize_reaches_it(self, start: Start) -> None:
        code = (
            "import os, signal, time\n"
            "signal.signal(signal.SIGWINCH, lambda *_: print(*os.get_terminal_size()))\n"
            "print('on')\nwhile True: time.sleep(0.05)"
        )
        workload = start(*python(code))
        hear(workload, b"on\n")
        workload.resize(101, 33)
        assert hear(workload, b"101 33")


class TestOutput:
    def test_lines_arrive_one_by_one(self, start: Start) -> None:
        workload = start(*python("import time; print('first'); time.sleep(60)"))
        assert hear(workload, b"first\n") == b"first\n"
        assert workload.poll() is None

    @pytest.mark.parametrize(
        ("code", "words"),
        [("def f(): raise KeyError('gone')\nf()", b"KeyError: 'gone'"), ("x = = 1", b"SyntaxError: invalid syntax")],
    )
    def test_tracebacks(self, start: Start, code: str, words: bytes) -> None:
        workload = start(*python(code))
        assert words in hear(workload)
        assert workload.poll() == Exit(1, None, "exited with code 1")

    def test_every_byte_arrives_as_it_was_written(self, start: Start, tmp_path: Path) -> None:
        workload = start(
            *python("import os\nfor _ in range(64): os.write(1, bytes(range(256)))"), output=tmp_path / "out"
        )
        expected = bytes(range(256)) * 64
        assert hear(workload) == expected
        assert (tmp_path / "out").read_bytes() == expected

    def test_ten_megabytes_neither_block_nor_pile_up(self, start: Start, tmp_path: Path) -> None:
        line = "x" * 99
        tracemalloc.start()
        try:
            workload = start(*python(f"for _ in range(100_000): print({line!r})"), output=tmp_path / "out")
            longest = 0
            end = time.monotonic() + 60
            while workload.poll() is None:
                longest = max(longest, len(workload.read()))
                assert time.monotonic() < end
            workload.end(1)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert (tmp_path / "out").read_bytes() == (line + "\n").encode() * 100_000
        assert longest <= 256 * 1024
        assert peak < 4 * 1024 * 1024

    def test_one_that_closes_its_output_goes_on(self, start: Start) -> None:
        code = "import os, time\nfor fd in 0, 1, 2: os.close(fd)\ntime.sleep(0.5)\nos._exit(5)"
        workload = start(*python(code))
        assert hear(workload) == b""
        assert workload.poll() == Exit(5, None, "exited with code 5")

    def test_a_closed_output_is_nothing_to_wait_for(self, start: Start) -> None:
        workload = start(*python("import os, time\nfor fd in 0, 1, 2: os.close(fd)\ntime.sleep(60)"))

        def quiet() -> bool:
            workload.read()
            return workload.fd is None

        until(quiet)
        assert workload.poll() is None

    def test_an_output_file_that_cannot_be_written(self, tmp_path: Path) -> None:
        with pytest.raises(WriteError, match=r"cannot be written.*No such file.*existing directory"):
            Workload.start(LaunchSpec(python("pass"), dict(os.environ), output=tmp_path / "no" / "out"))

    def test_a_full_disk_stops_the_copy_but_not_the_program(self, start: Start) -> None:
        workload = start(*python("print('x' * 10_000)"), output=Path("/dev/full"))
        assert len(hear(workload)) == 10_001
        assert workload.poll() == Exit(0, None, "exited with code 0")
        assert "No space left on device" in str(workload.output_error)


class TestInput:
    def test_none_without_asking(self, start: Start) -> None:
        workload = start(*python("import sys; print(repr(sys.stdin.read()))"))
        assert hear(workload) == b"''\n"

    def test_what_is_piped_to_memtui(self, start: Start) -> None:
        reader, writer = os.pipe()
        os.write(writer, b"piped\n")
        os.close(writer)
        with as_stdin(reader):
            workload = start(*python("import sys; print(repr(sys.stdin.read()))"), use_stdin=True)
        assert hear(workload) == b"'piped\\n'\n"

    def test_what_is_typed(self, start: Start) -> None:
        ours, theirs = pty.openpty()
        with as_stdin(theirs):
            workload = start(
                *python("import os; print(os.isatty(0)); print('got ' + input('name? '))"), use_stdin=True
            )
        hear(workload, b"name? ")
        workload.send("Ada ü")
        heard = hear(workload)
        assert heard.endswith("got Ada ü\n".encode())
        os.close(ours)


class TestKeeping:
    def test_it_outlives_memtui(self, tmp_path: Path) -> None:
        starter = (
            "import os, sys\n"
            "from pathlib import Path\n"
            "from memtui.session.workload import LaunchSpec, Workload\n"
            "argv = sys.executable, '-c', sys.argv[1]\n"
            "workload = Workload.start(LaunchSpec(argv, dict(os.environ), keep=True, output=Path('out')))\n"
            "print(workload.pid)\n"
            "workload.release()"
        )
        code = "import os, time; print('on', os.isatty(1), flush=True); time.sleep(0.5); print('end')"
        done = subprocess.run(
            [sys.executable, "-X", "dev", *python(starter)[1:], code],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
            timeout=SECONDS,
        )
        assert done.stderr == b"", "nothing warns about a child that still runs"
        until(lambda: (tmp_path / "out").read_text() == "on False\nend\n")
        until(lambda: not running(int(done.stdout)))

    def test_its_output_is_followed(self, start: Start) -> None:
        workload = start(*python("import time; print('one', flush=True); time.sleep(60)"), keep=True)
        assert hear(workload, b"one\n") == b"one\n"
        assert workload.output_path is not None
        assert workload.output_path.read_bytes() == b"one\n"
        workload.end(SECONDS)
        workload.output_path.unlink()

    def test_much_output_is_followed_to_its_end(self, start: Start, tmp_path: Path) -> None:
        workload = start(*python("print('x' * 1_000_000)"), keep=True, output=tmp_path / "out")
        assert hear(workload) == b"x" * 1_000_000 + b"\n"

    def test_one_that_ended_leaves_no_zombie(self, start: Start, tmp_path: Path) -> None:
        workload = start(*python("pass"), keep=True, output=tmp_path / "out")
        until(lambda: workload.poll() is not None)
        workload.release()
        assert not Path(f"/proc/{workload.pid}").exists()


class TestRefusals:
    def test_no_such_program(self) -> None:
        self.refused(r"/no/such cannot be started. There is no such program.", "/no/such")

    def test_not_executable(self, tmp_path: Path) -> None:
        (tmp_path / "plain").write_text("echo")
        self.refused(r"It may not be executed.", str(tmp_path / "plain"))

    def test_no_program_at_all(self, tmp_path: Path) -> None:
        (tmp_path / "plain").write_text("echo")
        (tmp_path / "plain").chmod(0o755)
        self.refused(r"neither a program nor a script with a #! line", str(tmp_path / "plain"))

    def test_no_such_directory(self, tmp_path: Path) -> None:
        self.refused(r"The directory .* does not exist", sys.executable, cwd=tmp_path / "no")

    def refused(self, words: str, *argv: str, **options: Any) -> None:
        before = os.listdir("/proc/self/fd")
        for keep in (False, True):
            with pytest.raises(TargetError, match=words):
                Workload.start(LaunchSpec(argv, dict(os.environ), keep=keep, **options))
        assert os.listdir("/proc/self/fd") == before
