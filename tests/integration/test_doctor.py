"""``memtui doctor`` and ``memtui ps`` name the true reason for real processes."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from attach_driver import ask, leave, state, tasks
from interpreters import Interpreter, current
from observed import as_nobody, line_from, running, until

from memtui.attach.inject import attach_agent
from memtui.attach.survey import find_entry, survey
from memtui.cli import main
from memtui.model.target import Rung
from memtui.observe import diagnosis
from memtui.observe.diagnosis import gather, judge
from memtui.observe.interpreter import find_interpreter
from memtui.observe.machine import read_machine
from memtui.observe.packages import find_package
from memtui.observe.process import ProcessReader
from memtui.observe.processes import python_pids

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = ROOT / "tests" / "programs" / "without_calls.py"
PTRACE, PIDFD_GETFD = "101", "438"
PR_SET_DUMPABLE = 4
NOBODY_HAS_IT = 4194304  # the largest pid a Linux kernel gives is one less
WAITING = "import sys; print('ready', flush=True); sys.stdin.read()"
TRACER = """
import sys
from memtui.attach import ptrace
ptrace.seize(int(sys.argv[1]))
print("traced", flush=True)
sys.stdin.read()
"""
SLEEP_IN_32_BIT = ".globl _start\n_start: mov $29, %eax\nint $0x80\njmp _start\n"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    with running(sys.executable, "-c", WAITING) as process:
        line_from(process)
        yield process


def doctor(capfd: pytest.CaptureFixture[str], pid: int) -> tuple[int, dict[str, Any]]:
    """Exit code and document."""
    code = main.run(["doctor", str(pid), "--json"])
    out, err = capfd.readouterr()
    assert err == ""
    document = json.loads(out)
    assert document["schema"] == "memtui.doctor/1"
    return code, document


def reasons(document: dict[str, Any], rung: str = "agent") -> str:
    """All that is said to be in the way of a rung."""
    one = next(each for each in document["rungs"] if each["rung"] == rung)
    assert one["available"] == (not one["obstacles"])
    return " | ".join(" ".join(filter(None, each.values())) for each in one["obstacles"])


def available(document: dict[str, Any]) -> list[str]:
    return [one["rung"] for one in document["rungs"] if one["available"]]


def test_a_fit_process(capfd: pytest.CaptureFixture[str], interpreter: Interpreter) -> None:
    with running(interpreter.path, "-c", WAITING) as process:
        line_from(process)
        code, document = doctor(capfd, process.pid)
        assert code == 0
        assert available(document)[:3] == ["process", "observe", "agent"]
        assert document["target"]["python"] == ".".join(map(str, interpreter.version))
        assert any(f"thread {process.pid}, which sleeps" in one for one in document["attaching"])
        assert any("MiB of RSS" in one and "may keep" in one for one in document["attaching"])
        assert process.poll() is None
        assert len(tasks(process.pid)) == 1
        assert main.run(["doctor", str(process.pid)]) == 0
        assert "What attaching would do:" in capfd.readouterr().out


def test_no_process(capfd: pytest.CaptureFixture[str]) -> None:
    code, document = doctor(capfd, NOBODY_HAS_IT)
    assert (code, available(document), document["rung"]) == (3, [], None)
    assert f"There is no process {NOBODY_HAS_IT}. To find one: memtui ps" in reasons(document)


def test_a_zombie(capfd: pytest.CaptureFixture[str]) -> None:
    with running(sys.executable, "-c", "pass") as process:
        until(lambda: state(process.pid) == "Z")
        code, document = doctor(capfd, process.pid)
    assert (code, available(document)) == (3, [])
    assert "has ended" in reasons(document)


def test_a_stopped_process(capfd: pytest.CaptureFixture[str], waiting: subprocess.Popen[bytes]) -> None:
    waiting.send_signal(signal.SIGSTOP)
    until(lambda: state(waiting.pid) == "T")
    code, document = doctor(capfd, waiting.pid)
    assert (code, available(document)) == (3, ["process", "observe"])
    assert f"kill -CONT {waiting.pid}" in reasons(document)
    assert state(waiting.pid) == "T"


def test_a_traced_process(capfd: pytest.CaptureFixture[str], waiting: subprocess.Popen[bytes]) -> None:
    with running(sys.executable, "-c", TRACER, str(waiting.pid)) as tracer:
        line_from(tracer)
        code, document = doctor(capfd, waiting.pid)
        assert (code, available(document)) == (3, ["process", "observe"])
        assert f"traced by {tracer.pid} (" in reasons(document)
        assert f"kill -INT {tracer.pid}" in reasons(document)


def test_memtui_itself(capfd: pytest.CaptureFixture[str]) -> None:
    code, document = doctor(capfd, os.getpid())
    assert code == 3
    assert "is memtui itself" in reasons(document)


def test_a_thread_of_the_kernel(capfd: pytest.CaptureFixture[str]) -> None:
    if not Path("/proc/2/comm").exists() or Path("/proc/2/comm").read_text() != "kthreadd\n":
        pytest.skip("no thread of the kernel is to be seen here")
    code, document = doctor(capfd, 2)
    assert code == 3
    assert "thread of the kernel" in reasons(document)


@pytest.mark.parametrize(
    ("name", "words"),
    [("server", "is no Python process"), ("pypy3", "runs PyPy"), ("python3", "does not export its symbols")],
)
def test_what_is_no_cpython(capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str, words: str) -> None:
    program = tmp_path / name
    shutil.copy(shutil.which("sleep") or "sleep", program)
    with running(str(program), "60") as process:
        until(lambda: os.readlink(f"/proc/{process.pid}/exe") == str(program) and state(process.pid) == "S")
        code, document = doctor(capfd, process.pid)
    assert (code, available(document)) == (3, ["process"])
    assert words in reasons(document)


def test_a_32_bit_program(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source, program = tmp_path / "sleep.S", tmp_path / "python3"
    source.write_text(SLEEP_IN_32_BIT)
    command = ["gcc", "-m32", "-nostdlib", "-static", "-o", str(program), str(source)]
    if shutil.which("gcc") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no compiler for 32-bit programs")
    try:
        process = subprocess.Popen([program])
    except OSError:
        pytest.skip("the kernel runs no 32-bit programs")
    with process:
        until(lambda: os.readlink(f"/proc/{process.pid}/exe") == str(program) and state(process.pid) == "S")
        code, document = doctor(capfd, process.pid)
        process.kill()
    assert code == 3
    assert "32-bit" in reasons(document)


def told(*command: str, **options: Any) -> tuple[int, dict[str, Any]]:
    """Exit code and document of ``doctor`` run by another command."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, **options)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_a_filter_that_forbids_ptrace(waiting: subprocess.Popen[bytes]) -> None:
    prefix = [sys.executable, str(WITHOUT), PTRACE, sys.executable, "-m", "memtui", "doctor"]
    code, document = told(*prefix, str(waiting.pid), "--json")
    assert code == 3
    assert available(document)[:2] == ["process", "observe"]
    assert "refuses ptrace to memtui: Operation not permitted. A filter over memtui (seccomp" in reasons(document)
    code, document = told(*prefix, "--json")
    assert code == 3
    blocked = [one["name"] for one in document["machine"] if one["standing"] == "blocked"]
    assert blocked == ["ptrace"]


