"""How much memory, and how many processes, are left: on a made-up tree of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from memtui.observe.headroom import Room, memory_rooms, parse_meminfo, process_rooms

MEMINFO = "MemTotal:  16000 kB\nMemFree: 1 kB\nMemAvailable:   8000 kB\nHugePages_Total:       0\n"
MACHINE = Room("this machine", 16000 * 1024, 8000 * 1024)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "a" / "b").mkdir(parents=True)
    return tmp_path


def write(folder: Path, **values: object) -> None:
    for name, value in values.items():
        (folder / name.replace("_in_", " in ").replace("__", ".").replace(" in ", "_in_")).write_text(f"{value}\n")


def mounted(tree: Path, kind: str, options: str, root: str = "/") -> str:
    return f"30 20 0:2 {root} {tree} rw - {kind} none {options}\n31 20 0:3 / /tmp rw - tmpfs none rw\n"


def test_version_2_has_limits_at_every_level(tree: Path) -> None:
    write(tree / "a" / "b", memory__max="max", memory__high=3000, memory__current=2500)
    write(tree / "a", memory__max=9000, memory__high="max", memory__current=4000)
    (tree / "a" / "memory.stat").write_text("anon 5\ninactive_file 700\nactive_file 100\n")
    rooms = memory_rooms("0::/a/b\n", mounted(tree, "cgroup2", "rw"), MEMINFO)
    assert rooms == [
        Room(f"the control group {tree}/a/b (memory.high)", 3000, 500),
        Room(f"the control group {tree}/a (memory.max)", 9000, 5700),
        MACHINE,
    ]


def test_version_1(tree: Path) -> None:
    write(tree / "a", memory__limit_in_bytes=1000, memory__usage_in_bytes=1400)
    write(tree, memory__limit_in_bytes=9223372036854771712, memory__usage_in_bytes=1400)
    (tree / "a" / "memory.stat").write_text("inactive_file 900\ntotal_inactive_file 500\n")
    rooms = memory_rooms("4:cpu:/\n5:memory:/a\n0::/\n", mounted(tree, "cgroup", "rw,memory"), MEMINFO)
    assert rooms == [Room(f"the control group {tree}/a (memory.limit_in_bytes)", 1000, 100), MACHINE]


def test_use_above_the_limit_leaves_nothing(tree: Path) -> None:
    write(tree / "a", memory__max=1000, memory__current=1400)
    rooms = memory_rooms("0::/a\n", mounted(tree, "cgroup2", "rw"), MEMINFO)
    assert [room.free for room in rooms] == [0, MACHINE.free]


def test_in_a_container_the_group_itself_is_mounted(tree: Path) -> None:
    write(tree, memory__max=1000, memory__current=400)
    rooms = memory_rooms("0::/../outside\n", mounted(tree, "cgroup2", "rw", root="/docker/x"), MEMINFO)
    assert [room.free for room in rooms] == [600, MACHINE.free]


@pytest.mark.parametrize("kind", ["cgroup2", "cgroup"])
def test_processes(tree: Path, kind: str) -> None:
    write(tree / "a" / "b", pids__max="max", pids__current=7)
    write(tree / "a", pids__max=10, pids__current=9)
    group = "0::/a/b\n" if kind == "cgroup2" else "8:pids:/a/b\n"
    rooms = process_rooms(group, mounted(tree, kind, "rw,pids"))
    assert rooms == [Room(f"the control group {tree}/a (pids.max)", 10, 1)]


def test_without_control_groups_the_machine_counts() -> None:
    assert memory_rooms("", "", MEMINFO) == [MACHINE]
    assert process_rooms("", "") == []
    assert parse_meminfo(MEMINFO) == {"MemTotal": 16000 * 1024, "MemFree": 1024, "MemAvailable": 8000 * 1024}
