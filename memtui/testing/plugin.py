"""The pytest plugin: ``@pytest.mark.memtui(...)`` and the fixtures ``assert_collected`` and ``object_growth``.

pytest finds it by the entry point ``memtui``, in every session of an environment that has memtui; so this module
imports nothing but pytest, and the rest when a test uses it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from memtui.testing.collected import AssertCollected
    from memtui.testing.growth import ObjectGrowth
    from memtui.testing.rounds import Course

_MARKER = "memtui"
_PROPERTY = "memtui"
_HELP = (
    "memtui(max_growth='1MB', iterations=60, warmup=10, allow_objects=False): run the body in rounds, and fail when "
    "memory or objects stay behind in each of them"
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, for ``--strict-markers`` and ``pytest --markers``."""
    config.addinivalue_line("markers", _HELP)


@pytest.fixture
def assert_collected() -> AssertCollected:
    """``assert_collected(obj)``: nothing but the test itself holds it any more, or the test fails naming who does.

    As a statement it checks at once; ``check = assert_collected(obj)`` waits for ``check()`` or the end of the test;
    ``with assert_collected(obj):`` for the end of the block; ``assert_collected(make)`` calls a function and checks
    what it returns.
    """
    from memtui.testing.collected import AssertCollected

    return AssertCollected()


@pytest.fixture
def object_growth() -> Callable[..., ObjectGrowth]:
    """``with object_growth(limit=100):`` at most so many objects may stay, or the test fails naming their holders."""
    from memtui.testing.growth import object_growth as make

    return make


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    """Run a marked test in rounds, and judge it; then see whether what it watched is gone."""
    course = None
    marker = item.get_closest_marker(_MARKER)
    if marker is not None and isinstance(item, pytest.Function):
        course = _prepare(item, marker)
        body = _replace(item, course)
        outcome = yield
        _restore(item, body)
    else:
        outcome = yield
    if outcome.excinfo is None:
        trouble = _trouble(item, course)
        if trouble:
            outcome.force_exception(pytest.fail.Exception(trouble, pytrace=False))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A marker that cannot be followed is an error of the test, before anything of it runs."""
    marker = item.get_closest_marker(_MARKER)
    if marker is not None:
        _limits(marker)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a marked coroutine function that no other plugin took, in an event loop of its own."""
    import inspect

    if pyfuncitem.get_closest_marker(_MARKER) is None or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    import asyncio

    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With ``-v``: what was measured in each marked test."""
    if terminalreporter.verbosity <= 0:
        return
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    rows = [
        (report.nodeid, text)
        for report in reports
        if report.when == "call"
        for name, text in report.user_properties
        if name == _PROPERTY
    ]
    if rows:
        terminalreporter.section("memtui")
    for nodeid, text in rows:
        terminalreporter.write_line(f"{nodeid}: {text}")


def _limits(marker: pytest.Mark) -> Any:
    from memtui.errors import UsageError
    from memtui.testing.marker import read_limits

    try:
        return read_limits(marker.args, marker.kwargs)
    except UsageError as error:
        trouble = str(error)
    pytest.fail(trouble, pytrace=False)


def _prepare(item: pytest.Function, marker: pytest.Mark) -> Course:
    from memtui.testing.rounds import Course
    from memtui.testing.runner import Notes, is_runner

    named = {
        id(value): name for name, value in getattr(item, "funcargs", {}).items() if not is_runner(value, doubles=True)
    }
    if item.instance is not None:
        named[id(item.instance)] = f"self ({type(item.instance).__name__})"
    return Course(_limits(marker), named, Notes("recwarn" not in item.fixturenames).forget)


def _replace(item: pytest.Function, course: Course) -> Any:
    """Put the rounds in the place of the body; returns the body."""
    from memtui.testing.repeat import repeated

    body, instance = item.obj, item.instance
    item.obj = repeated(body, course)
    if _is_unittest(item):
        # unittest calls what the instance has under the name of the test.
        setattr(instance, item.name, item.obj)
    return body


def _restore(item: pytest.Function, body: Any) -> None:
    item.obj = body
    if _is_unittest(item) and item.instance is not None:
        item.instance.__dict__.pop(item.name, None)


def _is_unittest(item: pytest.Function) -> bool:
    unittest = sys.modules.get("unittest")
    return unittest is not None and item.cls is not None and issubclass(item.cls, unittest.TestCase)


def _trouble(item: pytest.Item, course: Course | None) -> str:
    """Why a test that went through fails all the same; empty when it does not."""
    text = ""
    if course is not None:
        from memtui.testing.judgement import judge
        from memtui.testing.words import failure, figures

        item.user_properties.append((_PROPERTY, figures(course)))
        judgement = judge(course)
        text = failure(course, judgement) if judgement.failure else ""
    if "memtui.testing.collected" in sys.modules and not text:
        from memtui.testing.collected import AssertCollected

        watching = [one for one in getattr(item, "funcargs", {}).values() if type(one) is AssertCollected]
        text = "\n\n".join(filter(None, (one.trouble() for one in watching)))
    return text
