"""Is a package installed for the Python of a process? Looked up in files only, as the process itself sees them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePosixPath

from memtui.observe.access import read_proc
from memtui.observe.interpreter import Interpreter
from memtui.observe.maps import read_maps


def find_package(interpreter: Interpreter, name: str) -> str | None:
    """Directory of the package as the process sees it; None when it is in none of the usual places.

    The usual places: where it is loaded from already, PYTHONPATH, the virtual environment the program was started
    from, and the site-packages of the Python. Raises :class:`RefusedError` or :class:`TargetDiedError`.
    """
    pid = interpreter.pid
    for folder in dict.fromkeys(_places(interpreter, name)):
        if os.path.isfile(f"/proc/{pid}/root{folder}/{name}/__init__.py"):
            return f"{folder}/{name}"
    return None


def _places(interpreter: Interpreter, name: str) -> Iterator[str]:
    pid = interpreter.pid
    paths = [mapping.path for mapping in read_maps(pid)]
    minor = "python{}.{}".format(*interpreter.minor)
    yield from (path.partition(f"/{name}/")[0] for path in paths if f"/{name}/" in path)
    environment = _environment(pid)
    yield from (one for one in environment.get("PYTHONPATH", "").split(":") if one.startswith("/"))
    for prefix in (environment.get("VIRTUAL_ENV", ""), *_prefixes(pid, environment.get("PATH", ""))):
        if prefix.startswith("/") and os.path.isfile(f"/proc/{pid}/root{prefix}/pyvenv.cfg"):
            yield f"{prefix}/lib/{minor}/site-packages"
    libraries = [path.partition("/lib-dynload/")[0] for path in paths if "/lib-dynload/" in path]
    libraries.append(f"{PurePosixPath(interpreter.library).parent.parent}/lib/{minor}")
    for library in libraries:
        yield f"{library}/site-packages"
        yield f"{PurePosixPath(library).parent}/python3/dist-packages"
        yield f"/usr/local/lib/{minor}/dist-packages"


def _prefixes(pid: int, path: str) -> Iterator[str]:
    """Where the program may have been installed, by the name it was started with."""
    program = os.fsdecode(read_proc(pid, "cmdline", "command line").split(b"\0")[0])
    started_in = os.readlink(f"/proc/{pid}/cwd")
    folders = [os.path.join(started_in, os.path.dirname(program))] if "/" in program else path.split(":")
    for folder in folders:
        if os.path.lexists(f"/proc/{pid}/root{folder}/{os.path.basename(program)}"):
            yield os.path.dirname(os.path.normpath(folder))


def _environment(pid: int) -> dict[str, str]:
    entries = read_proc(pid, "environ", "environment").split(b"\0")
    pairs = (os.fsdecode(entry).partition("=") for entry in entries)
    return {name: value for name, _, value in pairs}
