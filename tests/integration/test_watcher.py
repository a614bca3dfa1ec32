"""The watcher at the moments between its own looks at a process."""

from __future__ import annotations

import os
import sys

import pytest
from observed import line_from, running, until

from memtui.errors import TargetDiedError
from memtui.session.messages import FamilySeen, Looked, Noted
from memtui.session.watcher import Watcher

EXECS = "import os; print(flush=True); input(); os.execvp('sleep', ['sleep', '60'])"


def test_an_exec_in_the_middle_of_a_look_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(sys.executable, "-c", EXECS) as target:
        line_from(target)
        watcher = Watcher(target.pid, launched=False)
        follow = watcher._follow

        def exec_after_following() -> object:
            followed = follow()
            assert target.stdin is not None
            target.stdin.write(b"\n")
            target.stdin.flush()
            until(lambda: "python" not in os.readlink(f"/proc/{target.pid}/exe"))
            return followed

        with monkeypatch.context() as patch:
            patch.setattr(watcher, "_follow", exec_after_following)
            (looked,) = [one for one in watcher.look(0.0, 0.0) if isinstance(one, Looked)]
        assert looked.gc is None
        assert any(isinstance(one, Noted) and "exec" in one.text for one in watcher.look(1.0, 0.0))
        watcher.close()


def test_a_process_that_is_gone_is_an_end() -> None:
    with running(sys.executable, "-c", EXECS) as target:
        line_from(target)
        watcher = Watcher(target.pid, launched=False)
        target.kill()
        target.wait()
        with pytest.raises(TargetDiedError):
            watcher.look(0.0, 0.0)
        watcher.close()


def test_children_that_come_are_soon_counted() -> None:
    code = "import os, time; print(flush=True); input(); os.fork(); print(flush=True); time.sleep(60)"
    with running(sys.executable, "-c", code) as target:
        line_from(target)
        watcher = Watcher(target.pid, launched=False)
        assert target.stdin is not None
        target.stdin.write(b"\n")
        target.stdin.flush()
        line_from(target)
        child = 0
        watcher._family_due, watcher._family_soonest = float("inf"), 0.0
        seen = [one for one in watcher.look(0.0, 0.0) if isinstance(one, FamilySeen)]
        try:
            assert len(seen) == 1
            (child,) = [one.pid for one in seen[0].processes if one.pid != target.pid]
        finally:
            if child:
                os.kill(child, 9)
            watcher.close()
