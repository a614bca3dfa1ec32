"""Targets that are hard to put code into, and that check themselves all the time.

    python hard_targets.py MODE FILE

FILE is mapped and shared with the test, see SLOTS: the target counts its work, its mistakes and the waits that ended
too early, and keeps its longest gap between two ticks. When the test raises "asked", the target looks at itself at its
next quiet moment, writes what it found into the text and copies "asked" to "answered". Python 3.8 syntax.
"""
import asyncio
import ctypes
import gc
import json
import math
import mmap
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc

SLOTS = ("gap", "progress", "wrong", "early", "asked", "answered")
TEXT_AT, SIZE = 64, 4096
GRACE_SECONDS = 0.0005
MEGABYTE = 1 << 20

with open(sys.argv[2], "r+b") as _file:
    shared = mmap.mmap(_file.fileno(), SIZE)
libc = ctypes.CDLL(None)
holding = ctypes.PyDLL(None)  # its functions are called with the GIL held
for _library in (libc, holding):
    _library.malloc.restype = ctypes.c_void_p
    _library.malloc.argtypes = [ctypes.c_size_t]
    _library.free.argtypes = [ctypes.c_void_p]
FLOATS = [math.sqrt(number) for number in range(2000)]
SUM = math.fsum(FLOATS)
PLAIN_SUM = sum(FLOATS)
DOCUMENT = {"rows": [{"id": number, "name": "n%d" % number, "value": number / 7} for number in range(50)]}
TEXT = json.dumps(DOCUMENT)
last_tick = 0.0
quiet = {}


def slot(name):
    return struct.unpack_from("d", shared, 8 * SLOTS.index(name))[0]


def put(name, value):
    struct.pack_into("d", shared, 8 * SLOTS.index(name), value)


def complain(name, text):
    """Count a mistake ("wrong", "early"); the first one's text is kept."""
    if not slot("wrong") and not slot("early"):
        shared[TEXT_AT:SIZE] = text.encode()[: SIZE - TEXT_AT - 1].ljust(SIZE - TEXT_AT, b"\0")
    put(name, slot(name) + 1)


def tick():
    """Remember the longest gap between two calls."""
    global last_tick
    now = time.monotonic()
    if last_tick and now - last_tick > slot("gap"):
        put("gap", now - last_tick)
    last_tick = now


def look():
    """Count one piece of work; answer when the test asks. To be called where nothing of the work is open."""
    put("progress", slot("progress") + 1)
    asked = slot("asked")
    if asked != slot("answered"):
        found = state()
        if not quiet:
            quiet.update(found)
        different = {name: difference(quiet[name], found[name]) for name in quiet if quiet[name] != found[name]}
        if different:
            complain("wrong", "residue: " + json.dumps(different))
        put("answered", asked)


def difference(before, now):
    """What is to be said of two values that are not equal."""
    if not isinstance(now, list) or sorted(set(map(str, before))) == sorted(set(map(str, now))):
        return [before, now]
    return [[one for one in before if one not in now], [one for one in now if one not in before]]


def state():
    """Whatever an agent might leave behind or change."""
    return {
        "modules": [name for name in sys.modules if "memtui" in name],
        # Where a process has another thread, Python 3.12 notes there that it warned of os.fork().
        "names": sorted({*vars(sys), *globals()} - {"__warningregistry__"}),
        "callbacks": len(gc.callbacks),
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_debug()],
        "tracing": tracemalloc.is_tracing(),
        "threads": len(threading._active),
        "switch": sys.getswitchinterval(),
        "fds": open_files(),
        "mask": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
        "handlers": [str(signal.getsignal(number)) for number in range(1, 32)],
    }


