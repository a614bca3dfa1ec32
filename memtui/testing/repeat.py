"""A test function, sync or async, made into one that runs its body in rounds."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

from memtui.testing.rounds import Course, rounds

_SETTLE_TICKS = 3


def repeated(body: Callable[..., Any], course: Course) -> Callable[..., Any]:
    """A function of the same kind, so that whatever runs coroutine functions in this test session runs this one."""
    return _repeated_async(body, course) if inspect.iscoroutinefunction(body) else _repeated(body, course)


def _repeated(body: Callable[..., Any], course: Course) -> Callable[..., Any]:
    @functools.wraps(body)
    def run(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        result = None
        with closing(rounds(course)) as turns:
            for _ in turns:
                result = body(*args, **kwargs)
        return result

    return run


def _repeated_async(body: Callable[..., Any], course: Course) -> Callable[..., Any]:
    @functools.wraps(body)
    async def run(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        result = None
        with closing(rounds(course)) as turns:
            for _ in turns:
                result = await body(*args, **kwargs)
                await _settle()
        return result

    return run


async def _settle() -> None:
    """Let the loop finish what the body cancelled or scheduled for at once; under trio there is no such loop."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        for _ in range(_SETTLE_TICKS):
            await asyncio.sleep(0)
