"""Starting a host with the agent in it, and talking to both."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interpreters import Interpreter

from memtui.attach.plan import AGENT_MODULES
from memtui.protocol import Decoder, Frame, encode

TESTS = Path(__file__).resolve().parents[1]
PROGRAM = TESTS / "programs" / "agent_host.py"
AGENT = TESTS.parent / "memtui" / "agent"
NAMES = ",".join(AGENT_MODULES)
DEADLINE_SECONDS = 30.0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.005)


def readable(connection: socket.socket) -> None:
    assert select.select([connection], [], [], DEADLINE_SECONDS)[0], "no answer came"


class Viewer:
    """memtui's end of a connection to the agent."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._decoder = Decoder()
        self._frames: list[Frame] = []
        self._last_id = 0

    def frame(self, kind: str) -> Frame:
        """The next frame of a kind; frames of other kinds are kept."""
        while True:
            for frame in self._frames:
                if frame["t"] == kind:
                    self._frames.remove(frame)
                    return frame
            readable(self.socket)
            data = self.socket.recv(65536)
            assert data, "the agent closed the connection"
            self._frames.extend(self._decoder.feed(data))

    def send(self, do: str, **arguments: Any) -> int:
        self._last_id += 1
        self.socket.sendall(encode({"id": self._last_id, "do": do, **arguments}))
        return self._last_id

    def ask(self, do: str, **arguments: Any) -> Frame:
        """Request and reply; the request has to be carried out."""
        reply = self.reply(do, **arguments)
        assert reply["ok"], reply
        return reply

    def refusal(self, do: str, **arguments: Any) -> str:
        """The sentence with which the request is refused."""
        reply = self.reply(do, **arguments)
        assert not reply["ok"]
        return str(reply["error"])

    def reply(self, do: str, **arguments: Any) -> Frame:
        number = self.send(do, **arguments)
        reply = self.frame("reply")
        assert reply["id"] == number
        return reply

    def is_cut(self) -> bool:
        """Whether the agent has closed this connection; what it sent before is thrown away."""
        while select.select([self.socket], [], [], 0)[0]:
            try:
                if not self.socket.recv(1 << 20):
                    return True
            except ConnectionResetError:
                return True
        return False

    def close(self) -> None:
        self.socket.close()


class Host:
    """A running agent_host program."""

    def __init__(self, interpreter: Interpreter, *options: str) -> None:
        mine, other = socket.socketpair()
        self._control = mine
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        with other:
            command = [interpreter.path, *options, str(PROGRAM), str(other.fileno()), str(AGENT), NAMES]
            self.process = subprocess.Popen(command, pass_fds=[other.fileno()], stderr=self._errors)
        self.pid = self.process.pid

    def tell(self, name: str, connection: socket.socket | None = None, **arguments: Any) -> Any:
        """Run one of the program's commands on its main thread."""
        message = json.dumps([name, arguments]).encode()
        if connection is None:
            self._control.sendall(message)
        else:
            socket.send_fds(self._control, [message], [connection.fileno()])
        readable(self._control)
        try:
            return json.loads(self._control.recv(1 << 20))
        except (OSError, ValueError):
            raise AssertionError(f"the program broke: {self.errors()}") from None

    def start(self, send_buffer: int | None = None, **settings: Any) -> Viewer:
        """Put the agent in, with one viewer. ``settings`` replace constants of its wire module."""
        return self._viewer("start", send_buffer, settings)

    def join(self, send_buffer: int | None = None) -> Viewer:
        """One more viewer for the running agent."""
        return self._viewer("adopt", send_buffer, {})

    def _viewer(self, command: str, send_buffer: int | None, settings: dict[str, Any]) -> Viewer:
        mine, other = socket.socketpair()
        if send_buffer is not None:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        with other:
            assert self.tell(command, other, **settings) is not False, "the agent did not adopt the viewer"
        return Viewer(mine)

    def traces(self) -> dict[str, Any]:
        """Everything the agent might leave behind, as seen from inside and outside."""
        return {
            **self.tell("residue"),
            "fds": sorted(os.listdir(f"/proc/{self.pid}/fd"), key=int),
            "tasks": len(os.listdir(f"/proc/{self.pid}/task")),
        }

    def wait_for_leave(self) -> None:
        """Until the agent's thread is gone."""
        wait_until(lambda: len(os.listdir(f"/proc/{self.pid}/task")) == 1, "the agent's thread ends")

    def end(self) -> tuple[int, str]:
        """Let the program end by itself; returns its exit code and what it wrote to stderr."""
        self._control.sendall(b'["exit", {}]')
        code = self.process.wait(DEADLINE_SECONDS)
        return code, self.errors()

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode()

    def close(self) -> None:
        self._control.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._errors.close()


def known_line(mark: str) -> int:
    """Number of the line of the program that carries ``# known line: MARK``."""
    lines = PROGRAM.read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# known line: {mark}"))


StartHost = Callable[..., Host]
"""Starts a host: an interpreter, and options of the program."""
