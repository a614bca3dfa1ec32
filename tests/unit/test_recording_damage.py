"""Recordings that were cut off, damaged, or never were any."""

from __future__ import annotations

import json
import os
import random
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from recorded import Busy, first_state, record

from memtui.cli import main
from memtui.errors import UsageError
from memtui.model.files import RECORDING_MAGIC
from memtui.session.recording import encoder
from memtui.session.recording.blocks import BlockKind, frame
from memtui.session.recording.player import Player
from memtui.session.recording.reader import RecordingFile


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Some seconds, a block every two of them."""
    path = tmp_path_factory.mktemp("small") / "a.memtui"
    record(path, first_state(), Busy(12, lines=3).messages())
    return path.read_bytes()


@pytest.fixture(scope="module")
def chapters(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Four minutes, a chapter each minute."""
    path = tmp_path_factory.mktemp("chapters") / "a.memtui"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("memtui.session.recording.recorder.CHAPTER_SECONDS", 60.0)
        patched.setattr(encoder, "_MOST_SHARE", 0)
        record(path, first_state(), Busy(240, lines=10).messages())
    return path.read_bytes()


def opened(path: Path, content: bytes) -> RecordingFile:
    path.write_bytes(content)
    return RecordingFile(path)


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_a_file_that_was_cut_anywhere_opens_up_to_the_cut(small: bytes, tmp_path: Path, step: int) -> None:
    path = tmp_path / "cut.memtui"
    whole = [state for _, state in Player(opened(path, small)).states()]
    reached = -1.0
    refused = 0
    for length in [*range(0, len(small) - 40, step), *range(len(small) - 40, len(small))]:
        try:
            file = opened(path, small[:length])
        except UsageError:
            refused += 1
            assert reached < 0, "a longer piece cannot be read, a shorter one could"
            continue
        assert not file.is_whole
        assert file.end_seconds >= reached, "a longer piece holds less"
        if file.end_seconds > reached:
            reached = file.end_seconds
            states = [state for _, state in Player(file).states()]
            assert states == whole[: len(states)]
    assert 0 < refused < len(small) / 2 / step
    assert reached == pytest.approx(13.0), "the last cut lost more than the end mark"


@pytest.mark.parametrize("trials", [12, pytest.param(120, marks=pytest.mark.slow)])
def test_bytes_that_changed_cost_a_chapter_at_most(chapters: bytes, tmp_path: Path, trials: int) -> None:
    path = tmp_path / "damaged.memtui"
    whole = Player(opened(path, chapters))
    last, moments = whole.last_state(), [whole.state_at(float(second)) for second in range(0, 240, 20)]
    chance = random.Random(7)
    lost_something = 0
    for _ in range(trials):
        damaged = bytearray(chapters)
        at = chance.randrange(len(RECORDING_MAGIC), len(chapters))
        length = chance.choice([1, 1, 5, 200])
        damaged[at : at + length] = os.urandom(length)
        file = opened(path, bytes(damaged))
        player = Player(file)
        lost_something += bool(file.gaps)
        assert sum(end - begin for begin, end in file.gaps) < 130, "more than two chapters are lost"
        for number, second in enumerate(range(0, 240, 20)):
            known = file.begin_seconds <= second <= file.end_seconds
            if known and not any(begin <= second <= end for begin, end in file.gaps):
                assert player.state_at(float(second)) == moments[number]
        if not any(end >= 240 for _, end in file.gaps) and file.end_seconds >= 241:
            assert player.last_state() == last
    assert lost_something > trials / 3


def test_a_file_that_is_being_written_can_be_read(small: bytes, tmp_path: Path) -> None:
    messages = Busy(30, lines=2).messages()
    path = tmp_path / "live.memtui"

    def watched() -> Any:
        for number, timed in enumerate(messages):
            if number == 50:
                file = RecordingFile(path)
                assert not file.is_whole
                assert file.end_seconds > 1
            yield timed

    record(path, first_state(), watched())


