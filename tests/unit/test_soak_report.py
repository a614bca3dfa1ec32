"""What a soak test writes: JSON by the schema, JUnit XML, Markdown, and reading a baseline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from states import MIB, TARGET, empty_state

from memtui.analysis.soak import SoakJudge, SoakPlan
from memtui.errors import UsageError
from memtui.model.alert import Alert
from memtui.model.sample import Sample, Series
from memtui.model.state import State
from memtui.model.target import Ending
from memtui.report.baseline import read_baseline
from memtui.report.build import load_schema
from memtui.report.junit import junit_of
from memtui.report.markdown import markdown_of
from memtui.report.soak import SoakReport, figures, headline, soak_as_text, soak_report
from memtui.report.write import render

NASTY = ("python", "a|b`*<x>\x1b[2J\x00\ud800.py")


def soak(speed: float = 0.0, looks: int = 60, outcome: str = "passed", code: int = 0, **changes: Any) -> SoakReport:
    """A soak of a process that grows by ``speed`` MiB a second, limited to 10 MiB."""
    series = Series()
    for at in range(looks):
        series = series.append(Sample(float(at), round(100 * MIB + speed * MIB * at)))
    state = empty_state(target=replace(TARGET, command=NASTY), started_at=empty_state().target.started_at, **changes)
    plan = SoakPlan(60.0, max_growth_bytes=10 * MIB, max_rss_bytes=2000 * MIB, warm_up_seconds=0.0, fail_on="never")
    judge = SoakJudge(plan, state)
    for count in range(1, looks + 1):
        state = _after(state, series, count)
        judge.see(state)
    return SoakReport(state, judge.result(state), outcome, code, recording="/state/soak.memtui")


def _after(state: State, series: Series, count: int) -> State:
    shown = Series()
    for sample in series.samples[:count]:
        shown = shown.append(sample)
    return replace(state, series=shown, now_seconds=float(count - 1))


DIED = Ending(59.0, "The workload was killed by SIGKILL", signal=9)
CASES = {
    "passed": soak(),
    "failed": soak(1.0, outcome="failed", code=1),
    "died": soak(outcome="died", code=4, ending=DIED),
    "interrupted": soak(outcome="interrupted", code=130),
    "at once": soak(looks=1, outcome="interrupted", code=130),
}


@pytest.mark.parametrize("name", CASES)
def test_the_report_is_valid(name: str) -> None:
    report = json.loads(render(soak_report(CASES[name])))
    jsonschema.validate(report, load_schema())
    assert report["soak"]["outcome"] == CASES[name].outcome
    assert report["soak"]["recording"] == "/state/soak.memtui"


class TestJUnit:
    @pytest.mark.parametrize(
        ("name", "failures", "errors"), [("passed", 0, 0), ("failed", 1, 0), ("died", 0, 1), ("interrupted", 0, 0)]
    )
    def test_counts_are_those_of_the_cases(self, name: str, failures: int, errors: int) -> None:
        root = ET.fromstring(junit_of(CASES[name]))
        suite = root.find("testsuite")
        assert root.tag == "testsuites"
        assert suite is not None
        cases = suite.findall("testcase")
        assert {one.get("name") for one in cases} == {"verdict", "max-growth", "max-rss", "target"}
        assert [int(suite.get(kind, "")) for kind in ("tests", "failures", "errors")] == [4, failures, errors]
        assert len(suite.findall("testcase/failure")) == failures
        assert len(suite.findall("testcase/error")) == errors
        assert all(float(one.get("time", "")) >= 0 for one in cases)

    def test_a_failure_says_what_and_a_property_how_much(self) -> None:
        root = ET.fromstring(junit_of(CASES["failed"]))
        failure = root.find("testsuite/testcase[@name='max-growth']/failure")
        assert failure is not None
        assert "+57.0 MiB" in failure.get("message", "")
        values = {one.get("name"): one.get("value") for one in root.iter("property")}
        assert values["rss_max_bytes"] == str(159 * MIB)
        assert values["outcome"] == "failed"

    def test_what_could_not_be_told_is_skipped(self) -> None:
        root = ET.fromstring(junit_of(CASES["at once"]))
        skipped = {one.get("name") for one in root.iter("testcase") if one.find("skipped") is not None}
        assert skipped == {"verdict", "max-growth", "target"}


class TestMarkdown:
    def test_the_target_adds_no_markup(self) -> None:
        text = markdown_of(CASES["failed"]).decode()
        assert "\x1b" not in text
        assert "FAILED" in text
        tables = [line for line in text.splitlines() if line.startswith("|")]
        assert all(line.endswith("|") for line in tables)
        assert any("max-growth" in line and "failed" in line for line in tables)

    def test_the_headline_tells_the_outcome(self) -> None:
        told = {name: headline(one) for name, one in CASES.items()}
        assert told["passed"] == "passed (inconclusive) after 59 s"
        assert told["failed"] == "FAILED after 59 s of 1 m 00 s: max-growth"
        assert told["died"] == "ended after 59 s of 1 m 00 s: The workload was killed by SIGKILL"
        assert told["at once"].startswith("interrupted")


def test_the_text_is_clean() -> None:
    text = "\n".join(soak_as_text(CASES["failed"]))
    assert "\x1b" not in text
    assert "FAILED  max-growth: +57.0 MiB after the warm-up; the limit is 10.0 MiB." in text


def test_alerts_are_told() -> None:
    alerts = (
        Alert(5.0, "warning", "rss>100MB", 120e6),
        Alert(9.0, "critical", "rss>150MB", 160e6),
        Alert(20.0, "critical", "rss>150MB", 170e6),
    )
    told = dict(figures(soak(1.0, alerts=alerts)))
    assert told["warning"] == "RSS is 120.0 MB (rss>100MB) after 5 s"
    assert told["critical"].endswith("after 9 s, and 1 more")


class TestBaseline:
    def test_what_soak_wrote_is_read_back(self, tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        path.write_bytes(render(soak_report(CASES["failed"])))
        assert read_baseline(path) == CASES["failed"].result.rate

    def test_of_another_command_the_samples_count(self, tmp_path: Path) -> None:
        report = soak_report(CASES["failed"])
        del report["soak"]
        path = tmp_path / "report.json"
        path.write_bytes(render(report))
        rate = read_baseline(path)
        assert rate is not None
        assert rate.bytes_per_second == pytest.approx(MIB, rel=0.001)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (None, "No such file"),
            (b"{", "no JSON"),
            (b"\xff\x00", "no JSON"),
            (b"[]", "no report"),
            (b'{"schema": "memtui.report/2"}', "no report"),
            (b'{"schema": "memtui.report/1", "samples": [{"at_seconds": "x"}]}', "no report"),
        ],
    )
    def test_anything_else_is_one_sentence(self, tmp_path: Path, content: bytes | None, words: str) -> None:
        path = tmp_path / "report.json"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UsageError, match=words):
            read_baseline(path)
