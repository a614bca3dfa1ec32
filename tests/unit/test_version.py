from __future__ import annotations

import pytest

from memtui.observe.version import patch_in_text, version_in_names, version_in_text


@pytest.mark.parametrize(
    ("library", "paths", "expected"),
    [
        ("/usr/lib/libpython3.9.so.1.0", [], (3, 9)),
        ("/usr/bin/python2.7", [], (2, 7)),
        ("/usr/bin/python3.13t (deleted)", [], (3, 13)),
        ("/opt/app/bin/server", ["/x/_json.cpython-310-x86_64-linux-gnu.so"], None),
        ("/opt/app/bin/python3", ["", "/x/lib-dynload/_json.cpython-310-x86_64-linux-gnu.so"], (3, 10)),
        ("/opt/app/bin/python3", ["/x/lib/python3.12/lib-dynload/_json.so"], (3, 12)),
        ("/opt/python3.9/bin/server", [], None),
    ],
)
def test_version_by_names(library: str, paths: list[str], expected: tuple[int, int] | None) -> None:
    assert version_in_names(library, paths) == expected


def test_version_by_the_search_path_inside() -> None:
    assert version_in_text(b"\0lib/python3.10\0") == (3, 10)
    assert version_in_text(b"\0lib/python3.10\0lib/python3.11\0") is None
    assert version_in_text(b"\0") is None


def test_patch_by_the_version_text_inside() -> None:
    constants = b"\0003.45.1\0libfoo 13.8.2\0x3.8.18\0003.8.180.1\0\0003.9.2\0"
    assert patch_in_text(constants, (3, 8)) == 18
    assert patch_in_text(constants, (3, 9)) == 2
    assert patch_in_text(constants, (3, 10)) is None
    assert patch_in_text(b"\0003.8.1\0003.8.2\0", (3, 8)) is None
    assert patch_in_text(b"3.10.0rc2+\0", (3, 10)) == 0
