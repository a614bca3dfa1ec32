"""``python -m memtui.native.reading_main``: reads a recording in a process of its own, and prints one JSON object.

A recording is foreign: written by another process, perhaps cut off, perhaps no recording at all. memray's reader is
C++ and takes it as it is; when it fails, only this process does.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import threading
from typing import Any

from memtui.observe.headroom import go_first

_MOST_BYTES, _TIMES_ITS_SIZE = 1 << 30, 50
"""What reading a recording may take: this much, and so many times the size of its file."""


def main(arguments: list[str]) -> int:
    """Do what ``arguments`` (one JSON object: ``do``, ``path``, …) ask for."""
    asked: dict[str, Any] = json.loads(arguments[0])
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    os.environ.setdefault("COLUMNS", "100")
    _bound_memory(asked["path"])
    answer = os.dup(1)
    os.dup2(2, 1)  # what memray prints must not get between
    try:
        result = {"ok": True, "result": _do(asked)}
    except (OSError, ValueError, RuntimeError, ImportError, EOFError) as error:
        result = {"ok": False, "error": str(error).strip() or type(error).__name__}
    except MemoryError:
        result = {"ok": False, "why": "It takes more memory than a recording of this size can need."}
    with contextlib.suppress(BrokenPipeError), open(answer, "w", encoding="utf-8") as file:
        json.dump(result, file)
    return 0


def _bound_memory(path: str) -> None:
    """A damaged recording may ask for all the memory there is; where it runs out all the same, this process ends."""
    go_first()
    with contextlib.suppress(OSError, ValueError):  # a lower limit stays
        most = _MOST_BYTES + _TIMES_ITS_SIZE * os.stat(path).st_size
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if soft == resource.RLIM_INFINITY or most < soft:
            resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _end_with_stdin() -> None:
    """End this process, and the one that dumps for it, when whoever asked is gone: nobody reads the answer."""
    if not os.read(0, 1):
        os.killpg(0, signal.SIGKILL)


def _do(asked: dict[str, Any]) -> Any:
    from memtui.native import analysis, pages

    path = asked["path"]
    if asked["do"] == "check":
        return analysis.check(path)
    if asked["do"] == "analyse":
        return analysis.analyse(path, asked["root"], asked["limit"], tuple(asked["fds"]))
    if asked["do"] == "stats":
        return pages.stats(path)
    if asked["do"] == "speedscope":
        return pages.write_speedscope(path, asked["out"])
    return pages.write_page(path, asked["do"], asked["out"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