FOREIGN = {
    "empty": b"",
    "text": b"import os\n",
    "zip": b"PK\x03\x04rubbish",
    "almost": RECORDING_MAGIC[:-1] + b"X" + b"\0" * 100,
    "magic only": RECORDING_MAGIC,
    "magic and noise": RECORDING_MAGIC + random.Random(1).randbytes(5000),
    "nothing inside": RECORDING_MAGIC + frame(BlockKind.CHAPTER, 1.0, b""),
    "not compressed": RECORDING_MAGIC + frame(BlockKind.CHAPTER, 1.0, b'[{"state":[]}]'),
    "other content": RECORDING_MAGIC + frame(BlockKind.CHAPTER, 1.0, zlib.compress(b"[[1,2],{}]")),
    "no head": RECORDING_MAGIC + frame(BlockKind.CHAPTER, 1.0, zlib.compress(b'[{"format":"memtui"}]')),
    "no fields": RECORDING_MAGIC
    + frame(
        BlockKind.CHAPTER,
        1.0,
        zlib.compress(b'[{"format":"memtui","kind":"recording","version":1,"memtui":"1","fields":[],"state":[]}]'),
    ),
    "deep": RECORDING_MAGIC + frame(BlockKind.CHAPTER, 1.0, zlib.compress(b"[" * 200_000)),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_refused_in_one_sentence(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.memtui"
    path.write_bytes(FOREIGN[name])
    for command in ("report", "open"):
        assert main.run([command, str(path)]) == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert err.startswith("memtui: ")
        assert err.count("\n") == 1
        assert str(path) in err or "terminal" in err


def test_a_recording_of_a_newer_memtui_is_refused(small: bytes, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(encoder, "VERSION", 2)
    path = tmp_path / "new.memtui"
    record(path, first_state(), [])
    with pytest.raises(UsageError, match="newer memtui"):
        RecordingFile(path)


def test_a_small_file_cannot_claim_gigabytes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("memtui.session.recording.reader._MOST_BLOCK_BYTES", 1_000_000)
    bomb = zlib.compress(json.dumps([{"format": "x" * 5_000_000}]).encode())
    with pytest.raises(UsageError, match="damaged"):
        opened(tmp_path / "bomb.memtui", RECORDING_MAGIC + frame(BlockKind.CHAPTER, 1.0, bomb))


def test_what_is_wrong_inside_a_good_block_is_a_gap(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.memtui"
    file = opened(path, small)
    block = file.chapters[0].blocks[0]
    head = small[block.offset : block.offset + block.length]
    stream = zlib.compressobj()
    # The first block of a chapter ends at a flush: other streams cannot go on from it.
    wrong = stream.compress(b'[[1.0,"Paused","long"]]') + stream.flush()
    made = RECORDING_MAGIC + frame(BlockKind.CHAPTER, 0.0, head) + frame(BlockKind.MORE, 9.0, wrong)
    player = Player(opened(path, made))
    assert player.last_state() == first_state()
    assert player.file.gaps == [(0.0, 9.0)]


@pytest.mark.parametrize("path", ["/no/such/file", "/", "/dev/null"])
def test_what_is_no_file_is_said(path: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["report", path]) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_each_command_names_the_one_for_the_other_kind(
    small: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recording, picture = tmp_path / "r.memtui", tmp_path / "p.memtui"
    recording.write_bytes(small)
    with zipfile.ZipFile(picture, "w") as archive:
        archive.writestr("head.json", "{}")
    assert main.run(["diff", str(recording), str(recording)]) == 2
    assert "memtui report" in capfd.readouterr().err
    assert main.run(["report", str(picture)]) == 2
    assert "is a heap picture" in capfd.readouterr().err
    assert main.run(["open", str(recording), str(picture)]) == 2
    assert "by itself" in capfd.readouterr().err


def test_a_recording_of_an_earlier_memtui_is_read() -> None:
    """The file was written by version 1 of the format, in November 2026; it is never made anew."""
    file = RecordingFile(Path(__file__).parent / "recordings" / "version1.memtui")
    assert file.is_whole
    assert not file.gaps
    state = Player(file).last_state()
    assert (state.series.looks, len(state.processes), len(state.snapshots)) == (12, 9, 1)
    assert state.allocations is not None
    assert state.snapshots[0].types[0].type == "shop.models.Type0"
    assert state.ending is not None
    assert state.ending.exit_code == 0
