"""What README.md says that a machine can check."""

from __future__ import annotations

import re
import subprocess
import sys
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


def examples() -> list[tuple[str, str]]:
    """Every Python example of the documents, by file and number."""
    found = []
    for path in (ROOT / "README.md", *sorted((ROOT / "memtui" / "docs").glob("*.md"))):
        blocks = re.findall(r"^```python\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        found += [(f"{path.stem}-{number}", block) for number, block in enumerate(blocks, 1)]
    return found


def test_there_are_examples() -> None:
    assert {name.rpartition("-")[0] for name, _ in examples()} == {"README", "python-api", "testing"}


@pytest.mark.parametrize(("name", "code"), examples(), ids=[name for name, _ in examples()])
def test_examples_run(name: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / f"test_{name.replace('-', '_')}.py"
    path.write_text(code, "utf-8")
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if "def test_" in code else []
    done = subprocess.run(
        [sys.executable, *command, str(path)], capture_output=True, text=True, check=False, timeout=100, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
