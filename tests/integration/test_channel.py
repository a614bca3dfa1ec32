"""Both ways to the agent's private channel, and who is kept out of it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attach_driver import PROGRAM, ask, leave, target, wait_until
from interpreters import Interpreter, current, interpreters
from observed import NOBODY, as_nobody, line_from, running

from memtui.attach.inject import attach_agent
from memtui.channel import meeting
from memtui.channel.fetch import Fetched
from memtui.channel.identity import map_user, peer_of, self_seen_by
from memtui.channel.listen import Listener
from memtui.channel.meeting import CHANNEL_VARIABLE, meet
from memtui.errors import RefusedError

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = ROOT / "tests" / "programs" / "without_calls.py"
PIDFD_GETFD = "438"
WAITING = "import sys; print('ready', flush=True); sys.stdin.read()"
CALLING = """
import socket, sys
caller = socket.socket(socket.AF_UNIX)
caller.settimeout(10)
caller.connect(sys.argv[1])
print("in", flush=True)
print(caller.recv(1))
"""
CALLING_AS_AGENT = """
import sys
sys.path.insert(0, sys.argv[1])
from memtui.agent import bootstrap, landing
print("ready", flush=True)
path, pid, uid = sys.stdin.readline().split()
for name in ("Channel", "TURN"):
    setattr(landing, name, getattr(bootstrap, name))
print(landing.call_on(path.encode(), int(pid), int(uid), bootstrap.Arrival(False, bootstrap.Grip())))
"""
LISTENING = """
import os, sys
from memtui.channel.listen import Listener
listener = Listener(int(sys.argv[1]), "abc")
print(os.fsdecode(listener.place[0]), flush=True)
sys.stdin.read()
"""
ATTACHING = """
import sys
from memtui.attach.inject import attach_agent
from memtui.channel.meeting import can_fetch
attached = attach_agent(int(sys.argv[1]))
attached.link.request("ping")
print(can_fetch(), attached.link.wait_for(("reply",), 20)["ok"], flush=True)
"""
UNPRIVILEGED = """
import subprocess, sys
from memtui.attach.inject import attach_agent
from memtui.errors import RefusedError
code = "import sys; print('ready', flush=True); sys.stdin.read()"
with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as own:
    own.stdout.readline()
    attached = attach_agent(own.pid)
    attached.link.request("ping")
    print(attached.link.wait_for(("reply",), 20)["ok"])
    attached.link.close()
    own.kill()
try:
    attach_agent(int(sys.argv[1]))
except RefusedError as error:
    print(error)
