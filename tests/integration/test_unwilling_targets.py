"""Programs that are easily harmed by what the agent does in them: it leaves them as they were all the same."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from attach_driver import ask, leave, tasks, wait_until
from interpreters import Interpreter
from observed import line_from, running

from memtui.attach.inject import attach_agent

PROGRAM = """
import json, sys, threading
def name_the_thread(*_):
    threading.current_thread().name
sys.addaudithook(name_the_thread)
while True:
    print(json.dumps([[one.name for one in threading.enumerate()], [one for one in sys.modules if "memtui" in one]]))
    sys.stdin.readline()
"""
AS_BEFORE = [["MainThread"], []]


@contextmanager
def program(interpreter: Interpreter) -> Iterator[subprocess.Popen[str]]:
    command = [interpreter.path, "-u", "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline()) == AS_BEFORE
            yield process
            wait_until(lambda: len(tasks(process.pid)) == 1, "the agent's threads end")
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline()) == AS_BEFORE
        finally:
            process.kill()


def test_an_audit_hook_that_names_the_thread(interpreter: Interpreter) -> None:
    with program(interpreter) as process:
        viewers = [attach_agent(process.pid), attach_agent(process.pid)]
        for viewer in viewers:
            ask(viewer, "types")
            leave(viewer)


COMPRESSING = """
import threading, zlib
packed = zlib.compress(bytes(range(256)) * 4000)
def work():
    while True:
        assert len(zlib.decompress(packed)) == 1024000
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
print("here", flush=True)
work()
"""


def test_tracing_ends_while_threads_allocate_without_the_gil(interpreter: Interpreter) -> None:
    with running(interpreter.path, "-c", COMPRESSING) as process:
        assert line_from(process) == b"here\n"
        viewer = attach_agent(process.pid)
        for _ in range(8):
            ask(viewer, "trace_start", frames=1)
            ask(viewer, "trace_stop")
        leave(viewer)
        assert process.poll() is None


CURSORS = """
import os, sqlite3, sys, threading, time, weakref
ballast = [[] for _ in range(200000)]
class Thing: pass
def work():
    database = sqlite3.connect(":memory:")
    database.execute("create table rows (a, b)")
    while True:
        database.executemany("insert into rows values (?, ?)", [(one, "x") for one in range(100)])
        database.execute("delete from rows")
        thing = Thing()
        known = weakref.ref(thing)
        time.sleep(0.0005)
        del thing
        if known() is not None:
            os._exit(3)
def watched():
    try:
        work()
    except BaseException:
        os._exit(4)
for _ in range(2):
    threading.Thread(target=watched, daemon=True).start()
print("here", flush=True)
sys.stdin.readline()
"""


def test_counting_types_keeps_no_object_alive(interpreter: Interpreter) -> None:
    with running(interpreter.path, "-c", CURSORS) as process:
        assert line_from(process) == b"here\n"
        viewer = attach_agent(process.pid)
        for _ in range(10):
            ask(viewer, "types", limit=10)
        leave(viewer)
        process.communicate(b"\n", timeout=30)
        assert process.returncode == 0


INTERPRETERS = """
import sys, threading
import {module} as interpreters
one = interpreters.create()
def work():
    while True:
        interpreters.run_string(one, "import json; [json.loads('[1, 2]') for _ in range(2000)]")
threading.Thread(target=work, daemon=True).start()
print("here", flush=True)
sys.stdin.readline()
"""


def test_beside_an_interpreter_with_a_gil_of_its_own(interpreter: Interpreter) -> None:
    module = "_interpreters" if interpreter.minor >= (3, 13) else "_xxsubinterpreters"
    with running(interpreter.path, "-c", INTERPRETERS.format(module=module)) as process:
        assert line_from(process) == b"here\n"
        for _ in range(3):
            viewer = attach_agent(process.pid)
            ask(viewer, "types", limit=10)
            leave(viewer)
        assert process.poll() is None
