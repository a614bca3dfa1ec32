"""The memory of a program, frozen once, to be read again and again with right and with wrong tables."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from observed import line_from, running

from memtui.attach.photograph import photograph
from memtui.heap.picture import Picture
from memtui.heap.read.binaries import binaries_of
from memtui.heap.read.image import PAGE_BYTES, Image
from memtui.heap.read.layout import Layout, layout_for
from memtui.heap.read.load import load_image
from memtui.heap.read.reader import Reader
from memtui.heap.read.roots import stacks_to_read
from memtui.observe.interpreter import find_interpreter
from memtui.observe.maps import parse_maps, read_maps

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"


@dataclass(frozen=True)
class Frozen:
    """An image, how it should be read, and where ``_PyRuntime`` is."""

    image: Image
    layout: Layout
    runtime: int

    def read(self, layout: Layout, quick: bool = False) -> Picture:
        """The picture, with this table. Raises RefusedError."""
        return Reader(self.image, layout, self.runtime).read({}, quick)


@contextlib.contextmanager
def frozen(python: str, *arguments: str) -> Iterator[Frozen]:
    """A program that says that it is ready; it has ended when the image is used."""
    with contextlib.ExitStack() as kept:
        with running(python, "-W", "ignore", *arguments) as process:
            line_from(process)
            heap = kept.enter_context(frozen_process(process.pid))
        yield heap


@contextlib.contextmanager
def frozen_process(pid: int) -> Iterator[Frozen]:
    """A process as it is now; it has gone on when the image is used."""
    interpreter = find_interpreter(pid)
    layout, runtime = layout_for(interpreter.minor), interpreter.symbols["_PyRuntime"]
    with binaries_of(pid, read_maps(pid)) as binaries:
        with photograph(pid, interpreter=interpreter, accept_stop=True) as photo:
            loaded = load_image(photo.memory_fd, photo.pagemap_fd, parse_maps(photo.maps_text), binaries)
            for address in stacks_to_read(loaded.image, layout, runtime):
                page = address & ~(PAGE_BYTES - 1)
                with contextlib.suppress(OSError):
                    binaries.add_page(page, os.pread(photo.memory_fd, PAGE_BYTES, page))
        yield Frozen(loaded.image, layout, runtime)