"""
AS_NOBODY: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
CHANNELS = ["fetched", "socket"]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHANNEL_VARIABLE, "socket")


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    with running(sys.executable, "-c", WAITING) as process:
        line_from(process)
        yield process


@pytest.fixture
def python_for_all() -> str:
    """An interpreter that any user may run memtui with."""
    for one in (current(), *interpreters()):
        command = [one.path, "-c", "import memtui.attach.inject, memtui.attach.helper"]
        try:
            if one.minor >= (3, 10) and not subprocess.run(command, cwd=ROOT, check=False, **AS_NOBODY).returncode:
                return one.path
        except PermissionError:
            continue
    pytest.skip("no interpreter that runs memtui is within reach of other users")


def left_in(folder: Path | str) -> list[str]:
    """The directories of listeners; other parts of memtui give theirs other names."""
    return [name for name in os.listdir(folder) if re.fullmatch("memtui-[0-9a-f]+", name)]


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("mode", ["compute", "sleep", "no_exec"])
def test_in_and_out_by_a_socket_in_the_file_system(interpreter: Interpreter, mode: str) -> None:
    with target(interpreter, mode) as one:
        before, folders = one.traces(), left_in("/tmp")
        attached = attach_agent(one.pid)
        assert left_in("/tmp") == folders, "removed as soon as the agent is connected"
        assert ask(attached, "ping")
        second = attach_agent(one.pid)
        assert second.hello["viewers"] == 2
        leave(second)
        leave(attached)
        one.check_as_before(before)


def test_the_better_way_is_taken_where_it_works(
    waiting: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(meet(waiting.pid, "0")) as way:
        assert isinstance(way, Fetched)

    def refuse() -> None:
        raise RefusedError("No.")

    monkeypatch.setattr(meeting, "check_supported", refuse)
    with closing(meet(waiting.pid, "1")) as way:
        assert isinstance(way, Listener)


def test_where_a_filter_forbids_to_fetch(waiting: subprocess.Popen[bytes]) -> None:
    command = [sys.executable, str(WITHOUT), PIDFD_GETFD, sys.executable, "-c", ATTACHING, str(waiting.pid)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("False True\n", "")


@pytest.mark.usefixtures("listening")
def test_the_targets_own_temporary_directory_is_used(tmp_path: Path) -> None:
    with running(sys.executable, "-c", WAITING, env={**os.environ, "TMPDIR": str(tmp_path)}) as process:
        line_from(process)
        with closing(Listener(process.pid, "abc")) as listener:
            assert listener.place[0] == os.fsencode(tmp_path / "memtui-abc" / "s")
            assert (tmp_path / "memtui-abc").stat().st_mode & 0o777 == 0o700
        assert list(tmp_path.iterdir()) == []
        attach_agent(process.pid).link.close()
        assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_does_not_lead_memtui_astray(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with running(sys.executable, "-c", WAITING, env={**os.environ, "TMPDIR": str(tmp_path / "link")}) as process:
        line_from(process)
        with closing(Listener(process.pid, "abc")) as listener:
            assert not listener.place[0].startswith(os.fsencode(tmp_path))
            assert list((tmp_path / "real").iterdir()) == []


def test_no_directory_at_all(waiting: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memtui.channel.listen._CANDIDATES", ("/proc", "/no/such", "/x" * 60))
    monkeypatch.setattr("memtui.channel.listen.read_proc", lambda *_: b"")
    with pytest.raises(RefusedError, match="No socket for the agent can be made") as caught:
        Listener(waiting.pid, "abc")
    assert "/no/such: No such file or directory" in str(caught.value)
    assert "too long a path" in str(caught.value)


def test_another_process_of_the_same_user_is_sent_away(waiting: subprocess.Popen[bytes]) -> None:
    with closing(Listener(waiting.pid, "abc")) as listener:
        path = os.fsdecode(listener.place[0])
        with running(sys.executable, "-c", CALLING, path) as stranger:
            assert line_from(stranger) == b"in\n"
            assert listener.poll() is None
            assert line_from(stranger) == b"b''\n"
        assert os.path.exists(path), "the agent may still come"


def test_the_one_it_waits_for_is_let_in(waiting: subprocess.Popen[bytes]) -> None:
    with closing(Listener(os.getpid(), "abc")) as listener, socket.socket(socket.AF_UNIX) as caller:
        caller.connect(listener.place[0])
        assert peer_of(caller) == (os.getpid(), os.geteuid())
        connection = listener.poll()
        assert connection is not None
        connection.close()
        assert not os.path.exists(os.path.dirname(listener.place[0]))


@needs_root
def test_another_user_cannot_connect(waiting: subprocess.Popen[bytes]) -> None:
    with closing(Listener(waiting.pid, "abc")) as listener:

        def call() -> str:
            try:
                with socket.socket(socket.AF_UNIX) as caller:
                    caller.connect(listener.place[0])
                return "connected"
            except PermissionError:
                return "refused"

        assert as_nobody(call) == "refused"
        assert listener.poll() is None


@needs_root
def test_another_user_cannot_fetch_the_channel() -> None:
    with target(current(), "sleep") as one:
        attached = attach_agent(one.pid)

        def fetch_all() -> str:
            try:
                return str(os.listdir(f"/proc/{one.pid}/fd"))
            except PermissionError:
                return "refused"

        assert as_nobody(fetch_all) == "refused"
        leave(attached)


def test_the_end_of_the_process_is_noticed(waiting: subprocess.Popen[bytes]) -> None:
    with closing(Listener(waiting.pid, "abc")) as listener:
        waiting.kill()
        waiting.wait()
        with pytest.raises(FileNotFoundError):
            listener.poll()


@pytest.fixture
def agent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that calls at the place it reads (path, pid, uid), as the bootstrap does, and writes how it went."""
    with running(sys.executable, "-c", CALLING_AS_AGENT, str(ROOT)) as process:
        line_from(process)
        yield process


@pytest.mark.parametrize("wrong", ["process", "user"])
def test_the_agent_hangs_up_on_a_false_memtui(wrong: str, agent: subprocess.Popen[bytes]) -> None:
    with closing(Listener(agent.pid, "abc")) as listener:
        path, pid, uid = listener.place
        assert (pid, uid) == (os.getpid(), os.geteuid())
        false = (pid + 1, uid) if wrong == "process" else (pid, uid + 1)
        out, _ = agent.communicate(b"%s %d %d\n" % (path, *false), timeout=20)
        assert out == b"None\n"


def test_the_agent_removes_what_a_killed_memtui_left(agent: subprocess.Popen[bytes]) -> None:
    with running(sys.executable, "-c", LISTENING, str(agent.pid), cwd=ROOT) as memtui:
        path = line_from(memtui).strip()
    assert os.path.exists(path)
    out, _ = agent.communicate(b"%s %d %d\n" % (path, memtui.pid, os.geteuid()), timeout=20)
    assert out == b"None\n"
    assert not os.path.exists(os.path.dirname(path))


def test_names_of_users_in_other_namespaces() -> None:
    assert map_user(100005, [[0, 100000, 65536]]) == 5
    assert map_user(7, [[0, 1000, 1], [1, 5, 10]]) == 3
    assert map_user(7, [[0, 100000, 65536]]) == int(Path("/proc/sys/kernel/overflowuid").read_text())
    assert self_seen_by(os.getpid()) == (os.getpid(), os.geteuid())


