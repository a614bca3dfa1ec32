"""Everything the helper needs to know, found out before the target is touched."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from memtui import paths
from memtui.attach import gdb
from memtui.attach.native import arch
from memtui.channel.identity import Place
from memtui.errors import RefusedError
from memtui.observe.elf import exported
from memtui.observe.interpreter import Interpreter
from memtui.observe.machine import check_machine, read_machine
from memtui.observe.maps import Mapping, open_mapped, read_maps
from memtui.observe.memory import RemoteMemory
from memtui.observe.process import Identity

_C_LIBRARIES = ("libc.so", "libc-2", "libpthread", "ld-musl", "libc.musl")
_C_FUNCTIONS = ("pthread_create", "pthread_self", "pthread_detach", "munmap")
_PYTHON_FUNCTIONS = (
    "Py_AddPendingCall", "Py_IsInitialized", "PyRun_SimpleString", "PyGILState_Ensure", "PyGILState_Release",
)  # fmt: skip
AGENT_MODULES = (
    "originals", "grip", "pace", "wire", "pauses", "tracing", "heap", "native", "paths", "cycles", "cleanup", "core",
)  # fmt: skip
"""In the order in which they need each other."""
_PIECE_BYTES, _OVERLAP_BYTES = 128 * 1024, 64
_FUTURE = "from __future__ import annotations\n"
_NO_CODE = re.compile(r'^from \..*\n|^ *#.*\n|^ *"""(?s:.*?)"""\n|^\n', re.MULTILINE)
"""In the bootstrap: imports of what comes before, comments, docstrings, empty lines."""
_FILE = "<memtui-agent bootstrap>"
"""The agent leaves out what files allocate whose names begin like this (``OWN_FILE`` in its tracing module)."""
LIFETIME_SECONDS = 8.5
"""How long a queued start stays valid: later it does nothing when it finally runs."""


def build_plan(interpreter: Interpreter, identity: Identity, experimental: bool = False) -> dict[str, Any]:
    """The plan without its route and source text. Raises RefusedError when something needed is not there.

    ``identity`` is that of the process from before ``interpreter`` was found in it: nothing is done to another one.
    ``experimental`` allows processors on which memtui was not tried.
    """
    pid = interpreter.pid
    check_machine(read_machine(), experimental)
    maps = read_maps(pid)
    libraries = list(dict.fromkeys(one.path for one in maps if _is_c_library(one.path)))
    symbols = {name: interpreter.symbols[name] for name in _PYTHON_FUNCTIONS if name in interpreter.symbols}
    symbols = _exports(pid, maps, libraries, _C_FUNCTIONS) | symbols
    _require(pid, symbols, (*_PYTHON_FUNCTIONS, *_C_FUNCTIONS))
    places = (*libraries, "[vdso]", interpreter.library)
    code = [one for one in maps if "x" in one.permissions and one.path in places]
    gadgets = _find_gadgets(pid, sorted(code, key=lambda one: places.index(one.path)))
    known = [identity.started_ticks, identity.start_code, identity.start_stack]
    return {"pid": pid, "identity": known, "symbols": symbols, "gadgets": gadgets}


def gdb_symbols(interpreter: Interpreter) -> dict[str, int]:
    """Addresses of the functions that :mod:`memtui.attach.gdb` calls. Raises RefusedError when one is missing."""
    maps = read_maps(interpreter.pid)
    libraries = list(dict.fromkeys(one.path for one in maps if _is_c_library(one.path)))
    symbols = _exports(interpreter.pid, maps, libraries, gdb.C_FUNCTIONS)
    wanted = (*gdb.PYTHON_FUNCTIONS, *gdb.MAIN_INTERPRETER)
    symbols |= _exports(interpreter.pid, maps, [interpreter.library], wanted)
    _require(interpreter.pid, symbols, (*gdb.PYTHON_FUNCTIONS, *gdb.C_FUNCTIONS))
    return symbols


def bootstrap_source(
    token: str,
    asked_at: float,
    inner_pid: int,
    in_main_thread: bool,
    place: Place | None = None,
    lifetime_seconds: float = LIFETIME_SECONDS,
) -> str:
    """Statements of Python that run the bootstrap, leave no name behind and never raise.

    ``asked_at`` (since the epoch) is when the attach began; after ``lifetime_seconds`` they do nothing any more.
    ``inner_pid`` is the process's number as itself sees it. ``in_main_thread``: they will be run by the interpreter's
    main thread, so they must start a thread of its own for the bootstrap, and the agent's text has to be sent through
    the channel. Otherwise others follow behind a zero, to be run by the same thread, with that text. ``place``: where
    memtui listens, if so.
    """
    expires_at = asked_at + lifetime_seconds
    call = f"{token!r}, {asked_at!r}, {expires_at!r}, {inner_pid}, {place!r}"
    first = "".join(_bare(name) for name in ("originals", "grip"))
    if not in_main_thread:
        first += "import os, time\n"
        first += f"if os.getpid() == {inner_pid} and time.time() < {expires_at!r}:\n"
        first += f" _GRIP = grip_after(time.time() - {asked_at!r})\n"
    first += f"exec({_as_own('_THEN')})\n"
    then = _bare("bootstrap")
    for name in ("greeting", "landing"):
        text = f"_TEXT_OF_{name.upper()}"
        then += f"{text} = {_bare(name)!a}\n_{name.upper()} = {'exec(' + _as_own(text) + ')'!r}\n"
    then += f"start({call})\n" if in_main_thread else f"boot({call}, _GRIP, True)\n"
    names = '"__name__": "_memtui_bootstrap", "_GRIP": None'
    source = f'__import__("builtins").exec({_as_own("_FIRST")}, {{{names}, "_FIRST": {first!a}, "_THEN": {then!a}}})'
    if in_main_thread:
        return _silently(source)
    follows = f"__import__('sys').modules['_memtui_agent'].later.pop({token!r}).send({_literal()})"
    return f"{_silently(source)}\0{_silently(follows)}"


@cache
def _literal() -> str:
    return repr(agent_text())


def _silently(statement: str) -> str:
    return f"try:\n {statement}\nexcept BaseException:\n pass\n"


@cache
def agent_text() -> bytes:
    """The agent's modules, name and text in turn.

    Without the import that is no import: the bootstrap gives the compiler its flag.
    """
    texts = ((name, _text(name).replace(_FUTURE, "\n", 1)) for name in AGENT_MODULES)
    return "\0".join(part for one in texts for part in one).encode()


def _as_own(name: str) -> str:
    """Code for ``exec`` that runs the text of that global name, with the file name of the agent.

    What text from nowhere allocates would count for a line of the program's in tracemalloc. Compiling counts for the
    line that asks for it, so that one is renamed as well.
    """
    run = f"exec(compile({name}, {_FILE!r}, 'exec'), globals())"
    return f"(lambda: {run}).__code__.replace(co_filename={_FILE!r})"


@cache
def _bare(name: str) -> str:
    return _NO_CODE.sub("", _text(name))


def _text(name: str) -> str:
    return (paths.PACKAGE / "agent" / f"{name}.py").read_text(encoding="utf-8")


def _is_c_library(path: str) -> bool:
    return os.path.basename(path).startswith(_C_LIBRARIES)


def _exports(pid: int, maps: list[Mapping], files: list[str], names: Sequence[str]) -> dict[str, int]:
    """Addresses in the process of those ``names`` that one of its mapped files exports; the first file counts."""
    symbols: dict[str, int] = {}
    for path in files:
        with open_mapped(pid, maps, path) as file:
            found = exported(file, names)
            bias = found.bias(maps, path)
        symbols = {name: value + bias for name, value in found.values.items()} | symbols
    return symbols


def _require(pid: int, symbols: dict[str, int], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in symbols]
    if missing:
        raise RefusedError(f"No code can be put into process {pid}.", why=f"It does not export {', '.join(missing)}.")


def _find_gadgets(pid: int, maps: list[Mapping]) -> dict[str, int]:
    """Where in these mappings the pieces of code are; mostly all of them near the beginning of the C library."""
    found: dict[str, int] = {}
    with RemoteMemory(pid) as memory:
        for start, end in _pieces(maps):
            code = memory.read(start, end - start)
            for name in arch.GADGETS.keys() - found.keys():
                patterns = arch.GADGETS[name]
                at = next((at for pattern in patterns if (at := _find_code(code, pattern)) is not None), None)
                if at is not None:
                    found[name] = start + at
            if len(found) == len(arch.GADGETS):
                break
    if not {"syscall_ret", "restore_rt"} <= set(found):
        raise RefusedError(f"No code can be put into process {pid}.", why="Its C library is not one memtui knows.")
    return found


def _pieces(maps: list[Mapping]) -> Iterator[tuple[int, int]]:
    """Start and end of pieces of these mappings that overlap by more than any piece of code that is looked for."""
    for one in maps:
        for start in range(one.start, one.end, _PIECE_BYTES):
            yield start, min(one.end, start + _PIECE_BYTES + _OVERLAP_BYTES)


def _find_code(code: bytes, pattern: bytes) -> int | None:
    at = code.find(pattern)
    while at >= 0 and at % arch.INSTRUCTION_ALIGNMENT:
        at = code.find(pattern, at + 1)
    return at if at >= 0 else None
