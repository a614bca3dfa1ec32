"""A recording: what was folded comes back, an hour stays small, and what is left of a damaged file is read."""

from __future__ import annotations

import dataclasses
import json
import random
import types
import typing
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union

import pytest
from recorded import Busy, first_state, record
from states import ended_state, full_state, row, traced

from memtui.errors import WriteError
from memtui.model.state import OUTPUT_BOUND, Output, State
from memtui.session import messages as m
from memtui.session.recording.codec import BadTreeError, Codec
from memtui.session.recording.player import Player
from memtui.session.recording.reader import RecordingFile
from memtui.session.recording.recorder import Recorder
from memtui.session.recording.thinning import join_output
from memtui.session.reducer import reduce

MESSAGES = typing.get_args(m.Message)
MIB = 1024 * 1024


def made_up(hint: Any, chance: random.Random, depth: int = 0) -> Any:
    """Some value of the type; every field of a dataclass gets another one than its default."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return chance.choice(inner)
    if origin in (Union, types.UnionType):
        return made_up(chance.choice(inner), chance, depth)
    if origin is tuple and inner[-1] is Ellipsis:
        return tuple(made_up(inner[0], chance, depth + 1) for _ in range(chance.randrange(0, 5 if depth < 6 else 2)))
    if origin is tuple:
        return tuple(made_up(one, chance, depth + 1) for one in inner)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return chance.choice(list(hint))
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        values = {one.name: made_up(hints[one.name], chance, depth + 1) for one in dataclasses.fields(hint)}
        return typing.cast("type[Any]", hint)(**values)
    plain: dict[Any, Any] = {
        int: chance.randrange(-(2**40), 2**63),
        float: chance.choice([chance.random() * 1e6, 0.0, 3, 1e300]),
        bool: chance.random() < 0.5,
        str: chance.choice(["", "a\udc80b\x1b[0m", "größer ✓", "x" * 300, '"\\\n']),
        type(None): None,
    }
    return plain[hint]


@pytest.mark.parametrize("kind", [*MESSAGES, State], ids=lambda one: one.__name__)
def test_every_message_comes_back_as_it_was(kind: type) -> None:
    writer = Codec()
    hint: Any = State if kind is State else m.Message
    reader = Codec(json.loads(json.dumps(writer.field_table(hint))))
    chance = random.Random(kind.__name__)
    for _ in range(40):
        value = made_up(kind, chance)
        tree = json.loads(json.dumps(writer.encode(value, hint)))
        assert reader.decode(tree, hint) == value


def test_a_reader_with_more_or_fewer_fields_takes_what_it_knows() -> None:
    writer = Codec()
    fields = writer.field_table(m.Message)
    paused = writer.encode(m.Climbed(m.Rung.AGENT, "why"), m.Message)
    fields["Climbed"].append("of_a_later_memtui")
    assert Codec(fields).decode([*paused, {"any": "thing"}], m.Message) == m.Climbed(m.Rung.AGENT, "why")
    fields["Climbed"] = ["rung"]
    assert Codec(fields).decode(paused[:2], m.Message) == m.Climbed(m.Rung.AGENT)
    fields["Climbed"] = ["note"]
    with pytest.raises(BadTreeError, match="without rung"):
        Codec(fields).decode(["Climbed", "why"], m.Message)


def test_a_file_need_not_know_the_classes_of_a_later_memtui() -> None:
    writer = Codec()
    fields = {name: names for name, names in writer.field_table(m.Message).items() if name != "Paused"}
    climbed = m.Climbed(m.Rung.AGENT, "why")
    assert Codec(fields).decode(writer.encode(climbed, m.Message), m.Message) == climbed
    with pytest.raises(BadTreeError, match="not told"):
        Codec(fields).decode(["Paused", 1.0], m.Message)


def test_the_replay_of_a_session_ends_with_its_last_state(tmp_path: Path) -> None:
    path = tmp_path / "a.memtui"
    last = record(path, first_state(), Busy(200, lines=60).messages())
    file = RecordingFile(path)
    assert file.is_whole
    assert Player(file).last_state() == last
    assert [state for _, state in Player(file).states()][-1] == last


def test_a_recording_may_begin_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "a.memtui"
    begin = dataclasses.replace(full_state(), allocations=traced([row("a.py", 1, 2, 3)] * 2))  # a row twice
    last = record(path, begin, [(70.0, m.Busy(("waiting",)))])
    assert Player(RecordingFile(path)).state_at(0.0) == begin
    assert Player(RecordingFile(path)).last_state() == last


def test_any_moment_is_that_of_the_session(tmp_path: Path) -> None:
    messages = list(Busy(150, lines=20).messages())
    path = tmp_path / "a.memtui"
    record(path, first_state(), messages)
    player = Player(RecordingFile(path))
    live, state = [], first_state()
    for now, message in messages:
        state = reduce(state, message, now)
        live.append((now, state))
    chance = random.Random(3)
    for now, _ in chance.sample(live, 60):
        # Several messages may have the same time: the State after all of them is meant.
        expected = [one for at, one in live if at <= now][-1]
        assert player.state_at(now) == expected


def test_output_that_was_joined_folds_to_the_same(tmp_path: Path) -> None:
    chance = random.Random(5)
    for _ in range(300):
        messages = []
        for number in range(chance.randrange(1, 6)):
            lines = tuple(
                f"{number} {n}" * chance.choice([1, 1, 900]) for n in range(chance.choice([1, 2, 700, 1000]))
            )
            full = len(lines) == OUTPUT_BOUND
            messages.append(m.OutputArrived(lines, not full and chance.random() < 0.5, chance.choice([0, 7]) * full))
        begin = dataclasses.replace(first_state(), output=Output(("before",), 5))
        one_by_one, joined = begin, messages[0]
        for message in messages:
            one_by_one = reduce(one_by_one, message, 1.0)
        for message in messages[1:]:
            joined = join_output(joined, message)
        assert reduce(begin, joined, 1.0) == one_by_one


def test_what_is_thinned_out_is_there_when_it_matters(tmp_path: Path) -> None:
    path = tmp_path / "a.memtui"
    messages: list[tuple[float, m.Message]] = []
    for second in range(400):
        rows = [row(f"f{n}.py", n + 1, second * 97 % (n + 11), second) for n in range(300)]
        messages.append((float(second), m.AllocationsSeen(traced(rows, float(second)))))
        messages.append((second + 0.5, m.OutputArrived(tuple(f"{second * n}" for n in range(500)), False)))
    grouped = (400.0, m.Climbed(m.Rung.OBSERVE))
    last = record(path, first_state(), [*messages, grouped, messages[3]])
    file = RecordingFile(path)
    kept = sum(1 for timed, _ in Player(file).states() if timed and isinstance(timed[1], m.AllocationsSeen))
    assert kept < 399, "nothing was thinned out"
    assert Player(file).last_state() == last


def test_an_hour_of_a_busy_service_is_small_and_ends_as_it_did(tmp_path: Path) -> None:
    path = tmp_path / "hour.memtui"
    last = record(path, first_state(), Busy(3600, lines=100).messages())
    assert path.stat().st_size < 2_000_000
    file = RecordingFile(path)
    assert len(file.chapters) > 3, "a jump would have to read all of it"
    player = Player(file)
    assert player.last_state() == last
    assert player.state_at(1800.0).now_seconds == pytest.approx(1800.0, abs=1.0)


def test_a_message_of_a_later_memtui_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.memtui"
    last = record(path, first_state(), [(1.0, m.Paused(0.5)), (2.0, m.Busy(("later",)))])
    monkeypatch.setattr("memtui.session.recording.reader._KNOWN", {"Busy"})
    state = Player(RecordingFile(path)).last_state()
    assert state.busy == last.busy
    assert state.cost.target_longest_pause_seconds is None


def test_the_recorder_writes_only_over_recordings(tmp_path: Path) -> None:
    precious = tmp_path / "app.py"
    precious.write_text("print('hello')")
    with pytest.raises(WriteError, match="no recording"):
        Recorder(precious)
    assert precious.read_text() == "print('hello')"
    record(tmp_path / "a.memtui", first_state(), [])
    record(tmp_path / "a.memtui", ended_state(), [])
    assert Player(RecordingFile(tmp_path / "a.memtui")).last_state() == ended_state()


def test_two_recorders_do_not_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.memtui"
    first, second = Recorder(path), Recorder(path)
    first.begin(first_state())
    first.flush()
    with pytest.raises(WriteError, match="Another memtui"):
        Recorder(path)
    second.begin(ended_state())
    second.close()
    assert second.error is not None
    assert "Another memtui" in str(second.error)
    first.close()
    assert Player(RecordingFile(path)).last_state() == first_state()
    assert list(tmp_path.iterdir()) == [path]


def test_there_is_no_file_before_there_is_something_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.memtui"
    record(path, ended_state(), [])
    recorder = Recorder(path)
    assert Player(RecordingFile(path)).last_state() == ended_state(), "the older recording is gone already"
    recorder.close()
    assert list(tmp_path.iterdir()) == [path], "a recording that never began left a file"


@pytest.mark.parametrize("name", ["missing/a.memtui", "", "a\0b", "/proc/nothing"])
def test_where_nothing_can_be_written_is_said_at_once(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WriteError, match="cannot be written"):
        Recorder(name)


def test_a_full_disk_ends_the_recording_only() -> None:
    recorder = Recorder("/dev/full")
    state = first_state()
    recorder.begin(state)
    recorder.flush()
    recorder.add(m.Paused(1.0), state)
    recorder.close()
    assert recorder.error is not None
    assert "No space left on device" in str(recorder.error)