@needs_root
@pytest.mark.usefixtures("listening")
def test_root_attaches_to_another_users_process(python_for_all: str) -> None:
    with running(python_for_all, "-c", WAITING, **AS_NOBODY) as process:
        line_from(process)
        before = left_in("/tmp")
        with closing(Listener(process.pid, "abc")) as listener:
            assert os.stat(os.path.dirname(listener.place[0])).st_uid == NOBODY
        attached = attach_agent(process.pid)
        ask(attached, "ping")
        assert left_in("/tmp") == before
        leave(attached)


@needs_root
@pytest.mark.parametrize("channel", CHANNELS)
def test_without_any_privilege(channel: str, waiting: subprocess.Popen[bytes], python_for_all: str) -> None:
    environment = {**os.environ, CHANNEL_VARIABLE: channel}
    command = [python_for_all, "-c", UNPRIVILEGED, str(waiting.pid)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False, **AS_NOBODY
    )
    worked, refused = done.stdout.splitlines()
    assert worked == "True"
    assert "It belongs to user root. Run memtui as root or with sudo." in refused


UNSHARE = ("unshare", "--pid", "--mount", "--net", "--ipc", "--fork", "--kill-child")
ENTER = """
set -e
root=$1; shift
for folder in usr lib lib64 bin; do
    if [ -L /$folder ]; then cp -P /$folder $root/; else mkdir $root/$folder; mount --rbind /$folder $root/$folder; fi
done
mkdir -p $root/tmp $root/proc $root/opt/python "$root$(dirname "$PROGRAM")"
mount -t proc proc $root/proc
mount --bind "$PREFIX" $root/opt/python
mount --bind "$(dirname "$PROGRAM")" "$root$(dirname "$PROGRAM")"
exec chroot $root /usr/bin/env LD_LIBRARY_PATH=/opt/python/lib "$@"
"""


def places(pid: int) -> list[str]:
    """The meeting places in the target's own /tmp (which may also hold the checkout that is being tested)."""
    return [one for one in os.listdir(Path(f"/proc/{pid}/root", "tmp")) if one.startswith("memtui-")]


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_target_with_another_root_in_namespaces_of_its_own(
    channel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("namespaces are not permitted here")
    monkeypatch.setenv(CHANNEL_VARIABLE, channel)
    monkeypatch.setenv("PROGRAM", str(PROGRAM))
    monkeypatch.setenv("PREFIX", sys.base_prefix)
    monkeypatch.delenv("TMPDIR", raising=False)
    python = f"/opt/python/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    with target(python, "loop", *UNSHARE, "sh", "-c", ENTER, "enter", str(tmp_path)) as one:
        outer = int(Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text().split()[0])
        assert os.readlink(f"/proc/{outer}/root") == str(tmp_path)
        for kind in ("pid", "mnt", "net"):
            assert os.readlink(f"/proc/{outer}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
        assert self_seen_by(outer)[0] == 0
        if channel == "socket":
            with closing(Listener(outer, "abc")) as listener:
                assert listener.place[0] == b"/tmp/memtui-abc/s"
                assert places(outer) == ["memtui-abc"]
        attached = attach_agent(outer)
        assert attached.hello["pid"] == 1
        ask(attached, "trace_start", frames=1)
        assert places(outer) == []
        leave(attached)
        wait_until(lambda: len(os.listdir(f"/proc/{outer}/task")) == 1, "the agent's thread ends")


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_program_whose_sockets_do_not_wait(channel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHANNEL_VARIABLE, channel)
    code = "import socket, sys; socket.setdefaulttimeout(0.001); print(flush=True); sys.stdin.read()"
    with running(sys.executable, "-c", code) as process:
        line_from(process)
        attached = attach_agent(process.pid)
        assert ask(attached, "types")["ok"]
        leave(attached)


KEEPING = """
import sys, threading, time
if sys.argv[1] == "ctypes":
    from ctypes import PyDLL
    keep = PyDLL(None).usleep
else:
    import re
    keep = lambda microseconds: re.match("(a|a)*b", "a" * 23)
print(flush=True)
end = time.monotonic() + 60
while time.monotonic() < end:
    keep(1200000)
"""


@pytest.mark.parametrize("kind", ["ctypes", "re"])
def test_where_c_code_keeps_the_gil_for_long_at_a_time(kind: str) -> None:
    with running(sys.executable, "-c", KEEPING, kind) as process:
        line_from(process)
        for _ in range(2):
            attached = attach_agent(process.pid)
            assert ask(attached, "types")["ok"]
            leave(attached)
            wait_until(lambda: len(os.listdir(f"/proc/{process.pid}/task")) == 1, "the agent goes")
        assert sorted(os.listdir(f"/proc/{process.pid}/fd")) == ["0", "1", "2"]
        assert process.poll() is None
