"""Asks a process of its own what is in a recording: the file is foreign, and memray's reader is C++."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from memtui.errors import UsageError, WriteError
from memtui.model.native import NativeFrame, NativeKind, NativeLibrary, NativeReport, NativeSite

_MAGIC = b"memray"
_COMPRESSED = b"\x04\x22\x4d\x18"
"""The beginning of an LZ4 frame: ``memray run`` compresses its recordings."""
_MODULE = "memtui.native.reading_main"


class Recorded:
    """A recording that can be read: a file by its ``name``, or an open file without one by its number ``fd``.

    ``root`` is where the file system of the recorded process is seen from here (``/proc/PID/root``), empty for the
    same. Reading takes about as long as memray itself takes, in another process.
    """

    def __init__(self, name: Path | None = None, *, fd: int | None = None, root: str = "") -> None:
        self._fds = () if fd is None else (fd,)
        self._path = f"/proc/self/fd/{fd}" if fd is not None else str(name)
        self._shown = "memray's recording" if fd is not None else str(name)
        self._root = root
        self._reader: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def check(self) -> None:
        """Raise UsageError when this memray cannot read it: no recording, damaged, of another version."""
        self._check_magic()
        self._ask("check")

    def report(self, limit: int) -> NativeReport:
        """What was allocated and not freed, with the ``limit`` largest sites. Raises UsageError."""
        self._check_magic()
        found = self._ask("analyse", root=self._root, limit=limit, fds=list(self._fds))
        return report_of(found)

    def stats(self) -> dict[str, Any]:
        """memray's statistics: ``text``, and figures. Raises UsageError."""
        self._check_magic()
        return dict(self._ask("stats"))

    def write_page(self, kind: str, out: Path) -> None:
        """Write memray's ``table`` or ``flamegraph`` as HTML, or ``speedscope`` as JSON.

        Raises UsageError, WriteError.
        """
        self._check_magic()
        part = out.with_name(f".{out.name}.{os.getpid()}.part")
        try:
            part.touch(0o666, exist_ok=False)
            self._ask(kind, out=str(part))
            part.replace(out)
        except OSError as error:
            raise WriteError(f"The {kind} cannot be written to {out}.", why=f"{error.strerror}.") from error
        finally:
            part.unlink(missing_ok=True)

    def stop(self) -> None:
        """End a reading under way, from another thread; it raises UsageError there."""
        self._stopped = True
        reader = self._reader
        if reader is not None and reader.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(reader.pid, signal.SIGKILL)

    def _check_magic(self) -> None:
        what = f"{self._shown} cannot be read."
        try:
            if not self._fds and not os.path.isfile(self._path):
                there = os.path.exists(self._path)
                raise UsageError(what, why="It is no file." if there else "There is no such file.")
            with open(self._path, "rb") as file:
                begin = file.read(8)
        except OSError as error:
            raise UsageError(what, why=f"The system says: {error.strerror}.") from error
        if not begin.startswith((_MAGIC, _COMPRESSED)):
            why = "It is empty." if not begin else "It is no recording of memray."
            raise UsageError(what, why=why, next_step="To make one: memtui native PID -o FILE")

    def _ask(self, do: str, **arguments: Any) -> Any:
        asked = json.dumps({"do": do, "path": self._path, **arguments})
        command = [sys.executable, "-m", _MODULE, asked]
        # Ctrl-C at the terminal is memtui's business: a session of its own keeps it from the reader, which ends when
        # its stdin does: with memtui.
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=self._fds,
            start_new_session=True,
        ) as reader:
            self._reader = reader
            if self._stopped:
                self.stop()
            try:
                text, complaint = _all_of(reader)
            except BaseException:
                os.killpg(reader.pid, signal.SIGKILL)
                raise
        return self._answer(text, complaint, reader.returncode)

    def _answer(self, text: bytes, complaint: bytes, code: int) -> Any:
        what = f"{self._shown} cannot be read."
        try:
            answer = json.loads(text)
        except ValueError as error:
            last = complaint.decode("utf-8", "replace").strip().splitlines()[-1:]
            why = (
                f"memray's reader crashed on it ({signal.Signals(-code).name})." if code < 0 else f"{' '.join(last)}"
            )
            raise UsageError(what, why=why, next_step="It may be damaged: record again.") from error
        if not answer["ok"]:
            said = str(answer.get("error", ""))
            raise UsageError(what, why=answer.get("why") or _sentence(said), next_step=_advice(said))
        return answer["result"]


def _all_of(reader: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """Its stdout and stderr; its stdin stays open until it has ended."""
    stdin, reader.stdin = reader.stdin, None
    try:
        return reader.communicate()
    finally:
        if stdin is not None:
            stdin.close()


def report_of(found: dict[str, Any]) -> NativeReport:
    """The report from its plain values."""
    sites = tuple(
        NativeSite(
            **_kind_of(one),
            frame=NativeFrame(**one["frame"]),
            python=tuple(NativeFrame(**frame) for frame in one["python"]),
            native=tuple(NativeFrame(**frame) for frame in one["native"]),
        )
        for one in found["sites"]
    )
    libraries = tuple(NativeLibrary(**_kind_of(one)) for one in found["libraries"])
    return NativeReport(**(found | {"sites": sites, "libraries": libraries}))


_PLAIN = ("library", "extension", "size_bytes", "count")


def _kind_of(row: dict[str, Any]) -> dict[str, Any]:
    return {"kind": NativeKind(row["kind"]), **{name: row[name] for name in _PLAIN}}


def _sentence(text: str) -> str:
    first = text.splitlines()[0].partition(".: ")[0].strip().rstrip(".")
    return f"memray says: {first}."


def _advice(text: str) -> str:
    if "incompatible" in text or "version" in text:
        return "It was written by another version of memray: install the same one beside memtui."
    return ""
