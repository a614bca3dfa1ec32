"""The caller's side of :mod:`memtui.attach.camera`: starts the helper process, talks to it, outlives it."""

from __future__ import annotations

import marshal
import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any

from memtui import paths
from memtui.attach.copy_guards import stopped_refusal
from memtui.errors import MemtuiError, RefusedError, TargetDiedError

_HELPER = "from memtui.attach.camera import main; main()"
_ANSWER_SECONDS = 60.0
_MOST_BYTES = 1 << 16
_MOST_FILES = 8
_GOOD = ("taken", "stopped", "ready")


class CameraLink:
    """The conversation with one helper process. The helper is never killed: it ends when the conversation does."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(_ANSWER_SECONDS)
        self._said = b""
        root = str(paths.PACKAGE.parent)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {root!r}); {_HELPER}"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )

    @property
    def helper_pid(self) -> int:
        """The number of the helper process."""
        return self._process.pid

    def begin(self, plan: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
        """Have the plan carried out. Returns the answer and the open files that came with it.

        Raises RefusedError when the process is as it was, TargetDiedError when it has ended.
        """
        data = b""
        files: list[int] = []
        with suppress(OSError):  # a helper that is gone is told by its silence
            self._socket.send(marshal.dumps(plan))
            data, files, _, _ = socket.recv_fds(self._socket, _MOST_BYTES, _MOST_FILES)
        answer = marshal.loads(data) if data else self._epitaph()
        if answer["outcome"] in _GOOD:
            return answer, files
        for one in files:
            os.close(one)
        raise self._refusal(answer["outcome"], answer["reason"])

    def finish(self) -> dict[str, Any]:
        """Have the copy removed, and wait for that. Returns the answer; its outcome is "left" when it was not."""
        data = b""
        with suppress(OSError):
            self._socket.send(b"done")
            data = self._socket.recv(_MOST_BYTES)
        answer: dict[str, Any] = marshal.loads(data) if data else self._epitaph() | {"outcome": "left"}
        self.close()
        return answer

    def close(self) -> None:
        """End the conversation and wait for the helper to end."""
        self._socket.close()
        if self._process.returncode is None:
            _, self._said = self._process.communicate()

    def _epitaph(self) -> dict[str, Any]:
        """The answer of a helper that gave none."""
        self.close()
        last = self._said.decode(errors="replace").strip().splitlines()[-1:]
        died = f"it was ended by signal {-self._process.returncode}" if self._process.returncode < 0 else "no message"
        return {"outcome": "broken", "reason": last[0] if last else died}

    def _refusal(self, outcome: str, reason: str) -> MemtuiError:
        pid = self._pid
        if outcome == "ended":
            return TargetDiedError(f"Process {pid} ended while memtui was photographing it.")
        if outcome == "replaced":
            return RefusedError(f"Process {pid} replaced its program (exec) just now.", next_step="Try again.")
        if outcome == "stopped":
            return stopped_refusal(pid, f"Process {pid} is stopped.")
        if outcome == "refused":
            doctor = f"What is in the way says: memtui doctor {pid}"
            return RefusedError(f"Process {pid} cannot be traced: {reason}.", next_step=doctor)
        if outcome == "failed":
            return RefusedError(f"Process {pid} could not be copied.", why=f"The kernel says: {reason}.")
        if outcome == "busy":
            why = f"There was no good moment for it: {reason}."
            return RefusedError(f"Process {pid} could not be photographed.", why=why, next_step="Try again.")
        why = f"{reason[:1].upper()}{reason[1:]}."
        return RefusedError(f"The photographing helper failed; process {pid} was given back.", why=why)
