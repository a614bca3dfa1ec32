from __future__ import annotations

import os
from pathlib import Path

import pytest

from memtui.errors import RefusedError, TargetDiedError
from memtui.observe.maps import Mapping, mapped_files, open_mapped, parse_maps, read_maps

TEXT = b"""\
55d0c0a00000-55d0c0a01000 r-xp 00001000 fe:01 1234                       /opt/my app/bin/python3
55d0c1b00000-55d0c1b21000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000001000 rw-p 00000000 00:00 0\x20
7f0000002000-7f0000003000 r--p 00000000 fe:01 99                         /usr/lib/libx.so (deleted)
7f0000003000-7f0000004000 r--p 00001000 fe:01 77                         /tmp/new\\012line
7f0000004000-7f0000005000 r--p 00002000 fe:01 77                         /tmp/new\\012line
"""


def test_lines_of_every_kind() -> None:
    code, heap, anonymous, deleted, newline, _ = parse_maps(TEXT)
    assert code == Mapping(0x55D0C0A00000, 0x55D0C0A01000, "r-xp", 0x1000, "/opt/my app/bin/python3", 1234)
    assert (heap.path, heap.is_file) == ("[heap]", False)
    assert (anonymous.path, anonymous.is_file) == ("", False)
    assert (deleted.path, deleted.is_file) == ("/usr/lib/libx.so (deleted)", True)
    assert newline.path == "/tmp/new\nline"


def test_each_file_is_named_once() -> None:
    assert mapped_files(parse_maps(TEXT)) == [
        "/opt/my app/bin/python3",
        "/usr/lib/libx.so (deleted)",
        "/tmp/new\nline",
    ]


def test_a_path_that_is_not_utf_8_survives() -> None:
    (mapping,) = parse_maps(b"1000-2000 r--p 00000000 fe:01 7   /tmp/\xff")
    assert os.fsencode(mapping.path) == b"/tmp/\xff"


def test_another_file_at_the_path_is_not_taken_for_the_mapped_one() -> None:
    own = read_maps(os.getpid())
    mapping = next(one for one in own if one.is_file and one.offset == 0)
    liar = Mapping(mapping.start, mapping.end, mapping.permissions, 0, "/etc/passwd", mapping.inode)
    with open_mapped(os.getpid(), [liar], "/etc/passwd") as file:
        assert file.read(16) == Path(mapping.path).read_bytes()[:16]


def test_a_file_that_is_not_mapped_is_refused() -> None:
    with pytest.raises(RefusedError, match="no file /nowhere"):
        open_mapped(os.getpid(), read_maps(os.getpid()), "/nowhere")


def test_a_process_that_is_gone() -> None:
    with pytest.raises(TargetDiedError, match="has ended"):
        read_maps(1 << 30)
