"""The diagnosis on programs that grow in one known way: category and holder must be right on every interpreter."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from interpreters import Interpreter, interpreters

from memtui.analysis.diagnosis import find_suspects
from memtui.heap.evidence import gather_evidence
from memtui.heap.gathering import evidence_from
from memtui.heap.shelf import Shelf
from memtui.heap.taker import Taker
from memtui.model.evidence import Evidence
from memtui.model.suspect import Suspect

PROGRAM = Path(__file__).parents[1] / "programs" / "growing.py"
LOOKS = 4
STEPS = 400
SECONDS_APART = 15.0

SCENARIOS = {
    "list": ("growing-collection", r"REGISTRY$"),
    "dict": ("unbounded-cache", r"CACHE$"),
    "listener": ("listener", r"BUS\["),
    "lru": ("unbounded-cache", r"Service\.get\.cache$"),
    "fill_lru": ("bounded-cache", r"bounded_lookup\.cache$"),
    "closure": ("closure", r"CALLBACKS$"),
    "cycle": ("cycle", None),
    "thread_local": ("thread-local", None),
    "task": ("task", r"PENDING"),
    "class": ("growing-collection", r"Shelf\.items$"),
    "default": ("mutable-default", r"collect\.__defaults__"),
    "native": ("native", None),
    "errors": ("traceback", r"ERRORS"),
    "handlers": ("growing-collection", r"handlers$"),
    "generators": ("task", r"GENERATORS"),
    "linked": ("linked-structure", r"HEAD"),
    "fill_deque": ("bounded-cache", r"LATEST$"),
    "attribute": ("growing-collection", r"HUB\.sessions$"),
    "signal": ("listener", r"SAVED\.receivers"),
    "context": ("growing-collection", None),
    "weakref_callbacks": ("growing-collection", r"REFERENCES"),
    "coroutines": ("task", r"COROUTINES"),
    "frames": ("traceback", r"FAILED"),
    "metaclass": ("type-creation", r"Registering\.known|known"),
    "by_id": ("growing-collection", r"BY_ID$"),
    "half_way": ("task", r"STARTED"),
    "partial": ("growing-collection", r"CALLBACKS$"),
    "fill_cache": ("bounded-cache", r"LIMITED\.entries$"),
    "never_freed": ("cycle", None),
    "saved": ("cycle", r"gc\.garbage$"),
}
"""Name of the scenario: the category of the first suspect, and its holder's path (None: there is none to name)."""

_PYTHONS = interpreters()
_ROTATED = [(name, _PYTHONS[number % len(_PYTHONS)]) for number, name in enumerate(SCENARIOS) if number % 2 == 0]
_REST = [(name, python) for name in SCENARIOS for python in _PYTHONS if (name, python) not in _ROTATED]


def look_at(name: str, python: Interpreter, folder: Path) -> Evidence:
    """Four pictures of the program, which grows between them. Their times are set, so that a slow machine is none."""
    process = subprocess.Popen(
        [python.path, str(PROGRAM), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    shelves = []
    try:
        assert process.stdout.readline() == "ready\n"
        for number in range(LOOKS):
            process.stdin.write(f"{STEPS}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ok\n"
            path = folder / f"{number}.memtui"
            plan = {"pid": process.pid, "path": str(path), "quick": False, "accept_stop": True, "hold": False}
            Taker({**plan, "extra": {}, "core": None, "exe": None}).take()
            shelves.append(Shelf.open(path))
    finally:
        process.kill()
        process.communicate()
    evidence = gather_evidence(shelves)
    looks = (replace(look, at_seconds=number * SECONDS_APART) for number, look in enumerate(evidence.looks))
    return replace(evidence, looks=tuple(looks))


@pytest.fixture(autouse=True)
def _silent_taker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memtui.heap.taker._say", lambda message: None)


def first(found: tuple[Suspect, ...]) -> Suspect:
    assert found, "nothing was suspected"
    return found[0]


def check(name: str, python: Interpreter, folder: Path) -> None:
    category, path = SCENARIOS[name]
    suspect = first(find_suspects(look_at(name, python, folder)))
    assert suspect.category == category, suspect
    if path is not None:
        assert suspect.holder is not None
        assert re.search(path, suspect.holder), suspect.holder


@pytest.mark.parametrize(("name", "python"), _ROTATED, ids=lambda one: str(one))
def test_scenario(name: str, python: Interpreter, tmp_path: Path) -> None:
    """Every other scenario, each on one of the interpreters."""
    check(name, python, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "python"), _REST, ids=lambda one: str(one))
def test_scenario_everywhere(name: str, python: Interpreter, tmp_path: Path) -> None:
    """All scenarios everywhere else."""
    check(name, python, tmp_path)


def check_words(python: Interpreter, folder: Path) -> None:
    evidence = look_at("unprintable", python, folder)
    (registry,) = [one for one in evidence.holders if one.path.endswith("REGISTRY")]
    assert registry.samples
    for sample in registry.samples:
        told = re.match(r"Unprintable\(number=(\d+), name='order (\d+)', price=(\d+).5, ", sample)
        assert told is not None, sample
        assert len(set(told.groups())) == 1, sample
        assert re.search(r"paid=(True|False), items=<list of 2>", sample), sample


def test_objects_are_shown_in_words_without_running_their_code(tmp_path: Path) -> None:
    check_words(_PYTHONS[0], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("python", _PYTHONS[1:], ids=str)
def test_objects_are_shown_in_words_everywhere(python: Interpreter, tmp_path: Path) -> None:
    check_words(python, tmp_path)


def test_what_is_garbage_names_its_cycle(tmp_path: Path) -> None:
    evidence = look_at("cycle", _PYTHONS[-1], tmp_path)
    assert "__main__.Request.me -> back" in evidence.cycles
    assert evidence.saved == ()
    assert first(find_suspects(evidence)).type == "__main__.Request"


def test_what_is_in_gc_garbage_is_counted(tmp_path: Path) -> None:
    evidence = look_at("saved", _PYTHONS[1], tmp_path)
    saved = {one.type: one.objects for one in evidence.saved}
    assert saved["__main__.Request"] == STEPS * LOOKS + 50
    assert evidence.cycles == ()


def test_a_program_that_grows_not_at_all_has_no_suspects(tmp_path: Path) -> None:
    """What comes and goes is not suspected."""
    assert not [one for one in find_suspects(look_at("nothing", _PYTHONS[-1], tmp_path)) if one.lasting]


def test_evidence_survives_its_json(tmp_path: Path) -> None:
    """It goes from one process to another."""
    evidence = look_at("list", _PYTHONS[0], tmp_path)
    assert evidence_from(json.loads(json.dumps(asdict(evidence)))) == evidence
