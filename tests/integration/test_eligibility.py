from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from interpreters import Interpreter
from observed import as_nobody, line_from, running, until

from memtui.errors import RefusedError
from memtui.observe.eligibility import check_attachable, check_observable
from memtui.observe.process import ProcessReader

WAITING = "import sys; print('ready', flush=True); sys.stdin.read()"
TRACER = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
assert libc.ptrace(0x4206, int(sys.argv[1]), 0, 0) == 0, ctypes.get_errno()
print("seized", flush=True)
sys.stdin.read()
"""
PR_SET_DUMPABLE = 4
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")


def refusal(check: Callable[[int], object], pid: int) -> str:
    with pytest.raises(RefusedError) as caught:
        check(pid)
    return str(caught.value)


def test_a_fit_process(interpreter: Interpreter) -> None:
    with running(interpreter.path, "-c", WAITING) as target:
        line_from(target)
        assert check_observable(target.pid).version == interpreter.version
        assert check_attachable(target.pid).version == interpreter.version


@pytest.mark.parametrize("pid", [0, -1, 1 << 30, 10**30])
def test_no_such_process(pid: int) -> None:
    assert refusal(check_attachable, pid).startswith(f"There is no process {pid}.")


def test_memtui_itself() -> None:
    assert "is memtui itself" in refusal(check_attachable, os.getpid())


def test_a_thread() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        text = refusal(check_observable, thread.native_id or 0)
    finally:
        done.set()
        thread.join()
    assert text == f"{thread.native_id} is a thread of process {os.getpid()}. Use that pid: {os.getpid()}."


def test_a_thread_of_the_kernel() -> None:
    if not Path("/proc/2/comm").exists() or Path("/proc/2/comm").read_text() != "kthreadd\n":
        pytest.skip("no thread of the kernel is to be seen here")
    assert "thread of the kernel" in refusal(check_observable, 2)


def test_a_zombie() -> None:
    with running(sys.executable, "-c", "pass") as target:
        with ProcessReader(target.pid) as process:
            until(lambda: process.state() == "Z")
        text = refusal(check_observable, target.pid)
    assert text.startswith(f"Process {target.pid} has ended.")
    assert f"({os.getpid()})" in text


def test_a_stopped_process_is_observed_but_not_attached_to() -> None:
    with running(sys.executable, "-c", WAITING) as target:
        line_from(target)
        target.send_signal(signal.SIGSTOP)
        with ProcessReader(target.pid) as process:
            until(lambda: process.state() == "T")
            assert check_observable(target.pid)
            assert f"kill -CONT {target.pid}" in refusal(check_attachable, target.pid)
            assert process.state() == "T"
            target.send_signal(signal.SIGCONT)
            until(lambda: process.state() == "S")
        assert check_attachable(target.pid)


def test_a_traced_process_is_observed_but_not_attached_to() -> None:
    with running(sys.executable, "-c", WAITING) as target:
        line_from(target)
        with running(sys.executable, "-c", TRACER, str(target.pid)) as tracer:
            assert line_from(tracer) == b"seized\n"
            assert check_observable(target.pid)
            name = Path(f"/proc/{tracer.pid}/comm").read_text().strip()
            assert f"is being traced by {tracer.pid} ({name})" in refusal(check_attachable, target.pid)
        assert check_attachable(target.pid)


def test_a_shadow_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    status = ProcessReader.status
    monkeypatch.setattr(ProcessReader, "status", lambda self: status(self) | {"x86_Thread_features": "shstk wrss"})
    with running(sys.executable, "-c", WAITING) as target:
        line_from(target)
        assert check_observable(target.pid)
        assert "--observe-only" in refusal(check_attachable, target.pid)


def test_what_is_no_python() -> None:
    with running("sleep", "60") as target:
        until(lambda: os.readlink(f"/proc/{target.pid}/exe") != os.readlink("/proc/self/exe"))
        text = refusal(check_attachable, target.pid)
    assert "is no Python process" in text
    assert "sleep" in text or "busybox" in text or "coreutils" in text


@pytest.mark.parametrize(("name", "words"), [("pypy3", "runs PyPy"), ("python3", "does not export its symbols")])
def test_programs_that_are_python_by_their_name_only(name: str, words: str, tmp_path: Path) -> None:
    program = tmp_path / name
    shutil.copy(shutil.which("sleep") or "sleep", program)
    with running(str(program), "60") as target:
        until(lambda: os.readlink(f"/proc/{target.pid}/exe") == str(program))
        assert words in refusal(check_attachable, target.pid)


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_an_old_python(version: str) -> None:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
    if not found:
        pytest.skip(f"no Python {version} on this machine")
    code = "import sys; sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.read()"
    with running(str(found[0]), "-c", code) as target:
        line_from(target)
        text = refusal(check_attachable, target.pid)
    assert f"runs Python {version[0]}" in text
    assert "CPython 3.8 and newer" in text


@needs_root
def test_another_users_process() -> None:
    with running(sys.executable, "-c", WAITING) as target:
        line_from(target)
        text = as_nobody(lambda: refusal(check_observable, target.pid))
    assert "It belongs to user root. Run memtui as root or with sudo." in text


def nobody_watches_own(prepare: Callable[[], None]) -> str:
    """What is said to nobody about a child of nobody's own that ``prepare`` ran in."""

    def look() -> str:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            prepare()
            os.write(writer, b"x")
            signal.pause()
        try:
            os.read(reader, 1)
            try:
                return check_observable(child).version_text
            except RefusedError as error:
                return str(error)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    return as_nobody(look)


@needs_root
def test_a_process_that_is_protected_from_tracing() -> None:
    libc = ctypes.CDLL(None)
    assert "non-dumpable" in nobody_watches_own(lambda: libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))


@needs_root
def test_without_any_privilege_an_own_process_is_read() -> None:
    libc = ctypes.CDLL(None)
    version = nobody_watches_own(lambda: libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
    assert version == ".".join(map(str, sys.version_info[:3]))
