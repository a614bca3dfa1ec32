"""A target for end-to-end tests: it leaks on one known line, and says on SIGUSR1 what it sees of itself."""

import gc
import json
import os
import signal
import sys
import threading
import time
import tracemalloc

KEPT = []


def files():
    for fd in os.listdir("/proc/self/fd"):
        if int(fd) > 2 and os.path.lexists("/proc/self/fd/" + fd):  # the listing itself had one that is closed again
            yield os.readlink("/proc/self/fd/" + fd)


def report(_number, _frame):
    seen = {
        "threads": len(os.listdir("/proc/self/task")),
        "known_threads": threading.active_count(),
        "fds": sorted(files()),
        "callbacks": len(gc.callbacks),
        "tracing": tracemalloc.is_tracing(),
        "modules": "memtui" in sys.modules,
    }
    with open(sys.argv[1] + ".part", "w") as file:
        json.dump(seen, file)
    os.rename(sys.argv[1] + ".part", sys.argv[1])


signal.signal(signal.SIGUSR1, report)
print("shop open", flush=True)
while True:
    KEPT.append(bytearray(5000))  # THE LEAK
    time.sleep(0.01)
