"""What memtui itself costs the machine."""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memtui.session.workload import Workload


def tool_cpu_seconds(workload: Workload | None) -> float:
    """CPU time of memtui and of its helper processes that have ended; without that of a workload it started."""
    return time.process_time() + max(0.0, reaped_cpu_seconds() - (workload.cpu_seconds if workload else 0.0))


def reaped_cpu_seconds() -> float:
    """CPU time of all children that were waited for, and of theirs (``getrusage(2)``)."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
