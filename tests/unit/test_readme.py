"""What README.md says that a machine can check."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from memtui import errors
from memtui.tui.actions import markdown_table

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_key_table_is_that_of_the_dashboard() -> None:
    written = README.split("<!-- keys -->")[1].split("<!-- /keys -->")[0].strip()
    assert written == markdown_table(), f"README.md must hold this table:\n{markdown_table()}"


def test_ci_finds_the_test_command() -> None:
    commands = re.findall(r"^pip install .*&& pytest$", README, re.MULTILINE)
    assert commands == ["pip install -e '.[dev]' && pytest"]


def test_the_ci_script_is_an_executable_shell_script() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_every_exit_code_is_explained() -> None:
    codes = {str(value) for name, value in vars(errors).items() if name.startswith("EXIT_")}
    explained = set(re.findall(r"^\| `(\d+)` \|", README, re.MULTILINE))
    assert explained == codes


def links() -> list[str]:
    found: list[str] = []
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text("utf-8")
        found += [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    return found


@pytest.mark.parametrize("target", sorted(set(links())))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_it_stays_short() -> None:
    assert len(README.splitlines()) < 150
