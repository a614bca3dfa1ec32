from __future__ import annotations

from memtui.observe.smaps import CLASSES, Usage, parse_classes, parse_rollup

ROLLUP = b"""\
55b8403ac000-7ffdaa5d8000 ---p 00000000 00:00 0                          [rollup]
Rss:                1748 kB
Pss:                 421 kB
Pss_Dirty:           108 kB
Shared_Clean:       1580 kB
Private_Clean:        60 kB
Private_Dirty:       108 kB
Private_Hugetlb:       4 kB
Swap:                  8 kB
SwapPss:               7 kB
"""


def test_rollup() -> None:
    assert parse_rollup(ROLLUP) == Usage(1748 * 1024, 421 * 1024, 172 * 1024, 8 * 1024)


def area(permissions: str, path: str, rss: int) -> bytes:
    text = f"7f0000000000-7f0000100000 {permissions} 00000000 00:00 7    {path}\n"
    return (text + f"Size: 900 kB\nRss: {rss} kB\nPss: 1 kB\nSwap: 2 kB\nVmFlags: rd wr\n").encode()


def test_memory_is_counted_by_kind() -> None:
    classes = parse_classes(
        area("rw-p", "[heap]", 1)
        + area("rw-p", "", 10)
        + area("rw-p", "[anon:glibc: malloc]", 100)
        + area("rw-p", "[stack]", 2)
        + area("r-xp", "/usr/lib/a file: with a colon.so", 3)
        + area("rw-p", "/dev/shm/x", 4)
        + area("rw-s", "/home/x", 40)
        + area("r-xp", "[vdso]", 5)
    )
    assert {kind: usage.rss_bytes // 1024 for kind, usage in classes.items()} == {
        "heap": 1, "anonymous": 110, "stack": 2, "file": 3, "shared": 44, "special": 5,
    }  # fmt: skip
    assert classes["anonymous"].swap_bytes == 4096
    assert tuple(classes) == CLASSES
