"""Clean-ups: the conversation with the agent step by step, the cooldown, clean-ups by themselves, text and JSON."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
from states import TARGET, empty_state

from memtui.agent.cleanup import trim
from memtui.errors import ChannelError, TargetDiedError
from memtui.model.alert import Alert, Level
from memtui.model.cleanup import CleanupLevel, CleanupOutcome, CleanupStep
from memtui.model.command import Cleanup, Command
from memtui.model.state import CLEANUP_BOUND, State
from memtui.model.target import Ending
from memtui.protocol import Frame
from memtui.report.build import build_report, load_schema
from memtui.report.cleanup import cleanup_as_json, cleanup_as_text, cleanups_in_words
from memtui.session import messages as m
from memtui.session.auto_cleanup import AutoCleanup, wanted_level
from memtui.session.cleaning import HOOK_SECONDS, CleanupInTheMaking
from memtui.session.cooldown import Cooldown
from memtui.session.reducer import reduce

MIB = 1024 * 1024
HOOK: Frame = {"running": False, "seconds": 0.5, "blocks_freed": 7, "error": None}
COLLECTED: Frame = {"collected": 12, "uncollectable": 1, "seconds": 0.25, "blocks_freed": 30}
TRIMMED: Frame = {"seconds": 0.1, "trimmed": True, "error": None}


class FakeAgent:
    """Answers each request at once; time passes and memory shrinks by one unit at each request."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {
            "hooks_choose": {"hooks": ["one", "two"], "busy": False},
            "hook_start": {"started": True},
            "hook_state": HOOK,
            "hooks_release": {},
            "collect": COLLECTED,
            "trim": TRIMMED,
            **answers,
        }
        self.asked: list[str] = []
        self.done: list[CleanupOutcome] = []
        self.waiting: list[Callable[[], None]] = []

    def emit(self, message: m.Message) -> None:
        assert isinstance(message, m.CleanedUp)
        self.done.append(message.outcome)

    def clock(self) -> float:
        return float(len(self.asked))

    def ask(
        self,
        busy: str,
        do: str,
        answered: Callable[[Frame], None],
        refused: Callable[[], None] = lambda: None,
        **arguments: Any,
    ) -> None:
        assert busy
        self.asked.append(do)
        answer = self.answers[do]
        if answer is None:
            self.waiting.append(refused)
        else:
            self.waiting.append(lambda: answered(answer))

    def clean(self, level: CleanupLevel = "critical") -> CleanupOutcome:
        rss = iter(range(10**9, 0, -MIB))
        CleanupInTheMaking(self, level, lambda: next(rss)).begin()
        for _ in range(1000):
            if not self.waiting:
                break
            self.waiting.pop(0)()
        assert len(self.done) == 1, "it has to end exactly once"
        return self.done[0]


def kinds(outcome: CleanupOutcome) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for one in outcome.steps]


def test_all_steps_in_their_order() -> None:
    agent = FakeAgent()
    outcome = agent.clean()
    assert kinds(outcome) == [("hook", "one"), ("hook", "two"), ("gc", "full collection"), ("trim", "malloc_trim")]
    assert [one.freed_rss_bytes for one in outcome.steps] == [MIB] * 4
    assert outcome.freed_rss_bytes == 4 * MIB
    assert (outcome.steps[0].freed_blocks, outcome.steps[2].objects, outcome.steps[2].uncollectable) == (7, 12, 1)
    assert not outcome.failed
    assert "hooks_release" in agent.asked


def test_a_warning_trims_nothing() -> None:
    agent = FakeAgent()
    assert kinds(agent.clean("warning"))[-1] == ("gc", "full collection")
    assert "trim" not in agent.asked


def test_a_hook_that_does_not_end_is_not_waited_for() -> None:
    agent = FakeAgent(hook_state={"running": True})
    outcome = agent.clean()
    assert [one.name for one in outcome.failed] == ["one", "two"]
    assert "not ended within 30 s" in outcome.steps[0].error
    assert outcome.steps[0].seconds >= HOOK_SECONDS
    assert "still runs" in outcome.steps[1].error
    assert [one.kind for one in outcome.steps[2:]] == ["gc", "trim"]


def test_hooks_of_another_clean_up_are_left_alone() -> None:
    outcome = FakeAgent(hooks_choose={"hooks": [], "busy": True}).clean()
    assert [one.kind for one in outcome.steps] == ["hook", "gc", "trim"]
    outcome = FakeAgent(hook_start={"started": False}).clean()
    assert [bool(one.error) for one in outcome.steps] == [True, True, False, False]


