"""Addresses of native stacks and the shared objects they lie in, from memray's dump of a recording.

memray's reader gives names, and where a library has been stripped not even these; which library it was it does not
tell. ``memray.dump_all_records`` prints the raw records, and with them the addresses (`record_reader.cpp`,
``RecordReader::dumpAllRecords``): the tree of native frames and the loaded segments of each shared object.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

_DUMP = "import sys, memray; memray.dump_all_records(sys.argv[1])"
_LINE = re.compile(
    rb"^(?:NATIVE_FRAME_ID ip=0x([0-9a-f]+) index=(\d+)"
    rb"|SEGMENT_HEADER filename=(.*) num_segments=\d+ addr=(0x[0-9a-f]+|\(nil\))"
    rb"|SEGMENT (0x[0-9a-f]+|\(nil\)) ([0-9a-f]+))$",
    re.MULTILINE,
)
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address lies: the shared object, and the address as its file has it."""

    library: str
    address: int


@dataclass(slots=True)
class NativeFrames:
    """The tree of native frames: ``frames[id - 1]`` is (address, id of the caller's frame or 0)."""

    frames: list[tuple[int, int]] = field(default_factory=list)
    main_program: str | None = None
    _segments: dict[int, tuple[int, str, int]] = field(default_factory=dict)
    _starts: list[int] = field(default_factory=list)

    def add_segment(self, library: str, bias: int, address: int, size: int) -> None:
        """A part of ``library`` that is loaded; a later one at the same place counts."""
        self.main_program = self.main_program or library
        self._segments[bias + address] = (bias + address + size, library, bias)
        self._starts = []

    def place(self, address: int) -> Place | None:
        """The shared object at ``address``, None where there is none (generated code)."""
        if not self._starts:
            self._starts = sorted(self._segments)
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        end, library, bias = self._segments[self._starts[index]]
        return Place(library, address - bias) if address < end else None

    def has(self, frame_id: int) -> bool:
        """Whether that frame is known."""
        return 0 < frame_id <= len(self.frames)

    def stack(self, frame_id: int) -> Iterator[int]:
        """The addresses of one stack, innermost first."""
        while 0 < frame_id <= len(self.frames):
            address, above = self.frames[frame_id - 1]
            yield address
            if above >= frame_id:  # frames come after their callers: anything else is damage
                return
            frame_id = above


def read_frames(path: str, needed: int, seconds: float, pass_fds: tuple[int, ...] = ()) -> NativeFrames:
    """The native frames of the recording ``path``, until the one with the id ``needed`` is there.

    memray prints half a million records a second, so it is not waited for longer than ``seconds``. There are no
    frames where it prints something else.
    """
    found = NativeFrames()
    end = time.monotonic() + seconds
    command = [sys.executable, "-c", _DUMP, path]
    library, bias = "", 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=pass_fds) as dump:
        assert dump.stdout is not None
        rest = b""
        while len(found.frames) < needed and time.monotonic() < end and (data := dump.stdout.read(_READ_BYTES)):
            whole, _, rest = (rest + data).rpartition(b"\n")
            for ip, above, name, addr, segment, size in _LINE.findall(whole):
                if ip:
                    found.frames.append((int(ip, 16), int(above)))
                elif addr:
                    library, bias = name.decode("utf-8", "surrogateescape"), _number(addr)
                else:
                    found.add_segment(library, bias, _number(segment), int(size, 16))
        dump.kill()
    return found


def _number(text: bytes) -> int:
    return 0 if text == b"(nil)" else int(text, 16)
