"""From evidence to suspects and a verdict, on made-up figures."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from states import empty_state

from memtui.analysis.detect import Verdict
from memtui.analysis.diagnosis import find_suspects, judge, split_growth
from memtui.analysis.diagnosis.growth import course
from memtui.analysis.soak import SoakJudge, SoakPlan
from memtui.model.evidence import Evidence, GrownHolder, GrownLine, GrownType, Look
from memtui.model.heap import HolderStep
from memtui.model.sample import Sample
from memtui.session.expected import expected_file, load_expected, save_expected
from memtui.session.leak_check import LeakCheck
from memtui.session.watching import look_times

MIB = 1024 * 1024
TIMES = (0.0, 15.0, 30.0, 45.0)
CURVE = Verdict("growing", 0.4, ("RSS grows.",), 1e6, None, 45.0)


def looks(
    objects: tuple[int, ...], anonymous: tuple[int, ...], free: tuple[int, ...] = (0, 0, 0, 0)
) -> tuple[Look, ...]:
    figures = zip(TIMES, objects, anonymous, free, strict=True)
    return tuple(
        Look(at, size + 5 * MIB, size, heap, 1000, 0, 0, heap, kept, 0.004) for at, heap, size, kept in figures
    )


def holder(sizes: tuple[int, ...], elements: tuple[int, ...], **changes: object) -> GrownHolder:
    made = GrownHolder(
        "shop.CACHE", "dict", "modules", "sys.modules",
        (HolderStep("shop", 1, "module"), HolderStep(".CACHE", 2, "dict")), sizes, elements, elements, None,
        (GrownType("shop.Order", elements[-1] - elements[0], sizes[-1] - sizes[0]),),
        None, False,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


GROWING = (MIB, 2 * MIB, 3 * MIB, 4 * MIB)
MORE = (100, 200, 300, 400)


def evidence(one: GrownHolder | None, **changes: object) -> Evidence:
    made = Evidence(looks(GROWING, GROWING), (one,) if one else (), (), ())
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_course_rises_at_every_look_or_not() -> None:
    assert course((0, 10, 20, 30), TIMES).steady
    assert not course((0, 20, 20, 30), TIMES).rises
    slower = course((0, 60, 90, 100), TIMES)
    assert not slower.steady
    assert not course((0, 30), (0.0, 45.0)).rises, "two looks prove nothing"


def test_a_growing_cache_is_the_first_suspect() -> None:
    (found,) = find_suspects(evidence(holder(GROWING, MORE)))
    assert (found.type, found.holder, found.category) == ("shop.Order", "shop.CACHE", "unbounded-cache")
    assert found.lasting
    assert found.share == 1.0
    assert judge(CURVE, [found]).state == "suspect"
    assert find_suspects(evidence(holder(GROWING, MORE)))[0].signature == found.signature


def test_what_is_expected_fails_no_soak() -> None:
    found = evidence(holder(GROWING, MORE))
    (suspect,) = find_suspects(found)
    state = empty_state(evidence=found)
    for second in range(60):
        state = replace(state, series=state.series.append(Sample(float(second), 50 * MIB + second * MIB)))
    state = replace(state, now_seconds=60.0)
    states = {}
    for expected in (frozenset(), frozenset((suspect.signature,))):
        judge_of_soak = SoakJudge(SoakPlan(60.0, expected=expected), state)
        states[bool(expected)] = judge_of_soak.result(state)
    assert states[False].broken
    assert not states[True].broken
    assert states[True].diagnosis.suspects[0].expected


def test_a_bounded_holder_is_filling_and_no_leak() -> None:
    (found,) = find_suspects(evidence(holder(GROWING, MORE, bound=1000)))
    assert found.bounded
    assert found.category == "bounded-cache"
    assert found.seconds_until_full == pytest.approx(600 / (300 / 45), abs=1)
    assert judge(CURVE, [found]).state == "growing"


def test_what_fills_more_and_more_slowly_makes_no_verdict() -> None:
    (found,) = find_suspects(evidence(holder((MIB, 3 * MIB, 3 * MIB + 600_000, 4 * MIB), (100, 320, 370, 400))))
    assert not found.lasting
    assert judge(CURVE, [found]).state == "growing"


def test_objects_that_nothing_refers_to_are_held_by_c_code() -> None:
    (found,) = find_suspects(evidence(replace(holder(GROWING, MORE), group="unknown", elements=None)))
    assert (found.holder, found.category) == (None, "c-extension")
    assert "C code" in found.evidence[0]


def test_memory_that_is_no_object_is_native() -> None:
    flat = (MIB, MIB, MIB, MIB)
    found = find_suspects(evidence(None, looks=looks(flat, (10 * MIB, 15 * MIB, 20 * MIB, 25 * MIB))))
    assert [(one.kind, one.category) for one in found] == [("native", "native")]
    split = split_growth(evidence(None, looks=looks(flat, (10 * MIB, 15 * MIB, 20 * MIB, 25 * MIB))))
    assert (split.native_bytes, split.objects_bytes, split.unexplained_bytes) == (15 * MIB, 0, 0)


def test_stacks_of_new_threads_are_no_native_leak() -> None:
    seen = looks((0, 0, 0, 0), tuple(2 * one for one in GROWING))
    assert [one.kind for one in find_suspects(evidence(None, looks=seen))] == ["native"]
    seen = tuple(replace(look, threads=10 + 50 * number) for number, look in enumerate(seen))
    assert find_suspects(evidence(None, looks=seen)) == ()
    threads = (GrownType("threading.Thread", 150, MIB // 2),)
    (found,) = find_suspects(evidence(holder((0, MIB // 6, MIB // 3, MIB // 2), MORE, types=threads), looks=seen))
    assert found.share == 1.0
    assert "+150 threads" in found.evidence[-1]


def test_the_type_is_that_of_the_elements_before_what_hangs_on_them() -> None:
    types = (
        GrownType("bytearray", 300, 3 * MIB),
        GrownType("asyncio.locks.Event", 300, MIB),
        GrownType("collections.deque", 300, MIB),
        GrownType("shop.Connection", 300, 1000, is_element=True),
    )
    (found,) = find_suspects(evidence(holder(GROWING, MORE, types=types)))
    assert found.type == "shop.Connection"
    (found,) = find_suspects(evidence(holder(GROWING, MORE, types=types[:3])))
    assert found.type == "asyncio.locks.Event"


def test_memory_that_allocators_keep_is_fragmentation_and_no_leak() -> None:
    kept = looks((MIB,) * 4, (10 * MIB, 15 * MIB, 20 * MIB, 25 * MIB), (0, 5 * MIB, 10 * MIB, 15 * MIB))
    found = find_suspects(evidence(None, looks=kept))
    assert [one.kind for one in found] == ["fragmentation"]
    assert judge(CURVE, found).state == "growing"


def test_unreachable_objects_are_cycles() -> None:
    waiting = tuple(
        replace(look, garbage_bytes=look.objects_bytes, garbage_objects=number * 1000)
        for number, look in enumerate(looks(GROWING, GROWING))
    )
    (found,) = find_suspects(evidence(None, looks=waiting, garbage=(GrownType("shop.Node", 3000, 3 * MIB),)))
    assert (found.category, found.type) == ("cycle", "shop.Node")


def test_lines_are_named_when_they_are_known() -> None:
    lines = (GrownLine("shop.py", 12, 2 * MIB, 200), GrownLine("other.py", 1, 100, 1))
    (found,) = find_suspects(evidence(holder(GROWING, MORE), lines=lines))
    assert [(one.place.file, one.place.line) for one in found.allocated_at] == [("shop.py", 12)]


def test_little_growth_is_everyday_life() -> None:
    small = tuple(MIB + number * 1000 for number in range(4))
    assert find_suspects(evidence(holder(small, MORE))) == ()
    (found,) = find_suspects(evidence(holder((MIB, MIB + 80_000, MIB + 160_000, MIB + 240_000), MORE)))
    assert judge(CURVE, [replace(found, share=0.9)]).state == "growing"


def test_several_holders_of_the_same_leak_count_together() -> None:
    (found,) = find_suspects(evidence(holder(GROWING, MORE)))
    parts = [replace(found, share=0.1, growth_bytes_per_second=9000.0) for _ in range(3)]
    assert judge(CURVE, parts).state == "suspect"
    assert judge(CURVE, parts[:1]).state == "growing"


def test_looks_are_spread_unevenly_and_there_are_more_of_a_long_watch() -> None:
    times = look_times(5.0, 58.0)
    assert len(times) == 4
    assert (times[0], times[-1]) == (5.0, 58.0)
    assert len({round(b - a, 3) for a, b in pairwise(times)}) == 3
    assert len(look_times(0.0, 3600.0)) == 8


def test_a_check_takes_each_of_its_pictures_once() -> None:
    check = LeakCheck(10.0, 60.0)
    assert check.due(10.0)
    assert not check.due(10.0)
    assert "2 of 4" in check.told()
    assert [check.due(100.0) for _ in range(4)] == [True, True, True, False]
    assert check.is_over


def test_what_is_expected_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_expected() == {}
    save_expected({"abc": "Order shop.CACHE"})
    assert load_expected() == {"abc": "Order shop.CACHE"}
    expected_file().write_text("no json")
    assert load_expected() == {}
