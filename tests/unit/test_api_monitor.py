"""MemoryMonitor and the clean-up hooks: tiers, cooldown, what was freed, hooks that fail."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from memtui import MemoryMonitor, register_cleanup, unregister_cleanup
from memtui.api import hooks

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _no_hooks_left() -> Iterator[None]:
    assert hooks.HOOKS == ()
    yield
    hooks.HOOKS = ()


def monitor_at(level: str, **options: float) -> MemoryMonitor:
    sizes = {"ok": ("1TB", "2TB"), "warning": (1, "2TB"), "critical": (1, 2)}[level]
    return MemoryMonitor(warning=sizes[0], critical=sizes[1], **options)  # type: ignore[arg-type]


def test_below_both_sizes_nothing_is_done() -> None:
    ran = list[int]()
    register_cleanup(partial(ran.append, 1), level="warning")
    status = monitor_at("ok").check()
    assert (status.level, status.cleaned, ran) == ("ok", None, [])
    assert 0 < status.share < 1


@pytest.mark.parametrize(("level", "expected"), [("warning", ["w"]), ("critical", ["w", "c"])])
def test_each_tier_runs_its_hooks(level: str, expected: list[str]) -> None:
    ran = list[str]()
    register_cleanup(lambda: ran.append("w"), name="w", level="warning")
    register_cleanup(lambda: ran.append("c"), name="c")
    status = monitor_at(level).check()
    assert status.level == level
    assert ran == expected
    assert status.cleaned is not None
    kinds = [one.kind for one in status.cleaned.steps]
    assert kinds == ["hook"] * len(expected) + (["gc"] if level == "warning" else ["gc", "trim"])
    assert [one.name for one in status.cleaned.steps][: len(expected)] == expected


def test_the_cooldown_holds_and_a_worse_level_does_not_wait() -> None:
    monitor = monitor_at("warning", cooldown_seconds=1000.0)
    assert monitor.check().cleaned is not None
    assert monitor.check().cleaned is None
    assert monitor.cleanup("warning", force=False) is None
    monitor.critical_bytes = 2
    assert monitor.check().cleaned is not None
    assert monitor.check().cleaned is None
    assert monitor.cleanup() is not None
    assert monitor.stats()["cleanups"] == 3


def test_what_is_freed_is_told() -> None:
    cache = {number: bytes(1000) for number in range(50_000)}
    register_cleanup(cache.clear, name="cache")
    done = MemoryMonitor().cleanup()
    assert done is not None
    hook, _, trim = done.steps
    assert hook.name == "cache"
    assert hook.freed_blocks is not None
    assert hook.freed_blocks > 10_000
    assert not done.failed
    assert done.freed_rss_bytes is not None
    assert done.freed_rss_bytes > 20 * MIB
    assert trim.error == ""


def test_the_collection_counts_its_objects() -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(500):
            loop: list[object] = []
            loop.append(loop)
        del loop
        done = MemoryMonitor().cleanup("warning")
    finally:
        gc.enable()
    assert done is not None
    assert done.steps[-1].objects is not None
    assert done.steps[-1].objects >= 500


@pytest.mark.parametrize("error", [ValueError("its own trouble"), SystemExit(3), MemoryError()])
def test_a_hook_that_fails_stops_nothing(error: BaseException) -> None:
    ran = list[int]()

    def broken() -> None:
        raise error

    register_cleanup(broken, name="broken")
    register_cleanup(lambda: ran.append(1), name="after")
    done = MemoryMonitor().cleanup()
    assert ran == [1]
    assert done is not None
    assert [one.name for one in done.failed] == ["broken"]
    assert type(error).__name__ in done.failed[0].error


def test_ctrl_c_while_a_hook_runs_is_the_programs() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    register_cleanup(interrupted)
    with pytest.raises(KeyboardInterrupt):
        MemoryMonitor().cleanup()


def test_trend_and_stats() -> None:
    monitor = monitor_at("ok")
    assert monitor.stats()["rss_bytes"] is None
    assert monitor.trend().verdict == "too early"
    monitor.check()
    stats = json.loads(json.dumps(monitor.stats()))
    assert stats["checks"] == stats["levels"]["ok"] == 1
    assert stats["rss_bytes"]["last"] > MIB
    assert stats["last_cleanup"] is None
    monitor.cleanup("warning")
    json.dumps(monitor.stats())


def test_looking_only() -> None:
    assert MemoryMonitor(warning=1, critical=2, clean_up=False).check().cleaned is None


def test_sizes_by_default_come_from_the_limit() -> None:
    monitor = MemoryMonitor()
    assert 64 * MIB < monitor.warning_bytes < monitor.critical_bytes
    assert MemoryMonitor(critical="900MB").warning_bytes == 800_000_000
    with pytest.raises(ValueError, match="not below"):
        MemoryMonitor(warning="2GB", critical="1GB")


def named() -> None: ...


def test_hooks_are_registered_once_and_taken_back_by_function_or_name() -> None:
    assert register_cleanup(named) is named
    register_cleanup(named, name="again", level="warning")
    assert [(name, level) for name, level, _ in hooks.HOOKS] == [("again", "warning")]
    assert unregister_cleanup(named)
    assert not unregister_cleanup(named)

    @register_cleanup
    def decorated() -> None: ...

    assert hooks.HOOKS[0][0].endswith("decorated")
    assert unregister_cleanup(hooks.HOOKS[0][0])


def test_bound_methods_can_be_taken_back() -> None:
    class Pool:
        def shrink(self) -> None: ...

    pool, other = Pool(), Pool()
    register_cleanup(pool.shrink)
    register_cleanup(other.shrink)
    assert unregister_cleanup(pool.shrink)
    assert [function for _, _, function in hooks.HOOKS] == [other.shrink]


@pytest.mark.parametrize(("function", "level", "error"), [(5, "critical", TypeError), (named, "soon", ValueError)])
def test_what_is_no_hook_is_refused(function: Callable[[], None], level: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        register_cleanup(function, level=level)  # type: ignore[arg-type]
