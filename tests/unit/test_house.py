"""The rules of the house, checked by machines: style, types, floors, sizes, and what headless commands load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "memtui"

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

CHECKS = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "mypy": ["-m", "mypy"],
    "import-linter": ["-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
}

LIGHT_HEAP = {
    f"memtui/heap/{name}.py"
    for name in (
        "__init__", "apart", "book", "facts", "gathering", "regions", "scanner", "taking", "types", "read/__init__",
        "read/layout",
    )
}  # fmt: skip
"""The part of ``heap`` that everybody may import; the rest needs numpy and runs in processes of its own."""

HEAVY = {"textual", "rich", "plotext", "numpy", "memray"}
REPORT_MODULES = """
import sys
from memtui.cli.main import run
try:
    code = run(sys.argv[1:])
except SystemExit as leaving:
    code = leaving.code
print("loaded", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CHECKS)
def test_machine_checks(name: str) -> None:
    done = subprocess.run([sys.executable, *CHECKS[name]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name}:\n{done.stdout}{done.stderr}"


def sources() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(ROOT)), path.read_text("utf-8")


def test_no_file_is_too_long() -> None:
    lengths = {name: text.count("\n") for name, text in sources()}
    assert lengths, "no sources found"
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_is_too_long() -> None:
    functions = {
        f"{name}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for name, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert functions, "no functions found"
    assert {name: lines for name, lines in functions.items() if lines > MAX_FUNCTION_LINES} == {}


@pytest.fixture(scope="module")
def sleeper() -> Iterator[int]:
    """A Python process that waits until the tests are through."""
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


def loaded_by(*arguments: str) -> tuple[int, set[str]]:
    """Exit code of a command line, and the top-level modules that were loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT_MODULES, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1].split()
    assert last[0] == "loaded", done.stderr
    return done.returncode, set(last[1:])


@pytest.mark.parametrize(
    "arguments", ["--help", "--version", "attach --help", "run --help", "profile --help", "cleanup --help"]
)
def test_help_loads_nothing_heavy(arguments: str) -> None:
    code, loaded = loaded_by(*arguments.split())
    assert code == 0
    assert not loaded & HEAVY


def test_headless_commands_load_nothing_heavy(sleeper: int) -> None:
    code, loaded = loaded_by("profile", str(sleeper), "--json")
    assert code == 0
    assert not loaded & HEAVY


def test_everything_below_the_dashboard_loads_nothing_heavy() -> None:
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name, _ in sources()
        if not name.startswith(("memtui/tui/", "memtui/agent/", "memtui/demo/"))
        and (not name.startswith("memtui/heap/") or name in LIGHT_HEAP)
    ]
    code = f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not {name.partition(".")[0] for name in done.stdout.split()} & HEAVY
