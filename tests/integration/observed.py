"""Processes to look at, for the tests of what is seen from outside."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

NOBODY = 65534

REPORTING = """
import gc, json, sys
{setup}
print(json.dumps([gc.isenabled(), gc.get_threshold(), gc.get_count(), gc.get_stats()]), flush=True)
{then}
"""


@contextmanager
def running(*command: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def reporting(
    python: str, setup: str, then: str = "sys.stdin.read()"
) -> Iterator[tuple[subprocess.Popen[bytes], Any]]:
    """A Python process and what its own gc module says after ``setup``."""
    with running(python, "-c", REPORTING.format(setup=setup, then=then)) as process:
        yield process, json.loads(line_from(process))


def line_from(process: subprocess.Popen[bytes]) -> bytes:
    """The next line the process writes; fails when it ends instead."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the process wrote nothing"
    return line


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition; fails at the deadline."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the deadline is over"
        time.sleep(0.01)


def as_nobody(function: Callable[[], str]) -> str:
    """What ``function`` returns in a fork of this process that has given up root for the user nobody."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writer, function().encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        answer = file.read().decode()
    os.waitpid(child, 0)
    return answer
