"""memtui: watch the memory of a running CPython process in a terminal, or of this one through the names below.

They are loaded when they are first used: ``import memtui`` loads nothing else.
"""

__version__ = "0.1.0"

_API = {
    "LeakDetector": "memtui.api.leaks",
    "MemoryMonitor": "memtui.api.monitor",
    "MemoryProfiler": "memtui.api.profiler",
    "MemorySnapshot": "memtui.api.snapshot",
    "NotTrackableError": "memtui.api.tracking",
    "TrackedObject": "memtui.api.tracking",
    "register_cleanup": "memtui.api.hooks",
    "unregister_cleanup": "memtui.api.hooks",
}

__all__ = ["__version__", *_API]


def __getattr__(name: str) -> object:
    module = _API.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    found = getattr(importlib.import_module(module), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_API})