def test_a_filter_that_forbids_to_fetch_sockets(waiting: subprocess.Popen[bytes]) -> None:
    prefix = [sys.executable, str(WITHOUT), PIDFD_GETFD, sys.executable, "-m", "memtui", "doctor"]
    code, document = told(*prefix, str(waiting.pid), "--json")
    assert code == 0
    assert any("a socket in a directory of its /tmp" in one for one in document["attaching"])
    code, document = told(*prefix, "--json")
    assert code == 0
    channel = next(one for one in document["machine"] if one["name"] == "channel")
    assert (channel["standing"], channel["text"][:12]) == ("limited", "pidfd_getfd:")


@needs_root
def test_root_without_the_capability() -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    with running(sys.executable, "-c", WAITING) as process:
        line_from(process)
        drop = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", sys.executable]
        code, document = told(*drop, "-m", "memtui", "doctor", str(process.pid), "--json")
    assert (code, available(document)) == (3, ["process"])
    assert "--cap-add=SYS_PTRACE" in reasons(document)


def seen_by_nobody(pid: int) -> str:
    document = judge(gather(pid))
    return f"{document.best and document.best.value}: {' | '.join(map(str, document.on(Rung.AGENT).obstacles))}"


@needs_root
def test_another_users_process(waiting: subprocess.Popen[bytes]) -> None:
    text = as_nobody(lambda: seen_by_nobody(waiting.pid))
    assert text.startswith("process: ")
    assert "It belongs to user root. Run memtui as root or with sudo. For example: sudo memtui attach" in text
    assert as_nobody(lambda: str(waiting.pid in python_pids())) == "True"


