"""``import memtui``: what it loads, what it offers, and that the examples in its documentation work."""

from __future__ import annotations

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import memtui

ROOT = Path(memtui.__file__).parent
HEAVY = {"textual", "rich", "plotext", "numpy", "memray", "psutil"}
NAMES = [name for name in memtui.__all__ if name != "__version__"]


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT.parent)!r})\n{code}\n"
         "print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_importing_memtui_loads_nothing_else() -> None:
    bare = loaded_after("")
    assert loaded_after("import memtui") - bare == {"memtui"}


def test_registering_a_hook_loads_little() -> None:
    loaded = loaded_after("import memtui; memtui.register_cleanup(list)")
    assert {name for name in loaded if name.startswith("memtui")} == {
        "memtui", "memtui.api", "memtui.api.hooks", "memtui.model", "memtui.model.cleanup",
    }  # fmt: skip


def test_the_whole_interface_loads_nothing_heavy() -> None:
    loaded = loaded_after(f"import memtui\nfor name in {NAMES!r}: getattr(memtui, name)")
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    assert not {name for name in loaded if name.startswith(("memtui.tui", "memtui.cli", "memtui.session"))}


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_there_and_documented(name: str) -> None:
    found = getattr(memtui, name)
    assert found.__name__ == name
    assert found.__doc__
    assert name in dir(memtui)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"memtui.*Profilr"):
        _ = memtui.Profilr  # type: ignore[attr-defined]


def test_the_stub_tells_type_checkers_of_the_same_names() -> None:
    stub = ast.parse((ROOT / "__init__.pyi").read_text("utf-8"))
    told = {
        alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert told == memtui._API  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "api").glob("[a-z]*.py")))
def test_examples(module: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(f"memtui.api.{module}"), extraglobs={"__name__": "__main__"})
    assert failed == 0


def test_there_are_examples() -> None:
    tried = [doctest.testmod(importlib.import_module(module)).attempted for module in set(memtui._API.values())]  # type: ignore[attr-defined]
    assert sum(one > 0 for one in tried) >= 5
