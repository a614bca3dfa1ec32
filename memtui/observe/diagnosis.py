"""How far memtui could climb in a process, and what is in the way: the judgement, and the facts it needs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from memtui.errors import MemtuiError, RefusedError
from memtui.model.diagnosis import Diagnosis, Obstacle, RungFinding
from memtui.model.gc import GcState
from memtui.model.target import Rung, Target
from memtui.observe.eligibility import CHECKS_OF_THE_MOMENT, check_other, check_process, check_readable
from memtui.observe.gcstate import GcReader
from memtui.observe.interpreter import Interpreter, find_interpreter
from memtui.observe.packages import find_package
from memtui.observe.process import ProcessReader
from memtui.observe.readiness import open_readiness

TRACER_PACKAGE = "memray"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is so in one process. Each obstacle is None when it is not in the way, or was not looked for.

    ``process``: it is a process in user space that lives; ``memory``: it may be read; ``python``: it contains a
    CPython that memtui works with; ``build``: memtui knows where that build keeps its collector; ``collector``: what
    is there looks right; ``moment``: traced, stopped, starting and the like; ``entry``: what attaching needs besides;
    ``tracer``: memray cannot be imported.
    """

    pid: int
    target: Target | None = None
    interpreter: Interpreter | None = None
    gc: GcState | None = None
    process: Obstacle | None = None
    memory: Obstacle | None = None
    python: Obstacle | None = None
    build: Obstacle | None = None
    collector: Obstacle | None = None
    moment: tuple[Obstacle, ...] = ()
    entry: tuple[Obstacle, ...] = ()
    tracer: Obstacle | None = None


def judge(facts: Facts) -> Diagnosis:
    """The rungs that ``facts`` allow."""
    below = _first(facts.process, facts.memory, facts.python)
    observe = below or _first(facts.build, facts.collector)
    agent = below or (*facts.moment, *facts.entry)
    return Diagnosis(
        (
            RungFinding(Rung.PROCESS, _first(facts.process)),
            RungFinding(Rung.OBSERVE, observe),
            RungFinding(Rung.AGENT, agent),
            RungFinding(Rung.TRACER, agent or _first(facts.tracer)),
        )
    )


def gather(pid: int) -> Facts:
    """The facts that can be seen from outside. Nothing is changed, stopped or put in; a few milliseconds."""
    facts = Facts(pid, process=obstacle(check_process, pid))
    if facts.process is None:
        _, target = _try(_target, pid)
        facts = replace(facts, target=target, memory=obstacle(check_readable, pid))
    if facts.process is None and facts.memory is None:
        in_the_way, interpreter = _try(find_interpreter, pid)
        facts = replace(facts, python=in_the_way, interpreter=interpreter)
    if facts.target is not None and facts.interpreter is not None:
        target = replace(facts.target, python=facts.interpreter.version_text)
        facts = _look_inside(replace(facts, target=target), facts.interpreter)
    return facts


def obstacle(check: Callable[..., object], *arguments: Any) -> Obstacle | None:
    """What ``check`` refuses for, if it does."""
    return _try(check, *arguments)[0]


def _look_inside(facts: Facts, interpreter: Interpreter) -> Facts:
    pid = interpreter.pid
    moment = [found for check in (check_other, *CHECKS_OF_THE_MOMENT) if (found := obstacle(check, pid))]
    if not_ready := obstacle(_check_ready, interpreter):
        moment.append(not_ready)
    build, reader = _try(GcReader, interpreter)
    collector, gc = None, None
    if reader is not None:
        with reader:
            collector, gc = _try(reader.read)
    return replace(
        facts, gc=gc, build=build, collector=collector, moment=tuple(moment), tracer=_tracer_missing(interpreter)
    )


def _check_ready(interpreter: Interpreter) -> None:
    with closing(open_readiness(interpreter)) as reader:
        if not reader.ready():
            raise RefusedError(
                f"Python in process {interpreter.pid} is starting up or shutting down.",
                next_step="Try again in a moment.",
            )


def _tracer_missing(interpreter: Interpreter) -> Obstacle | None:
    in_the_way, found = _try(find_package, interpreter, TRACER_PACKAGE)
    if in_the_way or found:
        return in_the_way
    return Obstacle(
        f"{TRACER_PACKAGE} is not installed for the Python of process {interpreter.pid}.",
        why="It is in none of the directories where that Python looks.",
        remedy=f"With the program's own Python: python -m pip install {TRACER_PACKAGE}",
    )


def _target(pid: int) -> Target:
    with ProcessReader(pid) as process:
        return process.target()


def _first(*obstacles: Obstacle | None) -> tuple[Obstacle, ...]:
    return next(((one,) for one in obstacles if one is not None), ())


def _try(function: Callable[..., Any], *arguments: Any) -> tuple[Obstacle | None, Any]:
    """What is in the way, or what the function returned."""
    try:
        return None, function(*arguments)
    except MemtuiError as error:
        return Obstacle(error.what, error.why, error.next_step), None
    except OSError as error:
        return Obstacle("It cannot be looked at.", f"{error}."), None