def open_files():
    """The open files, without the one that lists them."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink("/proc/self/fd/" + name))
        except OSError:
            pass
    return sorted(found)


def check(true, text):
    if not true:
        complain("wrong", text)


def lasted(what, begin, seconds):
    """A wait that nothing was to end early."""
    took = time.monotonic() - begin
    if took < seconds - GRACE_SECONDS:
        complain("early", "%s returned after %.4f of %.4f s" % (what, took, seconds))


def compute():
    check(sum(FLOATS) == PLAIN_SUM and math.fsum(FLOATS) == SUM, "a sum of floats is wrong")


def loop():
    """Bytecode and nothing else."""
    while True:
        for _ in range(200):
            tick()
        compute()
        look()


def churn():
    """Objects made and dropped all the time."""
    while True:
        tick()
        check(json.loads(TEXT) == DOCUMENT and json.dumps(DOCUMENT) == TEXT, "json is wrong")
        look()


def threads():
    """Eight threads of json, dicts and native malloc."""

    def native():
        while True:
            blocks = [libc.malloc(16 + 37 * number) for number in range(50)]
            for number, block in enumerate(blocks):
                ctypes.memset(block, number, 16)
            for number, block in enumerate(blocks):
                check(ctypes.string_at(block, 16) == bytes([number]) * 16, "native memory is wrong")
                libc.free(block)

    def objects():
        while True:
            check(json.loads(TEXT) == DOCUMENT, "json is wrong")
            numbers = {str(number): number for number in range(500)}
            check(sum(numbers.values()) == 124750, "a dict is wrong")

    for work in (native, objects) * 4:
        threading.Thread(target=work, daemon=True).start()
    while True:
        begin = time.monotonic()
        time.sleep(0.005)
        lasted("sleep", begin, 0.005)
        tick()
        look()


def loops_of_events():
    """asyncio with subprocesses, streams and timers."""

    async def spawn(code):
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", "read line; echo $line; exit %d" % code, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        out, _ = await process.communicate(b"hello\n")
        check((out, process.returncode) == (b"hello\n", code), "a subprocess of asyncio: %r" % process.returncode)

    async def naps():
        for _ in range(10):
            begin = time.monotonic()
            await asyncio.sleep(0.005)
            lasted("asyncio.sleep", begin, 0.004)
            tick()

    async def main():
        while True:
            await asyncio.gather(spawn(3), spawn(0), naps())
            for _ in range(3):
                await asyncio.sleep(0)  # transports close in the next turn of the loop
            look()

    asyncio.run(main())


def prefork():
    """A master that reaps whatever child ends and knows the exit code of each."""
    seen = []
    signal.signal(signal.SIGCHLD, lambda number, frame: seen.append(number))
    while True:
        children = {}
        for number in range(4):
            pid = os.fork()
            if not pid:
                time.sleep(0.002 * number)
                os._exit(10 + number)
            children[pid] = 10 + number
        while children:
            pid, status = os.waitpid(-1, 0)
            code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
            check(children.pop(pid, None) == code, "child %d ended with %d" % (pid, code))
        try:
            check(False, "a child that was never started: %r" % (os.waitpid(-1, os.WNOHANG),))
        except ChildProcessError:
            pass
        check(bool(seen), "SIGCHLD did not come")
        del seen[:]
        look()


def gil_main():
    """The main thread is in C code that keeps the GIL, for up to two and a half seconds."""
    while True:
        for seconds in (0.2, 2.5, 0.6):
            begin = time.monotonic()
            result = holding.usleep(int(seconds * 1e6))
            check(result == 0, "usleep was interrupted")
            lasted("usleep", begin, seconds)
            compute()
            look()


def gil_thread():
    """Another thread does so, while the main thread naps."""

    def hold():
        while True:
            for seconds in (0.2, 2.5, 0.6):
                begin = time.monotonic()
                check(holding.usleep(int(seconds * 1e6)) == 0, "usleep was interrupted")
                lasted("usleep", begin, seconds)

    threading.Thread(target=hold, daemon=True).start()
    while True:
        begin = time.monotonic()
        time.sleep(0.01)
        lasted("sleep", begin, 0.01)
        compute()
        look()


def waits():
    """Every wait that Python has, each with a check that it lasted."""
    left, right = socket.socketpair()
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(1)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    poll, epoll = select.poll(), select.epoll()
    poll.register(left, select.POLLIN)
    epoll.register(left, select.EPOLLIN)
    lock, event = threading.Lock(), threading.Event()
    lock.acquire()
    for one in (left, server):
        one.settimeout(0.03)
    raw = socket.socketpair()
    raw[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 30000))

    def timed_out(function, *arguments):
        try:
            return function(*arguments)
        except socket.timeout:
            return None

    def kernel_times_out():
        try:
            return raw[0].recv(1)
        except BlockingIOError:
            return None

    def child():
        pid = os.fork()
        if not pid:
            time.sleep(0.03)
            os._exit(7)
        return os.wait4(pid, 0)[1] >> 8

    cases = [
        ("sleep", None, lambda: time.sleep(0.03)),
        ("select", ([], [], []), lambda: select.select([left], [], [], 0.03)),
        ("poll", [], lambda: poll.poll(30)),
        ("epoll", [], lambda: epoll.poll(0.03)),
        ("lock", False, lambda: lock.acquire(timeout=0.03)),
        ("event", False, lambda: event.wait(0.03)),
        ("sigtimedwait", None, lambda: signal.sigtimedwait([signal.SIGUSR1], 0.03)),
        ("accept", None, lambda: timed_out(server.accept)),
        ("recv", None, lambda: timed_out(left.recv, 1)),
        ("recv with SO_RCVTIMEO", None, kernel_times_out),
        ("subprocess", 5, lambda: subprocess.call(["/bin/sh", "-c", "sleep 0.03; exit 5"])),
        ("wait4", 7, child),
    ]
    while True:
        for what, expected, wait in cases:
            begin = time.monotonic()
            result = wait()
            lasted(what, begin, 0.028 if what == "subprocess" else 0.03)
            check(result == expected, "%s returned %r" % (what, result))
            look()


def signals():
    """A signal each millisecond, while it sleeps, computes and reads."""
    counted = [0]

    def count(number, frame):
        counted[0] += 1

    signal.signal(signal.SIGALRM, count)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    left, right = socket.socketpair()
    left.settimeout(0.02)
    while True:
        begin, before = time.monotonic(), counted[0]
        time.sleep(0.02)
        lasted("sleep", begin, 0.02)
        begin = time.monotonic()
        try:
            left.recv(1)
            check(False, "recv returned")
        except socket.timeout:
            lasted("recv", begin, 0.02)
        check(counted[0] > before, "the timer's signals do not arrive")
        compute()
        look()


def no_gc():
    """The collector is switched off and has to stay so; what is unreachable must not be freed by chance."""
    gc.disable()
    gc.set_threshold(123, 7, 5)
    while True:
        tick()
        compute()
        check(not gc.isenabled() and gc.get_threshold() == (123, 7, 5), "the collector was changed")
        look()


def little_memory():
    """So much of the address space is left that there is room for the agent, hardly for more."""
    limit_memory(48 * MEGABYTE)
    churn()


def no_memory():
    """Not even a thread's stack has room."""
    limit_memory(2 * MEGABYTE)
    churn()


def limit_memory(room):
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + room, size + room))


def sums():
    """Two threads compute, the main thread's FPU state and mask are its own. For tests that kill memtui."""

    def work():
        while True:
            compute()

    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    threading.Thread(target=work, daemon=True).start()
    loop()


def alone():
    """One thread sleeps, and wakes rarely."""
    while True:
        begin = time.monotonic()
        time.sleep(0.2)
        lasted("sleep", begin, 0.2)
        compute()
        look()


MODES = {
    one.__name__: one
    for one in (
        loop, churn, threads, loops_of_events, prefork, gil_main, gil_thread, waits, signals, no_gc, little_memory,
        no_memory, sums, alone,
    )
}

if __name__ == "__main__":
    try:
        MODES[sys.argv[1]]()
    except BaseException as error:
        complain("wrong", "ended: %r" % error)
        raise
