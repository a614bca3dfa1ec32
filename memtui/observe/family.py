"""A process and its descendants, by psutil: it knows the names of states and walks trees on every kernel."""

from __future__ import annotations

from memtui.model.target import PROCESS_BOUND, ProcessFacts


def family(pid: int) -> tuple[ProcessFacts, ...]:
    """The process and its descendants, the process itself first; empty when it is gone."""
    import psutil  # here, because it takes longer to import than the first look may take

    try:
        root = psutil.Process(pid)
        members = [root, *root.children(recursive=True)][:PROCESS_BOUND]
    except psutil.Error:
        return ()
    found = []
    for one in members:
        try:
            with one.oneshot():
                found.append(ProcessFacts(one.pid, one.ppid(), str(one.status()), one.memory_info().rss))
        except psutil.Error:
            continue  # it ended meanwhile
    return tuple(found)