@pytest.mark.parametrize(
    ("do", "last"),
    [("hooks_choose", "hook"), ("hook_start", "hook"), ("hook_state", "hook"), ("collect", "gc"), ("trim", "trim")],
)
def test_an_agent_that_is_lost_ends_it_with_what_was_done(do: str, last: str) -> None:
    outcome = FakeAgent(**{do: None}).clean()
    assert outcome.steps[-1].kind == last
    assert outcome.failed == outcome.steps[-1:]


@pytest.mark.parametrize("answer", [{"seconds": "x"}, {"seconds": 1.0, "collected": []}, {"seconds": float("nan")}])
def test_misshapen_replies_are_channel_errors(answer: Frame) -> None:
    with pytest.raises(ChannelError, match="misshapen"):
        FakeAgent(collect=answer).clean()


OUTCOME = CleanupOutcome(
    "critical",
    12.5,
    100 * MIB,
    90 * MIB,
    (
        CleanupStep("hook", "shop.clear\x1b[2J", 0.5, 4 * MIB, 100),
        CleanupStep("hook", "broken", 0.1, 0, 0, error="ValueError: no luck"),
        CleanupStep("gc", "full collection", 0.02, -MIB, 30, 12, 1),
        CleanupStep("trim", "malloc_trim", 0.1, None, error="The C library has no malloc_trim: it is not glibc."),
    ),
)


def test_in_the_state_they_are_numbered_bounded_and_logged() -> None:
    state = empty_state()
    for _ in range(CLEANUP_BOUND + 5):
        state = reduce(state, m.CleanedUp(OUTCOME), 13.0)
    assert len(state.cleanups) == CLEANUP_BOUND
    assert state.cleanups[-1].number == CLEANUP_BOUND + 5
    text = state.events[-1].text
    assert text.startswith("Clean-up (critical): RSS -10.0 MiB; hook shop.clear")
    assert "ValueError: no luck" in text
    jsonschema.validate(build_report(state), load_schema())
    assert build_report(state)["cleanups"][-1]["steps"][1]["error"] == "ValueError: no luck"


def test_text_and_json() -> None:
    lines = cleanup_as_text(OUTCOME, TARGET)
    assert "\x1b" not in "".join(lines)
    assert lines[-2] == "RSS 100.0 MiB -> 90.0 MiB: 10.0 MiB freed"
    assert "thread of memtui" in lines[-1]
    assert any("failed: ValueError: no luck" in line for line in lines)
    assert any("not done: The C library" in line for line in lines)
    more = replace(OUTCOME, rss_after_bytes=101 * MIB, steps=OUTCOME.steps[2:])
    assert "1.0 MiB more" in cleanup_as_text(more, TARGET)[-1]
    unknown = replace(OUTCOME, rss_after_bytes=None, steps=())
    assert "not known" in cleanup_as_text(unknown, TARGET)[-1]
    document = cleanup_as_json(OUTCOME, TARGET)
    assert document["schema"] == "memtui.cleanup/1"
    assert document["freed_rss_bytes"] == 10 * MIB
    assert document["steps"][3]["freed_rss_bytes"] is None


def test_the_summary_of_several() -> None:
    assert cleanups_in_words([OUTCOME, OUTCOME]) == "2, RSS -20.0 MiB in all, 2 with steps that failed"
    assert cleanups_in_words([replace(OUTCOME, rss_after_bytes=None, steps=())]) == "1"


@pytest.fixture
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "memtui" / "cleanups"


def test_the_cooldown_is_kept_outside_of_the_process(state_home: Path) -> None:
    cooldown = Cooldown(os.getpid(), 300.0)
    assert cooldown.remaining_seconds() == 0
    assert cooldown.claim()
    assert 299 < Cooldown(os.getpid(), 300.0).remaining_seconds() <= 300
    assert Cooldown(os.getpid(), 0.0).remaining_seconds() == 0
    assert Cooldown(os.getppid(), 300.0).remaining_seconds() == 0
    (file,) = state_home.iterdir()
    os.utime(file, (time.time() - 301,) * 2)
    assert Cooldown(os.getpid(), 300.0).remaining_seconds() == 0
    os.utime(file, (time.time() + 5000,) * 2)
    assert Cooldown(os.getpid(), 300.0).remaining_seconds() == 0, "the clock was set back"


