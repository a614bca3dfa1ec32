"""What is said of cycles: the check in words, its suspects, when it is asked about, and what is expected."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest
from states import empty_state, full_state, gc_state

from memtui.analysis.detect import Verdict
from memtui.analysis.diagnosis import judge
from memtui.analysis.diagnosis.cycles import NOT_FREED_ADVICE, SAVED_ADVICE, advice, findings, with_cycles
from memtui.analysis.diagnosis.diagnose import diagnose
from memtui.errors import ChannelError
from memtui.model.command import CheckCycles
from memtui.model.cycles import CycleCheck, GarbageType
from memtui.model.evidence import Evidence, GrownType, Look
from memtui.model.gc import GcPauses, GcState, Generation
from memtui.model.state import State
from memtui.model.suspect import Suspect
from memtui.report.build import build_report, load_schema
from memtui.report.diagnosis import diagnosis_as_text
from memtui.report.write import render
from memtui.session import messages as m
from memtui.session import wire
from memtui.session.cycle_check import cycle_check_question, cycle_check_seconds
from memtui.session.reducer import reduce

MIB = 1024 * 1024
CHECK = CycleCheck(
    60.0, 900, 72_000, (GarbageType("shop.Order", 600, 48_000), GarbageType("dict", 300, 24_000)), 2, True, False,
    (("shop.Order.owner", "shop.Shop.orders", "list[0]"),), (), 0, (), True, 0, True, 0, 0, 0.012, 0.03,
)  # fmt: skip
SAVED = (GarbageType("shop.Order", 7),)
REPLY = {
    "t": "reply", "ok": True, "objects": 3, "bytes": 200, "types": [["a.B", 2, 128], ["list", 1, 72]],
    "type_count": 2, "complete": True, "sampled": False, "cycles": [["a.B.me"]], "before": [["str", 1]],
    "before_count": 1, "flags": 32, "enabled": False, "frozen": 5, "freed": False, "not_freed": [],
    "uncollectable": 2, "pause": 0.1, "seconds": 0.2,
}  # fmt: skip


def look(at_seconds: float, garbage: int) -> Look:
    size = 10 * MIB + garbage
    return Look(at_seconds, size, size, size, 1000, garbage, garbage // 100, size, 0, 0.004)


def cycles_state(**changes: object) -> State:
    """A process in which only garbage grows."""
    looks = tuple(look(number * 15.0, number * MIB) for number in range(4))
    evidence = Evidence(
        looks,
        (),
        (GrownType("str", 9, 3 * MIB), GrownType("shop.Order", 9, MIB)),
        (),
        cycles=("shop.Order.me -> back",),
    )
    return replace(empty_state(gc=gc_state()), evidence=evidence, **changes)  # type: ignore[arg-type]


def only(suspects: tuple[Suspect, ...]) -> Suspect:
    (one,) = suspects
    return one


def test_a_reply_of_the_agent() -> None:
    check = wire.cycle_check(REPLY, 5.0)
    assert check.types == (GarbageType("a.B", 2, 128), GarbageType("list", 1, 72))
    assert check.kept == (GarbageType("str", 1, None),)
    assert check.paths == ("a.B.me -> back",)
    assert (check.debug_flags, check.was_freed, check.uncollectable) == (32, False, 2)


@pytest.mark.parametrize("name", [name for name in REPLY if name not in ("t", "ok")])
def test_a_misshapen_reply(name: str) -> None:
    with pytest.raises(ChannelError):
        wire.cycle_check({key: value for key, value in REPLY.items() if key != name}, 5.0)


def test_the_check_in_words() -> None:
    told = "\n".join(findings(CHECK))
    assert "900 objects" in told
    assert "600 shop.Order" in told
    assert "Cycle: shop.Order.owner -> shop.Shop.orders -> list[0] -> back" in told
    assert "12.0 ms at most" in told
    assert "weakref" in advice(CHECK)
    nothing = replace(CHECK, objects=0, types=(), cycles=())
    assert findings(nothing)[0].startswith("Nothing was garbage")
    assert advice(nothing) == ""


def test_what_keeps_garbage_is_said() -> None:
    kept = replace(CHECK, kept=SAVED, kept_objects=7, was_freed=False, debug_flags=32, gc_enabled=False)
    told = "\n".join(findings(kept))
    assert "gc.garbage held 7 objects already: 7 shop.Order" in told
    assert "gc.DEBUG_SAVEALL set" in told
    assert "switched off" in told
    assert advice(kept) == SAVED_ADVICE
    stuck = replace(CHECK, not_freed=(GarbageType("itertools.chain", 5),))
    assert "5 itertools.chain" in "\n".join(findings(stuck))
    assert advice(stuck) == NOT_FREED_ADVICE


def test_the_check_becomes_part_of_the_state_and_of_the_log() -> None:
    state = reduce(empty_state(), m.CyclesChecked(CHECK), 60.0)
    assert state.cycles == CHECK
    assert "900 objects" in state.events[-1].text


def test_a_suspect_that_is_a_cycle_names_its_path() -> None:
    found = only(diagnose(cycles_state()).suspects)
    assert (found.category, found.type) == ("cycle", "shop.Order")
    assert "Cycle: shop.Order.me -> back" in found.evidence
    checked = only(diagnose(cycles_state(cycles=CHECK)).suspects)
    assert "Cycle: shop.Order.owner -> shop.Shop.orders -> list[0] -> back" in checked.evidence
    assert checked.signature == found.signature


@pytest.mark.parametrize(
    ("enabled", "threshold", "words"), [(False, 700, "gc.disable()"), (True, 0, "gc.set_threshold(0)"),
                                        (True, 50_000, "50,000 new objects")]
)  # fmt: skip
def test_why_nothing_collects_is_said(enabled: bool, threshold: int, words: str) -> None:
    gc = GcState(enabled, tuple(Generation(0, threshold, 0, 0, 0) for _ in range(3)))
    found = only(diagnose(replace(cycles_state(), gc=gc)).suspects)
    assert any(words in one for one in found.evidence), found.evidence


def test_gc_garbage_is_a_suspect_that_makes_no_verdict() -> None:
    found = only(with_cycles((), replace(empty_state(), cycles=replace(CHECK, kept=SAVED, kept_objects=7))))
    assert (found.holder, found.category, found.type) == ("gc.garbage", "cycle", "shop.Order")
    assert "7 shop.Order" in found.evidence[0]
    assert not found.lasting
    pictured = Evidence((look(0, 0), look(9, 0)), (), (), (), saved=(GrownType("shop.Order", 7, 700),))
    assert "7 shop.Order (700 B)" in only(with_cycles((), replace(empty_state(), evidence=pictured))).evidence[0]
    assert with_cycles((), replace(empty_state(), cycles=CHECK)) == ()


def test_what_the_collector_counts_as_uncollectable_is_named() -> None:
    def counted(number: int) -> GcState:
        return GcState(
            True, (Generation(0, 700, 0, 0, 0), Generation(0, 10, 0, 0, 0), Generation(0, 10, 3, 9, number))
        )

    found = only(with_cycles((), replace(empty_state(), gc=counted(12), first_gc=counted(2))))
    assert "12 objects as uncollectable, 10 of them while memtui watched" in found.evidence[0]
    assert found.type is None


@pytest.mark.parametrize(
    ("objects", "pauses", "asks"),
    [(100_000, None, False), (5_000_000, None, True), (5_000_000, GcPauses(1, 0.01, 0.01, 0.01, 2), False),
     (None, None, False)],
)  # fmt: skip
def test_a_long_stop_is_asked_about(objects: int | None, pauses: GcPauses | None, asks: bool) -> None:
    gc = GcState(
        True, (Generation(10, 700, 1, 0, 0), Generation(3, 10, 0, 0, 0), Generation(2, 10, 0, 0, 0)), objects
    )
    state = replace(empty_state(gc=gc), pauses=pauses)
    assert cycle_check_seconds(state) is not None
    question = cycle_check_question(state, CheckCycles())
    assert (question is not None) is asks
    assert question is None or "full collection" in question.text
    assert question is None or question.command == CheckCycles(accept_stop=True)
    assert not cycle_check_question(state, CheckCycles(accept_stop=True))


def test_nothing_known_of_the_heap_is_asked_about_too() -> None:
    question = cycle_check_question(replace(empty_state(), gc=None), CheckCycles())
    assert question is not None
    assert "not known" in question.text


def test_a_young_heap_whose_collector_is_off_counts_what_it_made() -> None:
    gc = GcState(False, (Generation(4_000_000, 700, 0, 0, 0), Generation(0, 10, 0, 0, 0), Generation(0, 10, 0, 0, 0)))
    assert cycle_check_question(empty_state(gc=gc), CheckCycles())


def test_the_report_has_the_check() -> None:
    report = json.loads(
        render(build_report(replace(full_state(), cycles=replace(CHECK, kept=SAVED, kept_objects=7))))
    )
    jsonschema.Draft202012Validator(load_schema()).validate(report)
    assert report["cycles"]["paths"] == [["shop.Order.owner", "shop.Shop.orders", "list[0]"]]
    assert report["cycles"]["garbage"] == {
        "count": 7, "types": [{"type": "shop.Order", "count": 7, "size_bytes": None}]
    }  # fmt: skip
    assert build_report(full_state())["cycles"] is None


def test_the_text_has_the_check_or_why_there_is_none() -> None:
    state = replace(empty_state(), cycles=CHECK)
    assert "Checked collection:" in list(diagnosis_as_text(state, diagnose(state)))
    state = empty_state()
    assert "Cycles were not checked: It ended." in list(diagnosis_as_text(state, diagnose(state), "", "It ended."))


def test_what_is_expected_is_listed_apart_and_makes_no_verdict() -> None:
    state = cycles_state()
    found = only(diagnose(state).suspects)
    leak = Verdict("leak", 0.9, ("RSS grows.",), 1e6, None, 60.0)
    assert judge(leak, [found]).state == "leak"
    marked = judge(leak, [replace(found, expected=True)])
    assert marked.state == "growing"
    assert "expected" in marked.reasons[0]
    diagnosis = diagnose(state, expected=(found.signature,))
    assert only(diagnosis.suspects).expected
    assert diagnosis.verdict.state not in ("suspect", "leak")
    text = list(diagnosis_as_text(state, diagnosis))
    assert any(line.startswith("Expected (") for line in text)
    assert not any(line.startswith("1. ") for line in text)
    report = build_report(state, diagnosis)
    assert [one["expected"] for one in report["suspects"]] == [True]


def test_an_expected_suspect_hides_no_other() -> None:
    one = only(diagnose(cycles_state()).suspects)
    other = replace(one, signature="another")
    leak = Verdict("growing", 0.4, ("RSS grows.",), 1e6, None, 60.0)
    assert judge(leak, [replace(one, expected=True), other]).state == "suspect"
