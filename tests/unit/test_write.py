from __future__ import annotations

import errno
import json
import os
import re
import resource
import tempfile
from pathlib import Path

import pytest
from states import empty_state, full_state

from memtui.errors import EXIT_USAGE, WriteError
from memtui.report.build import build_report
from memtui.report.write import default_path, write_report

REPORT = build_report(full_state())


def test_the_file_holds_the_report_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = write_report(tmp_path / "report.json", REPORT)
    assert path == tmp_path / "report.json"
    assert json.loads(path.read_bytes()) == REPORT
    assert os.listdir(tmp_path) == ["report.json"]


def test_the_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    path = write_report(tmp_path / "report.json", REPORT)
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_report("r.json", REPORT) == tmp_path / "r.json"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real.json")
    assert write_report(tmp_path / "link", REPORT) == tmp_path / "real.json"
    assert (tmp_path / "link").is_symlink()


def failure(path: Path) -> WriteError:
    with pytest.raises(WriteError) as caught:
        write_report(path, REPORT)
    assert str(path) in caught.value.what
    assert caught.value.exit_code == EXIT_USAGE
    assert caught.value.next_step
    return caught.value


def test_a_missing_directory(tmp_path: Path) -> None:
    assert "directory does not exist" in failure(tmp_path / "no" / "r.json").why


def test_a_file_in_place_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "not a directory" in failure(tmp_path / "file" / "r.json").why


def test_a_directory_in_place_of_a_file(tmp_path: Path) -> None:
    assert "is a directory" in failure(tmp_path).why


def test_a_directory_that_is_not_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    # root may write everywhere, except where the kernel itself says no.
    directory = Path("/sys") if os.geteuid() == 0 else tmp_path
    assert failure(directory / "r.json").why in ("Permission denied.", "The file system is read-only.")


def test_a_name_that_is_no_name(tmp_path: Path) -> None:
    assert failure(tmp_path / ("x" * 300)).why
    with pytest.raises(WriteError):
        write_report("r\0.json", REPORT)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_is_written_to_and_not_replaced() -> None:
    assert "No space is left" in failure(Path("/dev/full")).why
    assert Path("/dev/full").is_char_device()


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    """The kernel itself cuts the write short."""
    path = tmp_path / "r.json"
    path.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        error = failure(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "larger" in error.why
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["r.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_at_the_last_step_leaves_nothing(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    assert "No space is left" in failure(tmp_path / "r.json").why
    assert os.listdir(tmp_path) == []


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path / "r.json", REPORT)
    assert os.listdir(tmp_path) == []


def test_text_that_is_no_unicode_is_written_all_the_same(tmp_path: Path) -> None:
    path = write_report(tmp_path / "r.json", {"command": ["caf\udce9", "ü"]})
    assert json.loads(path.read_text("utf-8")) == {"command": ["caf?", "ü"]}


def test_the_default_path_names_process_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    early, late = default_path(empty_state()), default_path(empty_state(now_seconds=60.0))
    assert early.parent == tmp_path
    assert re.fullmatch(r"memtui-4242-\d{8}-\d{6}\.json", early.name)
    assert early != late


def test_the_default_path_falls_back_to_the_temporary_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fallback = tmp_path / "tmp"
    fallback.mkdir()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(fallback))
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert default_path(empty_state()).parent == fallback
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert default_path(empty_state()).parent == fallback
