"""Offers with their cost, and what a native recording adds to a suspect, on made-up figures."""

from __future__ import annotations

from dataclasses import replace

import jsonschema
import pytest
from test_native import report
from test_suspects import GROWING, MIB, MORE, evidence, holder, looks

from memtui.analysis.diagnosis.diagnose import diagnose
from memtui.analysis.predict import OVERHEAD_BYTES_PER_TRACE, tracing_cost
from memtui.model.allocation import Tracing
from memtui.model.evidence import GrownLine
from memtui.model.native import NativeResult
from memtui.model.sample import Sample, Series
from memtui.model.state import State
from memtui.model.target import Ending, Rung, Target
from memtui.report.build import build_report, load_schema
from memtui.report.diagnosis import diagnosis_as_text
from memtui.session.cpu_use import CpuUse
from memtui.session.slowdown import Slowdown

FLAT = (MIB, MIB, MIB, MIB)
NATIVE = evidence(None, looks=looks(FLAT, (10 * MIB, 15 * MIB, 20 * MIB, 25 * MIB)))
PYTHON = evidence(holder(GROWING, MORE))
RECORDED = NativeResult(report(), None, "time", 0.4, 50.0)


def state(**changes: object) -> State:
    made = State(
        target=Target(4242, ("python", "app.py")),
        started_at=0.0,
        now_seconds=60.0,
        rung=Rung.OBSERVE,
        series=Series().append(Sample(0.0, 20 * MIB)).append(Sample(60.0, 40 * MIB)),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def text_of(one: State) -> str:
    return " ".join(" ".join(diagnosis_as_text(one, diagnose(one))).split())


def test_native_memory_offers_a_recording() -> None:
    told = text_of(state(evidence=NATIVE))
    assert "memtui native 4242, or this command with --native" in told
    assert "memray must be installed for the program's Python" in told
    launched = Target(4242, ("python", "app.py"), launched=True)
    assert "memtui native 4242" not in text_of(state(evidence=NATIVE, target=launched))
    assert "+ To see" not in text_of(state(evidence=NATIVE, ending=Ending(60.0, "It ended.")))


def test_a_recording_goes_into_the_suspect_and_the_report() -> None:
    one = state(evidence=NATIVE, native=RECORDED)
    (found,) = diagnose(one).suspects
    assert found.offer is None
    assert [site.extension for site in found.native_sites] == ["ujson"]
    assert "report it with this call site" in found.advice
    told = text_of(one)
    assert "allocated at: ujson: +0x128a4 (no symbols) (2.0 KiB not freed)" in told
    assert "called from step (app.py:3)" in told
    written = build_report(one)
    jsonschema.Draft202012Validator(load_schema()).validate(written)
    assert written["native"]["schema"] == "memtui.native/1"
    place = written["suspects"][0]["allocated_at"][0]
    assert (place["function"], place["line"], place["size_bytes"]) == ("+0x128a4 (no symbols)", None, 2048)
    assert place["file"].endswith("ujson.so")


def test_a_recording_says_nothing_of_objects() -> None:
    (found,) = diagnose(state(evidence=PYTHON, native=RECORDED)).suspects
    assert found.native_sites == ()
    assert not any("memray" in told for told in found.evidence)


def test_objects_offer_tracing_with_its_cost() -> None:
    one = state(evidence=PYTHON, cpu_share=0.12)
    told = text_of(one)
    assert "this command with --trace (the agent goes in; the process uses 12% of a core now" in told
    assert "expect 24% to a whole core" in told
    written = build_report(one)
    jsonschema.Draft202012Validator(load_schema()).validate(written)
    assert written["suspects"][0]["offer"]["kind"] == "trace"


@pytest.mark.parametrize(
    "changes",
    [
        {"tracing": Tracing(on=True)},
        {"evidence": replace(PYTHON, lines=(GrownLine("app.py", 3, MIB, 100),))},
        {"ending": Ending(60.0, "It ended.")},
        {"evidence": evidence(holder(GROWING, MORE, bound=500, type="lru_cache"))},
    ],
    ids=["on already", "lines known", "ended", "bounded"],
)
def test_tracing_is_not_offered_for_nothing(changes: dict[str, object]) -> None:
    assert all(one.offer is None for one in diagnose(state(**{"evidence": PYTHON, **changes})).suspects)


def test_what_is_expected_is_offered_nothing() -> None:
    (found,) = diagnose(state(evidence=PYTHON)).suspects
    assert found.offer is not None
    (marked,) = diagnose(state(evidence=PYTHON), expected={found.signature}).suspects
    assert marked.offer is None


def test_the_cost_of_tracing_in_words() -> None:
    assert tracing_cost(state(), None) == "benchmarks ran 2 to 13 times slower"
    idle = tracing_cost(state(cpu_share=0.0), 100.0)
    assert "less than 0.1 % of a core" in idle
    assert f"{60 * 100 * OVERHEAD_BYTES_PER_TRACE / 1024:.1f} KiB a minute" in idle
    assert "expect 10% to 65%" in tracing_cost(state(cpu_share=0.05), None)


def test_what_tracing_takes_is_no_native_leak() -> None:
    own = Tracing(on=True, overhead_bytes=4 * MIB)
    assert diagnose(state(evidence=NATIVE, tracing=own)).suspects == ()
    little = Tracing(on=True, overhead_bytes=MIB)
    assert [one.kind for one in diagnose(state(evidence=NATIVE, tracing=little)).suspects] == ["native"]


def test_what_tracing_cost_is_told() -> None:
    measured = Tracing(on=True, overhead_bytes=2 * MIB, slowdown_percent=80.0)
    assert "Tracing cost the process +80 % of CPU time, and 2.0 MiB" in text_of(
        state(evidence=PYTHON, tracing=measured)
    )
    unknown = replace(measured, slowdown_percent=None)
    assert "not measurable in CPU time" in text_of(state(evidence=PYTHON, tracing=unknown))


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


def test_the_share_of_a_core_is_that_of_the_last_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, use = Clock(monkeypatch), CpuUse()
    assert use.share(5.0) is None
    clock.now += 10
    assert use.share(6.0) == 0.1
    for _ in range(40):
        clock.now += 1
        last = use.share(6.0)
    assert last == 0.0


def test_the_slowdown_is_measured_from_before_tracing_began(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slowdown, cpu = Clock(monkeypatch), Slowdown(), 0.0

    def watch(share: float, tracing: bool) -> None:
        nonlocal cpu
        for _ in range(10):
            clock.now += 1
            cpu += share
            slowdown.look(cpu, tracing)

    watch(0.1, tracing=False)
    assert slowdown.percent is None
    slowdown.tracing_starts()
    watch(0.3, tracing=True)
    assert slowdown.percent == pytest.approx(200)
    slowdown.tracing_stops()
    assert slowdown.percent is None
    watch(0.1, tracing=False)
    slowdown.tracing_starts()
    watch(0.2, tracing=True)
    assert slowdown.percent == pytest.approx(100)