def test_a_clean_up_that_was_not_made_does_not_count(state_home: Path) -> None:
    cooldown = Cooldown(os.getpid(), 300.0)
    cooldown.claim()
    cooldown.give_back()
    assert list(state_home.iterdir()) == []
    cooldown.claim()
    (file,) = state_home.iterdir()
    os.utime(file, (time.time() - 400,) * 2)
    cooldown.claim()
    cooldown.give_back()
    assert file.stat().st_mtime < time.time() - 390


def test_old_times_are_forgotten(state_home: Path) -> None:
    state_home.mkdir(parents=True)
    old = state_home / "1-1-abc"
    old.touch()
    os.utime(old, (1.0, 1.0))
    Cooldown(os.getpid()).claim()
    assert not old.exists()
    assert len(list(state_home.iterdir())) == 1


def test_where_nothing_can_be_written_there_is_no_cooldown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    cooldown = Cooldown(os.getpid())
    assert not cooldown.claim()
    assert cooldown.remaining_seconds() == 0


def test_no_process_has_no_cooldown() -> None:
    with pytest.raises(TargetDiedError):
        Cooldown(2**22 + 1)


def alert(level: Level, until: float | None = None) -> Alert:
    return Alert(1.0, level, "rss>1MB", 2.0, until)


def test_the_worst_alert_that_stands_decides() -> None:
    assert wanted_level(empty_state()) is None
    assert wanted_level(empty_state(alerts=(alert("critical", 5.0),))) is None
    assert wanted_level(empty_state(alerts=(alert("critical", 5.0), alert("warning")))) == "warning"
    assert wanted_level(empty_state(alerts=(alert("critical"), alert("warning")))) == "critical"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def watched(*alerts: Alert, **changes: Any) -> State:
    return empty_state(target=replace(TARGET, pid=os.getpid()), alerts=alerts, **changes)


@pytest.mark.usefixtures("state_home")
def test_clean_ups_by_themselves_keep_the_cooldown() -> None:
    clock, asked = Clock(), list[Command]()
    auto = AutoCleanup(300.0, clock)
    auto.begin(asked.append)
    assert auto.attend(watched()) == ()
    assert asked == []
    for _ in range(3):
        auto.attend(watched(alert("warning")))
    assert asked == [Cleanup("warning")]
    auto.attend(watched(alert("critical")))
    assert len(asked) == 1
    clock.now += 301
    auto.attend(watched(alert("critical")))
    assert len(asked) == 1, "the time on the disk counts: real time has not passed"
    assert auto.end() == ()


def test_clean_ups_by_themselves_after_the_cooldown(state_home: Path) -> None:
    clock, asked = Clock(), list[Command]()
    auto = AutoCleanup(300.0, clock)
    auto.begin(asked.append)
    auto.attend(watched(alert("critical")))
    clock.now += 301
    for file in state_home.iterdir():
        os.utime(file, (time.time() - 301,) * 2)
    auto.attend(watched(alert("critical"), ending=Ending(1.0, "ended")))
    assert len(asked) == 1, "a process that has ended is left alone"
    auto.attend(watched(alert("critical")))
    assert asked == [Cleanup("critical")] * 2


def test_a_clean_up_by_somebody_else_counts(state_home: Path) -> None:
    assert Cooldown(os.getpid()).claim()
    auto, asked = AutoCleanup(300.0, Clock()), list[Command]()
    auto.begin(asked.append)
    auto.attend(watched(alert("critical")))
    assert asked == []
    assert state_home.exists()


class FakeLibrary(ModuleType):
    """The C half of ctypes, on another machine."""

    def __init__(self, error: BaseException) -> None:
        super().__init__("_ctypes")
        self.error = error

    def dlopen(self, name: None, flags: int) -> int:
        return 1

    def dlsym(self, handle: int, name: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (None, "without ctypes"),
        (FakeLibrary(OSError("undefined symbol")), "not glibc"),
        (
            FakeLibrary(RuntimeError("an audit hook said no")),
            "does not allow it (RuntimeError: an audit hook said no)",
        ),
    ],
)
def test_why_the_c_library_was_not_asked(
    module: ModuleType | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "_ctypes", module)  # type: ignore[arg-type]
    done = trim()
    assert words in done["error"]
    assert done["trimmed"] is None


def test_the_c_library_gives_memory_back() -> None:
    done = trim()
    assert done["error"] is None
    assert type(done["trimmed"]) is bool