@needs_root
def test_a_process_that_is_protected_from_tracing() -> None:
    libc = ctypes.CDLL(None)

    def look() -> str:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
            os.write(writer, b"x")
            signal.pause()
        try:
            os.read(reader, 1)
            return seen_by_nobody(child)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    text = as_nobody(look)
    assert text.startswith("process: ")
    assert "non-dumpable" in text
    assert "sudo memtui attach" in text


def test_builds_that_memtui_does_not_know(
    capfd: pytest.CaptureFixture[str], waiting: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = find_interpreter(waiting.pid)
    for pretended, words in (
        (replace(real, free_threaded=True), "free-threaded"),
        (replace(real, version=(3, 99, 0)), "Python 3.99 cannot be read"),
    ):
        monkeypatch.setattr(diagnosis, "find_interpreter", lambda _, result=pretended: result)
        code, document = doctor(capfd, waiting.pid)
        assert (code, available(document)) == (3, ["process"])
        assert words in reasons(document, "observe")
        assert reasons(document)


def test_a_shadow_stack(
    capfd: pytest.CaptureFixture[str], waiting: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    status = ProcessReader.status
    monkeypatch.setattr(ProcessReader, "status", lambda self: status(self) | {"x86_Thread_features": "shstk wrss"})
    code, document = doctor(capfd, waiting.pid)
    assert (code, available(document)) == (3, ["process", "observe"])
    assert "shadow stack" in reasons(document)


@pytest.mark.parametrize(
    ("change", "words"), [({"architecture": "riscv64"}, "This is riscv64."), ({"kernel": "4.19.0"}, "too old")]
)
def test_other_machines(waiting: subprocess.Popen[bytes], change: dict[str, str], words: str) -> None:
    facts = survey(gather(waiting.pid), replace(read_machine(), **change))
    found = judge(facts)
    assert found.best is Rung.OBSERVE
    assert words in str(found.on(Rung.AGENT).obstacles[0])


def test_a_process_whose_address_space_is_used_up(
    capfd: pytest.CaptureFixture[str], waiting: subprocess.Popen[bytes]
) -> None:
    used = int(Path(f"/proc/{waiting.pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(waiting.pid, resource.RLIMIT_AS, (used + 4096, resource.RLIM_INFINITY))
    code, document = doctor(capfd, waiting.pid)
    assert (code, available(document)) == (3, ["process", "observe"])
    assert f"prlimit --as=unlimited --pid {waiting.pid}" in reasons(document)


@pytest.mark.parametrize("hard", [6, 4096])
def test_a_process_whose_files_are_used_up(
    capfd: pytest.CaptureFixture[str], waiting: subprocess.Popen[bytes], hard: int
) -> None:
    resource.prlimit(waiting.pid, resource.RLIMIT_NOFILE, (6, hard))
    code, document = doctor(capfd, waiting.pid)
    said = reasons(document)
    assert (code, available(document)) == (3, ["process", "observe"])
    assert "It may have 6 files open, of which 3 are free; the agent needs 5." in said
    remedy = said[said.index("prlimit") :].rstrip(".").split()
    if hard == 6:
        assert remedy[1] == "--nofile=11"  # raises the hard limit too, which takes the capability SYS_RESOURCE
        return
    subprocess.run(remedy, check=True)
    assert doctor(capfd, waiting.pid)[0] == 0
    resource.prlimit(waiting.pid, resource.RLIMIT_NOFILE, (8, hard))
    attached = attach_agent(waiting.pid)
    ask(attached, "types", limit=5)
    leave(attached)


def test_two_reasons_at_once(waiting: subprocess.Popen[bytes]) -> None:
    waiting.send_signal(signal.SIGSTOP)
    until(lambda: state(waiting.pid) == "T")
    command = [sys.executable, str(WITHOUT), PTRACE, sys.executable, "-m", "memtui", "doctor", str(waiting.pid)]
    _, document = told(*command, "--json")
    stopped, refused = reasons(document).split(" | ")
    assert "is stopped" in stopped
    assert "refuses ptrace" in refused


def test_this_machine(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["doctor"]) in (0, 3)
    names = [line.split()[0] for line in capfd.readouterr().out.splitlines() if not line.startswith(" ")]
    assert names[:5] == ["kernel", "user", "yama", "ptrace", "channel"]


def test_the_thread_that_would_be_borrowed() -> None:
    with running(sys.executable, "-c", "print('ready', flush=True)\nwhile True: pass") as process:
        line_from(process)
        entry = find_entry(process.pid)
        assert (entry.thread, entry.sleeps) == (process.pid, False)


def test_packages_of_a_virtual_environment(tmp_path: Path) -> None:
    home = tmp_path / "venv"
    subprocess.run([current().path, "-m", "venv", "--without-pip", str(home)], check=True, timeout=60)
    site = next((home / "lib").iterdir()) / "site-packages"
    for command in (str(home / "bin" / "python"), "./bin/python"):
        with running(command, "-c", WAITING, cwd=home) as process:
            line_from(process)
            interpreter = find_interpreter(process.pid)
            assert find_package(interpreter, "no_such_package_at_all") is None
            (site / "parcel").mkdir(exist_ok=True)
            (site / "parcel" / "__init__.py").touch()
            assert find_package(interpreter, "parcel") == str(site / "parcel")


def listed(capfd: pytest.CaptureFixture[str]) -> dict[int, dict[str, Any]]:
    assert main.run(["ps", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["schema"] == "memtui.ps/1"
    sizes = [one["rss_bytes"] for one in document["processes"]]
    assert sizes == sorted(sizes, reverse=True)
    return {one["pid"]: one for one in document["processes"]}


def test_the_list_of_processes(capfd: pytest.CaptureFixture[str], interpreter: Interpreter) -> None:
    with running(interpreter.path, "-c", WAITING) as process, running("sleep", "60") as other:
        line_from(process)
        found = listed(capfd)
        assert os.getpid() not in found
        assert other.pid not in found
        one = found[process.pid]
        assert one["python"] == ".".join(map(str, interpreter.version))
        assert one["rung"] in ("agent", "tracer")
        assert one["command"] == [interpreter.path, "-c", WAITING]
        assert 0 <= one["uptime_seconds"] < 60
        assert one["rss_bytes"] > 1 << 20


def test_the_list_says_why_not(capfd: pytest.CaptureFixture[str], waiting: subprocess.Popen[bytes]) -> None:
    waiting.send_signal(signal.SIGSTOP)
    until(lambda: state(waiting.pid) == "T")
    one = listed(capfd)[waiting.pid]
    assert (one["rung"], one["remedy"]) == ("observe", f"Continue it first: kill -CONT {waiting.pid}.")
    assert main.run(["ps"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.split()[0] == str(waiting.pid))
    mark = row[row.index("(") : row.index(")") + 1]
    assert any(line.startswith(f"{mark} ") and "is stopped" in line for line in lines)


@needs_root
def test_processes_of_others_are_listed(waiting: subprocess.Popen[bytes]) -> None:
    def look() -> str:
        from memtui.observe.processes import python_processes

        one = next(each for each in python_processes() if each.pid == waiting.pid)
        return f"{one.best.value} {one.python} {one.obstacle}"

    text = as_nobody(look)
    assert text.startswith("process None The memory of process")
    assert "It belongs to user root." in text
