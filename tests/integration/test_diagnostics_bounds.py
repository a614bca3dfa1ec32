"""``memtui diagnostics`` where little can be known: too short a watch, and what the report says of its cost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
from observed import line_from, running

from memtui.report.build import load_schema

CALM = "import time\nprint(1, flush=True)\nwhile True:\n    time.sleep(0.05)"


def diagnosed(path: Path, pid: int, *options: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "memtui", "diagnostics", str(pid), "--report", str(path), *options],
        capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    return done.returncode, json.loads(path.read_text()), done.stdout + done.stderr


def test_too_short_a_watch_is_inconclusive_and_says_why(tmp_path: Path) -> None:
    with running(sys.executable, "-c", CALM) as process:
        line_from(process)
        code, report, told = diagnosed(tmp_path / "report.json", process.pid, "--for", "1s")
    assert code == 0
    jsonschema.validate(report, load_schema())
    verdict = report["verdict"]
    assert verdict["state"] == "inconclusive"
    assert "too short a watch" in verdict["reasons"][0]
    assert "too short a watch for that" in told
    assert report["snapshots"] == []


def test_what_a_watch_costs_is_in_the_report(tmp_path: Path) -> None:
    with running(sys.executable, "-c", CALM) as process:
        line_from(process)
        code, report, told = diagnosed(tmp_path / "report.json", process.pid, "--for", "10s")
    assert code == 0
    cost = report["cost"]
    assert 0 < cost["target_longest_pause_seconds"] <= cost["pictures_stop_seconds"] <= cost["target_cpu_seconds"]
    assert cost["target_cpu_seconds"] == cost["pictures_cpu_seconds"]
    assert cost["tool_cpu_seconds"] > 0.5, "what takes the pictures counts, too"
    assert "It cost the process" in told
