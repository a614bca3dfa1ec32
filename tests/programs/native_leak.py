"""Takes memory in C through ctypes for some seconds: keeps it (leak) or gives it back (healthy)."""
import ctypes
import os
import sys
import time

kind, seconds = sys.argv[1], float(sys.argv[2])
# memray brings threading in, from the agent's thread.
assert "threading" not in sys.modules or "memray" in sys.modules
libc = ctypes.CDLL(None)
libc.strdup.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
text = b"x" * 3000


def take():
    place = libc.strdup(text)
    if kind == "healthy":
        libc.free(place)


print("ready", os.getpid(), flush=True)
end = time.monotonic() + seconds
while time.monotonic() < end:
    for _ in range(20):
        take()
    time.sleep(0.005)

import threading

assert threading.current_thread() is threading.main_thread()
thread = threading.Thread(target=time.sleep, args=(0.05,))
thread.start()
