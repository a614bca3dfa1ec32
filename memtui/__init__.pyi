from memtui.api.hooks import register_cleanup as register_cleanup
from memtui.api.hooks import unregister_cleanup as unregister_cleanup
from memtui.api.leaks import LeakDetector as LeakDetector
from memtui.api.monitor import MemoryMonitor as MemoryMonitor
from memtui.api.profiler import MemoryProfiler as MemoryProfiler
from memtui.api.snapshot import MemorySnapshot as MemorySnapshot
from memtui.api.tracking import NotTrackableError as NotTrackableError
from memtui.api.tracking import TrackedObject as TrackedObject

__version__: str
