"""The file of a heap picture, ``*.memtui``.

It is a zip archive, as numpy's ``.npz`` is, so that any tool can look into it:

``head.json``
    ``{"format": "memtui", "kind": "heap picture", "version": 1, "facts": {...}}``; other kinds (recordings) have
    other members behind the same head. A reader refuses a version that is newer than its own.
``names.json``
    ``types``, ``fields`` and ``roots``: lists of names; ``object_count``; ``extra``: see ``Picture.extra``.
``*.npy``
    One column each, packed by one of the ways below into the narrowest type that holds it.

A zip of columns and not SQLite or Arrow: columns are read whole, at the speed of inflating; it needs nothing beyond
numpy and the standard library; each member carries a checksum. A million objects take about 7 MB.

Nothing is ever unpickled, and every number that points somewhere is checked: a file may come from anywhere.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from memtui.atomic import replacing
from memtui.errors import UsageError, WriteError
from memtui.heap.columns import BadColumnsError, Columns, from_columns, to_columns
from memtui.heap.facts import Facts
from memtui.heap.graph.analysis import Analysis
from memtui.heap.picture import Picture
from memtui.model.files import HEAD_BYTES, kind_of
from memtui.model.heap import PictureFacts, PictureToll

EXTENSION = ".memtui"
FORMAT, KIND, VERSION = "memtui", "heap picture", 1
_HEAD, _NAMES = "head.json", "names.json"
_MOST_HEAD_BYTES = 16 * 1024 * 1024
_MOST_TIMES_LARGER = 300
"""Columns inflate to 5 to 20 times their size in the file; a file that claims far more is no picture."""
_SMALL_BYTES = 64 * 1024 * 1024
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


def write_picture(path: str | Path, picture: Picture, analysis: Analysis | None) -> Path:
    """Write the file whole or not at all; returns its absolute path. An older file stays until then.

    Raises :class:`WriteError`.
    """
    try:
        target = Path(path).expanduser().resolve()
        with replacing(target) as file:
            _write(file, picture, analysis)
    except (OSError, ValueError, RuntimeError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise WriteError(
            f"The picture was not written to {path}.",
            why=f"{words[:1].upper()}{words[1:]}.",
            next_step="Free some space, or name another file.",
        ) from error
    return target


def read_facts(path: str | Path) -> PictureFacts:
    """What the head of the file says; the columns are not read. Raises :class:`UsageError`."""
    with _open(path) as archive:
        facts = _facts(path, archive)
    with _explained(path):
        return facts_of(path, facts)


def read_picture(path: str | Path) -> tuple[Picture, Analysis | None]:
    """The picture and, unless it was written without, its analysis. Raises :class:`UsageError`."""
    with _open(path) as archive:
        facts = _facts(path, archive)
        with _explained(path):
            _check_claims(archive)
            names = json.loads(_content(archive, archive.getinfo(_NAMES)))
            return from_columns(facts, names, _read_columns(archive))


def facts_of(path: str | Path, facts: Facts) -> PictureFacts:
    """The facts of a picture as front ends get them."""
    target = facts["target"]
    return PictureFacts(
        path=str(Path(path).expanduser().absolute()),
        pid=int(target["pid"]),
        command=tuple(str(word) for word in target["command"]),
        python=str(target["python"]),
        taken_at=str(facts["taken_at"]),
        source=str(facts["source"]),
        objects=int(facts["objects"]),
        edges=int(facts["edges"]),
        size_bytes=int(facts["bytes"]),
        rss_bytes=facts.get("rss_bytes"),
        stop_seconds=facts.get("stop_seconds"),
        quality=facts.get("quality"),
        quick=bool(facts.get("quick")),
        notes=tuple(str(note) for note in facts.get("notes", ())),
        toll=None if facts.get("toll") is None else PictureToll(**facts["toll"]),
    )


def _write(file: IO[bytes], picture: Picture, analysis: Analysis | None) -> None:
    names, columns = to_columns(picture, analysis)
    head = {"format": FORMAT, "kind": KIND, "version": VERSION, "facts": picture.facts}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(_HEAD, _json(head))
        archive.writestr(_NAMES, _json(names))
        for name, column in columns.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, column, allow_pickle=False)
            archive.writestr(f"{name}.npy", content.getbuffer())


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


@contextlib.contextmanager
def _open(path: str | Path) -> Iterator[zipfile.ZipFile]:
    try:
        target = Path(path).expanduser()
        if target.exists() and not target.is_file() and not target.is_dir():
            # Opening a pipe would wait for a writer.
            raise UsageError(f"{path} is no file of memtui.", next_step="Name a *.memtui file.")
        with target.open("rb") as file:
            kind = kind_of(file.read(HEAD_BYTES))
            if kind == "recording":
                raise UsageError(
                    f"{path} is a recording, no heap picture.",
                    next_step=f"To play it: memtui open {path}, to print it: memtui report {path}",
                )
            if kind != KIND:
                raise UsageError(f"{path} is no file of memtui.", next_step="Name a *.memtui file.")
            with _explained(path), zipfile.ZipFile(file) as archive:
                yield archive
    except OSError as error:
        raise UsageError(f"{path} cannot be read.", why=f"{error.strerror or error}.") from error


@contextlib.contextmanager
def _explained(path: str | Path) -> Iterator[None]:
    """Whatever is wrong with the content becomes one sentence."""
    try:
        yield
    except BadColumnsError as error:
        raise _damaged(path, str(error)) from error
    except (*_BROKEN, MemoryError) as error:
        raise _damaged(path, "It is cut off, or parts of it were changed") from error


def _damaged(path: str | Path, why: str) -> UsageError:
    return UsageError(f"The file {path} is damaged.", why=f"{why}.", next_step="Take the picture again.")


def _facts(path: str | Path, archive: zipfile.ZipFile) -> Facts:
    head: Any = None
    with contextlib.suppress(*_BROKEN):
        if archive.getinfo(_HEAD).file_size <= _MOST_HEAD_BYTES:
            head = json.loads(_content(archive, archive.getinfo(_HEAD)))
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise UsageError(f"{path} is no file of memtui.", next_step="Name a *.memtui file.")
    if head.get("kind") != KIND:
        raise UsageError(f"{path} is no heap picture.", why=f"It is a {str(head.get('kind'))[:40]}.")
    version, facts = head.get("version"), head.get("facts")
    if not isinstance(version, int) or version > VERSION:
        raise UsageError(
            f"{path} was written by a newer memtui.",
            why=f"Its version is {str(version)[:40]}; this memtui reads up to {VERSION}.",
            next_step="Update memtui.",
        )
    if not isinstance(facts, dict):
        raise _damaged(path, "Its head says nothing about the picture")
    return facts


def _check_claims(archive: zipfile.ZipFile) -> None:
    """Refuse what would inflate to far more than any picture: a few bytes can be made to stand for gigabytes."""
    assert archive.fp is not None
    claimed = sum(one.file_size for one in archive.infolist())
    if claimed > _SMALL_BYTES and claimed > _MOST_TIMES_LARGER * archive.fp.seek(0, os.SEEK_END):
        raise BadColumnsError("It claims to be larger than any picture of its size")


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member, and never more than it claims: ``ZipFile.read`` inflates first and cuts then."""
    with archive.open(member) as stream:
        return stream.read(member.file_size)


def _read_columns(archive: zipfile.ZipFile) -> Columns:
    columns: Columns = {}
    for one in archive.infolist():
        if one.filename.endswith(".npy"):
            with io.BytesIO(_content(archive, one)) as content:
                name = one.filename.removesuffix(".npy")
                columns[name] = np.lib.format.read_array(content, allow_pickle=False)
    return columns
