"""Targets that would notice a frozen copy of themselves; beside them all those of hard_targets.py.

    python copied_targets.py MODE FILE

They talk to the test in the same way. Python 3.8 syntax.
"""

import fcntl
import multiprocessing
import os
import queue
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import hard_targets
from hard_targets import check, compute, lasted, look, tick


def childless():
    """It has no child: waiting for one fails, and no SIGCHLD ever comes."""
    seen = []
    signal.signal(signal.SIGCHLD, lambda number, frame: seen.append(number))
    waits = [
        lambda: os.waitpid(-1, 0),
        lambda: os.waitpid(0, os.WNOHANG),
        lambda: os.wait3(os.WNOHANG),
        lambda: os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG),
    ]
    while True:
        for wait in waits:
            try:
                check(False, "a child that was never started: %r" % (wait(),))
            except ChildProcessError:
                pass
        begin = time.monotonic()
        time.sleep(0.002)
        lasted("sleep", begin, 0.002)
        check(not seen, "SIGCHLD came")
        tick()
        look()


def arbiter():
    """A master as gunicorn has it: SIGCHLD wakes its select, it reaps whatever is there without waiting."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: os.write(writer, b"x"))
    workers, number = {}, 0
    while True:
        while len(workers) < 3:
            number += 1
            pid = os.fork()
            if not pid:
                time.sleep(0.003 * (number % 7))
                os._exit(number % 50)
            workers[pid] = number % 50
        begin = time.monotonic()
        if select.select([reader], [], [], 0.02)[0]:
            os.read(reader, 1000)
        else:
            lasted("select", begin, 0.02)
        waiting = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        check(waiting is None or waiting.si_pid in workers, "waitid shows %r" % (waiting,))
        while workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            check(workers.pop(pid, None) == os.WEXITSTATUS(status), "child %d ended with %d" % (pid, status))
        tick()
        look()


def pool():
    """Processes that come and go under multiprocessing, with its threads and pipes."""
    numbers = list(range(60))
    squares = [number * number for number in numbers]
    context = multiprocessing.get_context("fork")
    while True:
        with context.Pool(3, maxtasksperchild=5) as workers:
            for _ in range(5):
                check(workers.map(square, numbers, 5) == squares, "a pool's result is wrong")
                tick()
            workers.close()
            workers.join()
        hard_targets.put("progress", hard_targets.slot("progress") + 1)


def square(number):
    return number * number


def spawner():
    """One thread that starts programs all the time: most of it is a vfork in progress."""
    while True:
        for code in (0, 3):
            result = subprocess.run(["/bin/sh", "-c", "echo text; exit %d" % code], stdout=subprocess.PIPE)
            check((result.returncode, result.stdout) == (code, b"text\n"), "a program ended with %r" % (result,))
        tick()
        look()


def more_waits():
    """The waits that are ended by somebody else, each with a check that it lasted."""
    left, right = socket.socketpair()
    pipe = os.pipe()
    work, ends = queue.Queue(), queue.Queue()
    condition, semaphore = threading.Condition(), threading.Semaphore(0)
    shared = multiprocessing.get_context("fork").Semaphore(0)
    full = os.pipe()
    fcntl.fcntl(full[1], 1031, 4096)  # F_SETPIPE_SZ
    file = tempfile.NamedTemporaryFile()
    other = open(file.name, "rb")
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

    def helper():
        while True:
            action = ends.get()
            time.sleep(0.03)
            action()

    threading.Thread(target=helper, daemon=True).start()

    def locked():
        fcntl.flock(other, fcntl.LOCK_EX)
        ends.put(lambda: fcntl.flock(other, fcntl.LOCK_UN))
        return fcntl.flock(file, fcntl.LOCK_EX), fcntl.flock(file, fcntl.LOCK_UN)

    def after(action, wait):
        ends.put(action)
        return wait()

    def notify():
        with condition:
            condition.notify()

    def wait_notified():
        with condition:
            ends.put(notify)
            return condition.wait()

    def fill():
        os.write(full[1], bytes(4096))
        return after(lambda: os.read(full[0], 4096), lambda: os.write(full[1], bytes(1))), os.read(full[0], 1)

    cases = [
        ("read", b"x", lambda: after(lambda: os.write(pipe[1], b"x"), lambda: os.read(pipe[0], 10))),
        ("recvmsg", b"y", lambda: after(lambda: right.send(b"y"), lambda: left.recvmsg(10)[0])),
        ("flock", (None, None), locked),
        ("condition", True, wait_notified),
        ("semaphore", True, lambda: after(semaphore.release, semaphore.acquire)),
        ("sem_wait", True, lambda: after(shared.release, shared.acquire)),
        ("queue", 5, lambda: after(lambda: work.put(5), work.get)),
        ("write", (1, b"\0"), fill),
        (
            "sigwait",
            10,
            lambda: after(lambda: os.kill(os.getpid(), 10), lambda: int(signal.sigwait([signal.SIGUSR1]))),
        ),
        ("waitid", 4, lambda: os.waitid(os.P_PID, sleeper(4), os.WEXITED).si_status),
    ]

    def sleeper(code):
        pid = os.fork()
        if not pid:
            time.sleep(0.03)
            os._exit(code)
        return pid

    while True:
        for what, expected, wait in cases:
            begin = time.monotonic()
            result = wait()
            lasted(what, begin, 0.028)
            check(result == expected, "%s returned %r" % (what, result))
            tick()
        look()


def c_waits():
    """Threads asleep in C code that would see it if their call was interrupted; Python's own waits elsewhere."""
    left, _ = socket.socketpair()
    left.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 30000))
    epoll = select.epoll()
    epoll.register(left, select.EPOLLIN)
    buffer = hard_targets.ctypes.create_string_buffer(64)
    use_errno = hard_targets.ctypes.CDLL(None, use_errno=True)

    def wait_for_ever(what, function, arguments, seconds, wanted):
        while True:
            begin = time.monotonic()
            result = function(*arguments)
            error = hard_targets.ctypes.get_errno() if result == -1 else 0
            check((result, error) == wanted, "%s of C code returned %d, errno %d" % (what, result, error))
            lasted(what, begin, seconds)

    again = 11
    cases = [
        ("epoll_wait", use_errno.epoll_wait, (epoll.fileno(), buffer, 1, 30), 0.03, (0, 0)),
        ("recv", use_errno.recv, (left.fileno(), buffer, 1, 0), 0.03, (-1, again)),
        ("poll", use_errno.poll, (None, 0, 30), 0.03, (0, 0)),
        ("usleep", use_errno.usleep, (30000,), 0.03, (0, 0)),
    ]
    for case in cases:
        threading.Thread(target=wait_for_ever, args=case, daemon=True).start()
    while True:
        begin = time.monotonic()
        time.sleep(0.004)
        lasted("sleep", begin, 0.004)
        compute()
        tick()
        look()


def locks():
    """Locks of files that belong to the process, and files that it opens, closes and hands to others."""
    file = tempfile.NamedTemporaryFile()
    probe = "import fcntl, sys; f = open(sys.argv[1], 'r+b')\ntry: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    probe += "except OSError: sys.exit(7)"
    fcntl.lockf(file, fcntl.LOCK_EX)
    while True:
        for _ in range(50):
            left, right = socket.socketpair()
            with left:
                right.close()
                check(left.recv(1) == b"", "what was closed is open")
            tick()
        result = subprocess.call([sys.executable, "-S", "-c", probe, file.name])
        check(result == 7, "the lock of a file is gone: %r" % result)
        look()


MODES = {
    **hard_targets.MODES,
    **{one.__name__: one for one in (childless, arbiter, pool, spawner, more_waits, c_waits, locks)},
}

if __name__ == "__main__":
    try:
        MODES[sys.argv[1]]()
    except BaseException as error:
        hard_targets.complain("wrong", "ended: %r" % error)
        raise
