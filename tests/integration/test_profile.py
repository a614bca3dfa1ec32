from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from interpreters import Interpreter
from observed import as_nobody, line_from, reporting, running

from memtui.cli import profile
from memtui.errors import EXIT_TARGET, RefusedError, UsageError
from memtui.model.alert import threshold
from memtui.model.sample import Sample, Series
from memtui.model.state import State
from memtui.model.target import Target
from memtui.observe import process as process_module
from memtui.report.profile import Baseline, Profile, profile_as_json

SCHEMA = Path(profile.__file__).parents[1] / "report" / "schema.json"
SETUP = """
import os, time
gc.set_threshold(901, 11, 12); gc.disable(); gc.collect()
if not os.fork():
    time.sleep(60)
"""
HEADLESS = """
import argparse, sys
from memtui.cli import profile
parser = argparse.ArgumentParser()
profile.configure(parser)
code = profile.run(parser.parse_args())
heavy = sorted({name.partition(".")[0] for name in sys.modules} & {"textual", "rich", "plotext", "numpy", "memray"})
sys.exit(f"loaded {heavy}" if heavy else code)
"""


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    profile.configure(parser)
    return parser.parse_args(words)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert profile.run(parse(*words)) == 0
    return capsys.readouterr().out


def test_json_says_what_the_process_says(interpreter: Interpreter, capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(interpreter.path, SETUP) as (target, (enabled, thresholds, _, stats)):
        child = process_module.children(target.pid)
        try:
            seen: dict[str, Any] = json.loads(printed(capsys, str(target.pid), "--json"))
            resident = int(Path(f"/proc/{target.pid}/smaps_rollup").read_text().split("Rss:")[1].split()[0]) * 1024
        finally:
            for pid in child:
                os.kill(pid, signal.SIGKILL)
    assert seen["schema"] == "memtui.report/1"
    assert seen["target"]["pid"] == target.pid
    assert seen["target"]["python"] == ".".join(map(str, interpreter.version))
    assert seen["observed"]["rung"] == "observe"
    assert seen["memory"]["rss_bytes"]["last"] == pytest.approx(resident, rel=0.05)
    assert seen["memory"]["growth_bytes"] is None
    assert seen["gc"]["enabled"] is enabled
    assert [one["threshold"] for one in seen["gc"]["generations"]] == thresholds
    assert [one["collections"] for one in seen["gc"]["generations"]] == [one["collections"] for one in stats]
    assert seen["profile"]["children"] == child
    kinds = seen["profile"]["classes"]
    assert sum(kind["rss_bytes"] for kind in kinds.values()) == pytest.approx(resident, rel=0.05)
    assert kinds["file"]["rss_bytes"] > 0
    assert seen["status"] in ("ok", "warning", "critical")


def test_the_text_names_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    with running(sys.executable, "-c", "print(flush=True); input()\n# \x1b[31m red") as target:
        line_from(target)
        text = printed(capsys, str(target.pid))
    for part in (f"Process {target.pid}: ", "Status: ok", "anonymous", "total", "Threads 1", "generation", "enabled"):
        assert part in text
    assert "\x1b" not in text


def test_nothing_of_the_dashboard_is_loaded() -> None:
    with running(sys.executable, "-c", "print(flush=True); input()") as target:
        line_from(target)
        done = subprocess.run(
            [sys.executable, "-c", HEADLESS, str(target.pid)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr


def test_a_terminal_of_another_encoding_gets_question_marks() -> None:
    code = "print(flush=True); input()\n# \N{SNOWMAN}"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    with running(sys.executable, "-c", code) as target:
        line_from(target)
        command = [sys.executable, "-c", HEADLESS, str(target.pid)]
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert b"# ?" in done.stdout


def test_the_most_numerous_types(interpreter: Interpreter, capsys: pytest.CaptureFixture[str]) -> None:
    code = "import sys\nclass Node: pass\nkept = [Node() for _ in range(30_000)]\nfor one in kept: one.me = one\n"
    with running(interpreter.path, "-c", f"{code}print(flush=True); sys.stdin.read()") as target:
        line_from(target)
        seen = json.loads(printed(capsys, str(target.pid), "--types", "3", "--json"))
        text = printed(capsys, str(target.pid), "--types")
    errors = list(jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).iter_errors(seen))
    assert errors == []
    counts = {one["type"]: one["count"] for one in seen["types"]}
    assert counts["__main__.Node"] == 30_000
    assert len(counts) == 3
    assert {one["size_bytes"] for one in seen["types"]} == {None}
    assert seen["profile"]["type_scan"]["objects"] > 31_000
    assert "gc-tracked objects, counts only" in seen["profile"]["type_scan"]["covers"]
    assert "30,000  __main__.Node" in text
    assert "gc-tracked objects, counts only" in text
    assert len(text.split("Types, most numerous")[1].splitlines()) == 22


def test_types_are_counted_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with running(sys.executable, "-c", "print(flush=True); input()") as target:
        line_from(target)
        seen = json.loads(printed(capsys, str(target.pid), "--json"))
        assert "Types" not in printed(capsys, str(target.pid))
    assert seen["types"] == []
    assert seen["profile"]["type_scan"] is None


def test_types_that_cannot_be_counted_are_a_note(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int, interpreter: object) -> None:
        raise RefusedError("It cannot be done.", why="So it goes.")

    monkeypatch.setattr(profile, "scan_types", refuse)
    with running(sys.executable, "-c", "print(flush=True); input()") as target:
        line_from(target)
        assert "Note: It cannot be done. So it goes." in printed(capsys, str(target.pid), "--types")


@pytest.mark.parametrize("number", ["0", "-1", "many", "501"])
def test_what_is_no_number_of_types(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("1", f"--types={number}")
    assert caught.value.code == 2
    assert "1 to 500" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_users_process_is_shown_as_far_as_it_may_be_seen() -> None:
    with running(sys.executable, "-c", "print(flush=True); input()") as target:
        line_from(target)
        seen = json.loads(as_nobody(lambda: json.dumps(profile_as_json(profile.look(target.pid)))))
    assert seen["observed"]["rung"] == "process"
    assert seen["memory"]["rss_bytes"]["last"] > 1 << 20
    assert seen["memory"]["uss_bytes"]["last"] is None
    assert seen["gc"]["enabled"] is None
    assert seen["profile"]["classes"] is None
    assert "belongs to user root" in seen["profile"]["note"]


def test_what_is_no_python_is_refused() -> None:
    with running("sleep", "60") as target, pytest.raises(RefusedError) as caught:
        profile.run(parse(str(target.pid)))
    assert caught.value.exit_code == EXIT_TARGET


@pytest.mark.parametrize("word", ["0", "-3", "app.py", "1.5", "²"])
def test_what_is_no_pid(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(word)
    assert caught.value.code == 2
    assert capsys.readouterr().err


RULES = (threshold("warning", "limit", 80), threshold("critical", "limit", 90), threshold("critical", "rss", "2GB"))


@pytest.mark.parametrize(
    ("rss", "limit", "status", "words"),
    [
        (10**9, None, "ok", "3 thresholds are kept; no memory limit is set"),
        (800, 1000, "ok", "3 thresholds are kept; RSS is 80 % of the limit"),
        (801, 1000, "warning", "80.1 % (limit>80%)"),
        (901, 1000, "critical", "90.1 % (limit>90%); RSS against"),
        (3 * 10**9, None, "critical", "RSS is 3.0 GB (rss>2GB)"),
    ],
)
def test_the_status_is_that_of_the_thresholds(rss: int, limit: int | None, status: str, words: str) -> None:
    state = State(Target(1, ()), 0.0, series=Series().append(Sample(0.0, rss)), memory_limit_bytes=limit)
    one = Profile(state, rules=RULES)
    assert one.status == status
    assert words in one.status_reason
    crossed = {rule["rule"]: rule["crossed"] for rule in profile_as_json(one)["profile"]["thresholds"]}
    assert crossed["limit>80%"] is (None if limit is None else rss > 800)


def test_a_critical_process_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with running(sys.executable, "-c", "print(flush=True); input()") as target:
        line_from(target)
        words = [str(target.pid), "--critical", "rss=1MB", "--json", "--on-alert", "exit 7"]
        assert profile.run(parse(*words)) == 1
        output = capsys.readouterr()
        assert profile.run(parse(str(target.pid), "--warn", "rss=1MB", "--json")) == 0
    seen = json.loads(output.out)
    assert seen["status"] == "critical"
    assert [(one["level"], one["rule"]) for one in seen["alerts"]] == [("critical", "rss>1MB")]
    assert "rss>1MB" in seen["status_reason"]
    assert "failed with exit code 7" in output.err
    assert errors_of(seen) == []


def test_a_watch_tells_growth_and_trend(capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import time; print(flush=True); kept = []\nwhile 1: kept.append(bytearray(b'm') * 200_000); time.sleep(0.01)"
    )
    with running(sys.executable, "-c", code) as target:
        line_from(target)
        words = [str(target.pid), "--for", "2s", "--interval", "100ms", "--warn=rss=1MB"]
        seen = json.loads(printed(capsys, *words, "--json"))
    told = seen["profile"]
    assert told["trend"]["direction"] == "growing"
    assert told["trend"]["bytes_per_minute"] > 10**6
    assert told["baseline"] == {"rss_bytes": seen["memory"]["rss_bytes"]["first"], "source": "the first look"}
    assert seen["memory"]["growth_bytes"] == seen["memory"]["rss_bytes"]["last"] - told["baseline"]["rss_bytes"] > 0
    assert seen["observed"]["samples"] >= 10
    assert [one["rule"] for one in seen["alerts"]] == ["rss>1MB"], "one crossing is one alert"
    assert errors_of(seen) == []


def test_a_process_that_ends_meanwhile_is_still_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    with running(sys.executable, "-c", "import time; print(flush=True); time.sleep(1)") as target:
        line_from(target)
        reaper = threading.Thread(target=target.wait)
        reaper.start()
        code = profile.run(parse(str(target.pid), "--for", "60s", "--interval", "100ms"))
        reaper.join()
    assert code == 4
    text = capsys.readouterr().out
    assert f"Ended: Process {target.pid} ended" in text
    assert "Growth: " in text


def test_an_earlier_report_is_a_baseline(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "then.json"
    with running(sys.executable, "-c", "print(flush=True); input()") as target:
        line_from(target)
        file.write_text(printed(capsys, str(target.pid), "--json"))
        seen = json.loads(printed(capsys, str(target.pid), "--json", "--baseline", str(file)))
        text = printed(capsys, str(target.pid), "--baseline", str(file))
    assert seen["profile"]["baseline"]["source"] == str(file)
    assert seen["memory"]["growth_percent"] is not None
    assert f"of {file}" in text
    file.write_text("{}")
    with pytest.raises(UsageError, match="no report of memtui"):
        profile.run(parse("1", "--baseline", str(file)))


def test_growth_against_nothing_is_unknown() -> None:
    state = State(Target(1, ()), 0.0, series=Series().append(Sample(0.0, 5)))
    assert (Profile(state).growth_bytes, Profile(state).growth_percent) == (None, None)
    assert Profile(state, baseline=Baseline(4, "then")).growth_percent == 25.0
    assert profile_as_json(Profile(state))["memory"]["growth_bytes"] is None


def errors_of(report: object) -> list[object]:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    return [str(one) for one in validator.iter_errors(report)]
