"""Work at an interval, in a thread or as an asyncio task, that ends when it is told to, in a forked child, and when
whoever it works for is gone."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

_JOIN_SECONDS = 5.0

Tick = Callable[[], None]


class Background:
    """Calls the bound method ``tick`` at an interval; its object is not kept alive.

    ``forked`` (a bound method, too) is called in a forked child in which it would have been running.
    """

    def __init__(self, tick: Tick, forked: Tick) -> None:
        self._tick = weakref.WeakMethod(tick)
        self._forked = weakref.WeakMethod(forked)
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._stopped = threading.Event()

    @property
    def running(self) -> bool:
        """Whether the work goes on."""
        thread, task = self._thread, self._task
        return (thread is not None and thread.is_alive()) or (task is not None and not task.done())

    def start_thread(self, interval_seconds: float) -> None:
        """Work in a daemon thread."""
        _note(self)
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=_work, args=(self._tick, self._stopped, interval_seconds), name="memtui-profiler", daemon=True
        )
        self._thread.start()

    def start_task(self, interval_seconds: float) -> None:
        """Work as a task of the running event loop. Raises RuntimeError where there is none."""
        loop = asyncio.get_running_loop()
        _note(self)
        self._task = loop.create_task(_work_as_task(self._tick, interval_seconds), name="memtui-profiler")

    def stop(self) -> Callable[[], None]:
        """End it. The function returned waits until a thread has ended, unless its tick takes very long."""
        self._stopped.set()
        thread, self._thread = self._thread, None
        task, self._task = self._task, None
        if task is not None:
            self._ending = task
            _cancel(task)
        return partial(_join, thread)

    async def ended(self) -> None:
        """Wait until a task that was stopped has ended; returns at once when there is none."""
        task, self._ending = self._ending, None
        if task is not None and task is not asyncio.current_task() and task.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([task])

    def forget(self) -> None:
        """In a forked child: what runs is the parent's."""
        was_running = self._thread is not None or self._task is not None
        self._thread = self._task = self._ending = None
        self._stopped = threading.Event()
        forked = self._forked()
        if was_running and forked is not None:
            forked()


def _join(thread: threading.Thread | None) -> None:
    if thread is not None and thread is not threading.current_thread() and not sys.is_finalizing():
        thread.join(_JOIN_SECONDS)


def _cancel(task: asyncio.Task[None]) -> None:
    loop = task.get_loop()
    try:
        here = asyncio.get_running_loop() is loop
    except RuntimeError:
        here = False
    if here:
        task.cancel()
    else:
        with suppress(RuntimeError):  # the loop is closed, and the task has ended with it
            loop.call_soon_threadsafe(task.cancel)


def _work(tick: weakref.WeakMethod[Tick], stopped: threading.Event, interval_seconds: float) -> None:
    for pause in _pauses(interval_seconds):
        if stopped.wait(pause) or not _tick_once(tick):
            return


async def _work_as_task(tick: weakref.WeakMethod[Tick], interval_seconds: float) -> None:
    for pause in _pauses(interval_seconds):
        await asyncio.sleep(pause)
        if not _tick_once(tick):
            return


def _pauses(interval_seconds: float) -> Iterator[float]:
    """How long to wait each time. Ticks that were missed are not made up for."""
    due = time.monotonic()
    while True:
        due = max(due + interval_seconds, time.monotonic())
        yield max(0.0, due - time.monotonic())


def _tick_once(tick: weakref.WeakMethod[Tick]) -> bool:
    work = tick()
    if work is None:
        return False
    work()
    return True


# A function that runs at forks cannot be taken back, so there is one for all, put in when it is first needed.

_started: weakref.WeakSet[Background] = weakref.WeakSet()
_at_fork: list[bool] = []


def _note(background: Background) -> None:
    _started.add(background)
    if not _at_fork:
        _at_fork.append(True)
        os.register_at_fork(after_in_child=_forget_all)


def _forget_all() -> None:
    for one in list(_started):
        one.forget()
