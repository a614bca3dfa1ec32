from __future__ import annotations

from pathlib import Path

import pytest

from memtui.observe.cgroup import smallest_limit


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    return tmp_path


def mount(kind: str, root: str, where: Path, options: str = "rw") -> str:
    return f"30 25 0:26 {root} {where} rw,nosuid shared:9 - {kind} cgroup {options}\n"


def test_version_2_takes_the_smallest_limit_on_the_way_up(tree: Path) -> None:
    (tree / "outer" / "inner" / "memory.max").write_text("max\n")
    (tree / "outer" / "memory.max").write_text("2000000\n")
    assert smallest_limit("0::/outer/inner\n", mount("cgroup2", "/", tree)) == 2000000
    (tree / "outer" / "inner" / "memory.max").write_text("1000000\n")
    assert smallest_limit("0::/outer/inner\n", mount("cgroup2", "/", tree)) == 1000000


def test_version_1_knows_no_limit_as_a_huge_number(tree: Path) -> None:
    mounts = mount("cgroup", "/", tree / "wrong", "rw,cpu") + mount("cgroup", "/", tree, "rw,memory")
    (tree / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert smallest_limit("8:cpu:/\n4:memory:/outer\n", mounts) is None
    (tree / "outer" / "memory.limit_in_bytes").write_text("5000\n")
    assert smallest_limit("8:cpu:/\n4:memory:/outer\n", mounts) == 5000


def test_a_container_sees_its_own_group_as_the_root_of_the_mount(tree: Path) -> None:
    (tree / "memory.max").write_text("3000\n")
    (tree / "inner").mkdir()
    (tree / "inner" / "memory.max").write_text("4000\n")
    mounts = mount("cgroup2", "/docker/abc", tree)
    assert smallest_limit("0::/docker/abc\n", mounts) == 3000
    assert smallest_limit("0::/docker/abc/inner\n", mounts) == 3000
    assert smallest_limit("0::/../elsewhere\n", mount("cgroup2", "/", tree)) == 3000


def test_without_control_groups_nothing_is_known() -> None:
    assert smallest_limit("", "") is None
    assert smallest_limit("0::/x\n", "") is None
