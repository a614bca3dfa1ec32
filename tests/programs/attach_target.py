"""A target whose main thread computes, sleeps or waits, and which tells about itself when it gets a signal.

SIGUSR1: write one JSON line about what an agent may have left behind, and how far the work has come.
SIGUSR2: allocate on a known line, then write an empty JSON object.
"""
import asyncio
import gc
import json
import os
import signal
import sys
import threading
import time
import tracemalloc

gc.disable()  # so that what refers to itself shows
kept = []
progress = [0]
wrong = [0]
FLOATS = [0.1 * i for i in range(20000)]
SUM = sum(FLOATS)


def say(what):
    os.write(1, json.dumps(what).encode() + b"\n")


def is_of_agent(one):
    return type(one) is type(say) and str(one.__module__).startswith("_memtui")


def report(number, frame):
    say(
        {
            "modules": sorted(name for name in sys.modules if "memtui" in name),
            "functions": sorted(one.__name__ for one in gc.get_objects() if is_of_agent(one)),
            "callbacks": len(gc.callbacks),
            "tracing": tracemalloc.is_tracing(),
            "names": sorted(vars(sys.modules["__main__"])),
            "threads": sorted(one.name for one in threading.enumerate()),
            "active": len(threading._active),
            "progress": progress[0],
            "wrong": wrong[0],
        }
    )


def allocate(number, frame):
    kept.append(bytes(200000))  # known line: kept
    say({})


def compute():
    while True:
        if sum(FLOATS) != SUM:
            wrong[0] += 1
        progress[0] += 1


def naps(seconds=0.05):
    while True:
        begin = time.monotonic()
        time.sleep(seconds)
        if time.monotonic() - begin < seconds:
            wrong[0] += 1
        progress[0] += 1


def sleep():
    time.sleep(3600)


def loop():
    async def main():
        say({"ready": True})
        while True:
            await asyncio.sleep(0.02)
            progress[0] += 1

    asyncio.run(main())


def lock():
    mutex = threading.Lock()
    mutex.acquire()
    mutex.acquire()


def read():
    sys.stdin.readline()


def threads():
    def work():
        while True:
            json.loads(json.dumps(FLOATS[:100]))
            progress[0] += 1

    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    say({"ready": True})
    naps()


def timer():
    ticks = []
    signal.signal(signal.SIGALRM, lambda number, frame: ticks.append(number) if len(ticks) < 1000 else ticks.clear())
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    naps(0.02)


def calls():
    """One waiting call after the other; each has to take its time and to raise nothing."""
    import select
    import socket
    import struct
    import subprocess

    seconds = 0.02
    here, there = socket.socketpair()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", 0, 20000))
    patient, other = socket.socketpair()
    patient.settimeout(seconds)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    listener.settimeout(seconds)
    poll, epoll = select.poll(), select.epoll()
    poll.register(here, select.POLLIN)
    epoll.register(here, select.EPOLLIN)
    lock, event = threading.Lock(), threading.Event()
    lock.acquire()

    def ending(error, call, *arguments):
        try:
            call(*arguments)
        except error:
            return
        raise AssertionError("it has to time out")

    def wait_for_child():
        child = os.posix_spawn("/bin/sleep", ["sleep", "0.02"], {})
        assert os.waitpid(child, 0) == (child, 0)

    waits = [
        lambda: time.sleep(seconds),
        lambda: select.select([here], [], [], seconds),
        lambda: poll.poll(20),
        lambda: epoll.poll(seconds),
        lambda: lock.acquire(timeout=seconds),
        lambda: event.wait(seconds),
        lambda: signal.sigtimedwait([signal.SIGRTMIN], seconds),
        lambda: ending(socket.timeout, listener.accept),
        lambda: ending(socket.timeout, patient.recv, 1),
        lambda: ending(BlockingIOError, here.recv, 1),
        lambda: subprocess.run(["/bin/sleep", "0.02"], check=True),
        wait_for_child,
    ]
    while True:
        for number, wait in enumerate(waits):
            begin = time.monotonic()
            wait()
            if time.monotonic() - begin < seconds - 0.001:
                wrong[0] += 1
                print("early:", number, time.monotonic() - begin, file=sys.stderr)
            progress[0] += 1


def no_exec():
    """Forbids itself memory that is executable (as SELinux may), then computes."""
    import ctypes
    import struct

    load, jump, give = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET
    jump_set = 0x45  # BPF_JMP|JSET|K
    number, third_argument, fourth_argument = 0, 16 + 2 * 8, 16 + 3 * 8
    allow, refuse = 0x7FFF0000, 0x00050000 | 13
    rules = [
        (load, 0, 0, number),
        (jump, 0, 5, 9),  # mmap
        (load, 0, 0, third_argument),
        (jump_set, 0, 3, 4),  # PROT_EXEC
        (load, 0, 0, fourth_argument),
        (jump_set, 0, 1, 0x20),  # MAP_ANONYMOUS
        (give, 0, 0, refuse),
        (give, 0, 0, allow),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in rules))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(rules), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(program)), 0, 0) == 0, ctypes.get_errno()
    say({"ready": True})
    compute()


MODES = {
    one.__name__: one for one in (compute, naps, sleep, loop, lock, read, threads, timer, calls, no_exec)
}

if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, report)
    signal.signal(signal.SIGUSR2, allocate)
    if sys.argv[1] not in ("no_exec", "loop", "threads"):
        say({"ready": True})
    MODES[sys.argv[1]]()
