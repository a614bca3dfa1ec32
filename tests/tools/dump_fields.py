"""Regenerates memtui/heap/read/fields.json: in which fields types written in C keep their references.

    python tests/tools/dump_fields.py PYTHON...

Most types tell it themselves (member descriptors); these do not. Each PYTHON makes an object of each type with known
contents and looks for their addresses in the object's own memory. Only the standard library is used, and Python 3.8.
"""

import asyncio
import collections
import contextlib
import contextvars
import ctypes
import datetime
import functools
import gc
import io
import itertools
import json
import operator
import os
import re
import struct
import subprocess
import sys
import threading
import types
import typing
import weakref

_FUNCTION = (
    "__code__", "__globals__", "__defaults__", "__kwdefaults__", "__closure__", "__doc__", "__dict__", "__module__",
    "__annotations__", "__builtins__", "__type_params__",
)  # fmt: skip
_CODE = (
    "co_name", "co_consts", "co_names", "co_filename", "co_linetable", "co_exceptiontable",
    "co_qualname", "co_varnames", "co_cellvars", "co_freevars", "co_code",
)  # fmt: skip


class Token:
    """Something to hold."""


def only(holder, kind):
    """The one thing of a type that the collector finds in an object."""
    found = [one for one in gc.get_referents(holder) if type(one) is kind]
    return found[0] if len(found) == 1 else None


def same(holder, *names):
    """Attributes that are fields of the same name."""
    return {name: getattr(holder, name) for name in names if hasattr(holder, name)}


def of_caches():
    """``lru_cache``, partial, and other helpers for functions."""

    @functools.lru_cache(None)
    def cached(x):
        return Token()

    for _ in range(3):
        cached(Token())
    attributes = cached.__dict__
    caches = [one for one in gc.get_referents(cached) if type(one) is dict and one is not attributes]
    yield cached, {"cache": caches[0], "__wrapped__": cached.__wrapped__, "__dict__": attributes}

    @functools.lru_cache(5)
    def bounded(x):
        return Token()

    key, pair = "a key of its own", (Token(),)
    result = bounded(key)
    table = next(one for one in gc.get_referents(bounded) if type(one) is dict and one is not bounded.__dict__)
    for element in table.values():
        yield element, {"key": key, "result": result}
    function = functools.partial(print, Token(), end=Token())
    yield function, {"func": function.func, "args": function.args, "keywords": function.keywords}
    compared = functools.cmp_to_key(of_caches)(pair)
    yield compared, {"cmp": of_caches, "obj": pair}
    key = [Token()]
    yield operator.itemgetter(key), {"item": key}
    getter = operator.attrgetter("an_attribute.of_another")
    yield getter, {"attributes": only(getter, tuple)}


def of_asyncio():
    """Futures and tasks."""
    loop = asyncio.new_event_loop()

    async def wait(future):
        await future

    async def main():
        future = loop.create_future()
        task = loop.create_task(wait(future), name="a task of its own name")
        await asyncio.sleep(0)
        return future, task

    future, task = loop.run_until_complete(main())
    done, failed, awaited = loop.create_future(), loop.create_future(), loop.create_future()
    result, failure = Token(), ValueError("x")
    done.set_result(result)
    failed.set_exception(failure)
    yield done, {"_loop": loop, "_result": result}
    yield failed, {"_exception": failure}
    failed.exception()
    callback = future._callbacks[0]
    yield future, {"_callback": callback[0], "_callback_context": callback[1]}
    wakeup = callback[0]
    if type(wakeup) is not type(len):  # since 3.9 it is a method of the task
        yield wakeup, {"_task": task}
    coroutine, context = task.get_coro(), only(task, contextvars.Context)
    names = {"_loop": loop, "_coro": coroutine, "_fut_waiter": future, "_name": task.get_name(), "_context": context}
    yield task, names
    for one in (print, len, repr):
        awaited.add_done_callback(one)
    yield awaited, {"_callbacks": only(awaited, list)}
    yield coroutine.cr_await, {"_future": future}
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


def of_coroutines():
    """Generators, coroutines, asynchronous generators."""

    def generator():
        yield 1

    async def coroutine():
        """Nothing."""

    async def stream():
        yield 1

    made = generator()
    yield made, same(made, "gi_code", "__name__", "__qualname__")
    made = coroutine()
    yield made, same(made, "cr_code", "__name__", "__qualname__")
    waiting = made.__await__()
    yield waiting, {"coroutine": made}
    made.close()
    made = stream()
    yield made, same(made, "ag_code", "__name__", "__qualname__")
    step = made.__anext__()
    yield step, {"generator": made}
    step.close()


def of_errors():
    """Exceptions, tracebacks, frames."""

    def raiser():
        raise ValueError(Token())

    try:
        try:
            raiser()
        except ValueError as first:
            raise KeyError("k") from first
    except KeyError as error:
        yield error, {"__traceback__": error.__traceback__, "args": error.args}
        traceback = error.__context__.__traceback__
        yield traceback, same(traceback, "tb_next", "tb_frame")
        frame = traceback.tb_next.tb_frame
        yield frame, same(frame, "f_back", "f_globals", "f_code")
        frame.f_trace = print
        yield frame, same(frame, "f_trace")
        frame.f_trace = None
    bare = ValueError()
    bare.__cause__ = KeyError()
    bare.note = Token()
    yield bare, same(bare, "__cause__", "__dict__")
    bare = ValueError()
    bare.__context__ = KeyError()
    yield bare, same(bare, "__context__")


def of_iterators():
    """Iterators over containers."""
    items, pair, table, bag, held = [Token()], (Token(),), {1: Token()}, {Token()}, Token()
    ordered, chain = collections.OrderedDict(a=held), collections.deque([Token()])
    for one in (iter(items), reversed(items), iter(pair)):
        yield one, {"sequence": items if type(one) is not type(iter(())) else pair}
    for one in (iter(table), iter(table.items()), iter(table.values())):
        yield one, {"dict": table}
    for one in (reversed(table), reversed(table.items()), reversed(table.values())):
        yield one, {"dict": table}
    for one in (table.keys(), table.values(), table.items()):
        yield one, {"mapping": table}
    for one in (ordered.keys(), ordered.values(), ordered.items()):
        yield one, {"mapping": ordered}
    yield iter(ordered), {"dict": ordered}
    yield iter(bag), {"set": bag}
    yield iter(chain), {"deque": chain}
    yield reversed(chain), {"deque": chain}
    text, wide, data = "a text of its own", "\u0444\u0444", b"some bytes"
    for one in (text, wide, data, bytearray(data)):
        yield iter(one), {"sequence": one}
    callee = print
    yield iter(callee, held), {"callable": callee, "sentinel": held}
    once = Sequence()
    yield iter(once), {"sequence": once}
    yield reversed(once), {"sequence": once}


class Sequence:
    """Iterated by index."""

    def __getitem__(self, index):
        """Nothing."""

    def __len__(self):
        return 1


def of_builtin_iterators():
    """``map`` and the like, and those of itertools."""
    callee, source, held = Token.__init__, iter([1]), Token()
    yield filter(callee, source), {"function": callee, "iterator": source}
    yield enumerate(source), {"iterator": source}
    mapped, zipped = map(callee, source), zip(source)
    yield mapped, {"function": callee, "iterators": only(mapped, tuple)}
    yield zipped, {"iterators": next(one for one in gc.get_referents(zipped) if one == (source,))}
    chained = itertools.chain(source)
    yield chained, {"iterators": only(chained, type(iter(())))}
    yield itertools.islice(source, 3), {"iterator": source}
    yield itertools.repeat(held), {"object": held}
    for make in (itertools.takewhile, itertools.dropwhile, itertools.filterfalse, itertools.starmap):
        yield make(callee, source), {"function": callee, "iterator": source}
    yield itertools.groupby(source, callee), {"iterator": source, "key": callee}
    yield itertools.accumulate(source, callee), {"iterator": source, "function": callee}
    start = 10**30
    yield itertools.count(start), {"next": start}
    saved = itertools.cycle(source)
    yield saved, {"iterator": source, "saved": only(saved, list)}
    for one in (itertools.product([held]), itertools.permutations([held])):
        yield one, {"pools": only(one, tuple)}
    chosen = itertools.combinations([held], 1)
    yield chosen, {"pool": only(chosen, tuple)}


def of_functions():
    """Functions, methods and what wraps them."""
    held, callee = Token(), Token.__init__
    method = held.__init__
    yield method, {"__self__": held}
    bound = types.MethodType(len, held)
    yield bound, {"__func__": bound.__func__, "__self__": bound.__self__}
    append = [].append
    yield append, {"__self__": append.__self__}
    descriptor = object.__init__
    yield held.__str__, {"__self__": held, "<descriptor>": object.__str__}
    yield descriptor, {"__objclass__": object, "__name__": descriptor.__name__}
    yield super(Token, held), {"__self__": held}
    documented = property(callee, None, None, "a text of its own")
    yield documented, {"fget": callee, "__doc__": documented.__doc__}
    if sys.version_info >= (3, 12):
        yield Named.wide, {"__name__": "wide"}
    yield staticmethod(callee), {"__func__": callee}
    yield classmethod(callee), {"__func__": callee}

    def full(a, b=held, *, c: int = 5) -> None:
        """A text of its own."""
        return held

    full.attribute = Token()
    full.__module__ = "a name of a module"
    named = same(full, *_FUNCTION)
    full.__name__ = named["__name__"] = "a_name_of_its_own"
    full.__qualname__ = named["__qualname__"] = "a.qualified_name"
    yield full, named
    yield full.__code__, same(full.__code__, *_CODE)


class Named:
    """With a property."""

    @property
    def wide(self):
        """Nothing."""


def of_containers():
    """Things that hold one or several objects, and views of them."""
    held, pair, items = Token(), (Token(),), [Token()]
    attributes = {"a": held}
    yield types.MappingProxyType(attributes), {"mapping": attributes}
    yield types.CellType(held), {"cell_contents": held}
    view = memoryview(bytearray(b"x"))
    yield view, {"<buffer>": only(view, type(gc.get_referents(view)[0]))}
    yield gc.get_referents(view)[0], {"obj": view.obj}
    yield slice(held, pair, items), {"start": held, "stop": pair, "step": items}
    large = 10**30
    counted = range(large, large * 2, large // 7)
    yield counted, same(counted, "start", "stop", "step")
    space = types.SimpleNamespace(x=Token())
    yield space, {"__dict__": space.__dict__}
    module = types.ModuleType("a_name_of_a_module")
    yield module, {"__dict__": module.__dict__, "__name__": module.__name__}
    default = collections.defaultdict(Token)
    yield default, {"default_factory": Token}
    ordered = collections.OrderedDict()
    ordered.x = Token()
    yield ordered, {"__dict__": ordered.__dict__}
    zone = datetime.timezone(datetime.timedelta(hours=1), "a zone")
    yield zone, {"name": "a zone", "offset": zone.utcoffset(None)}
    yield datetime.datetime(2020, 1, 1, tzinfo=zone), {"tzinfo": zone}
    yield datetime.time(1, tzinfo=zone), {"tzinfo": zone}
    if hasattr(types, "GenericAlias"):
        alias = types.GenericAlias(list, (int, Token))
        yield alias, same(alias, "__origin__", "__args__", "__parameters__")
    if hasattr(types, "UnionType"):
        union = int | Token
        yield union, same(union, "__args__", "__parameters__")
    if sys.version_info >= (3, 12):
        variable = typing.TypeVar("A name of a variable", bound=Token)
        yield variable, {"__name__": variable.__name__, "__bound__": Token}


def of_contexts():
    """Context variables and what threads have of their own."""
    held, pair = Token(), (Token(),)
    variable = contextvars.ContextVar("a name of a variable", default=held)
    yield variable, {"name": variable.name, "default": held}
    yield variable.set(pair), {"var": variable}
    context = contextvars.copy_context()
    tree = next((one for one in gc.get_referents(context) if "hamt" in type(one).__name__), None)
    yield context, {"<variables>": tree}
    root = gc.get_referents(tree)[0]
    yield tree, {"<root>": root}
    local = threading.local()
    local.x = held
    dictionary = only(local, dict)
    dictionaries = [one for one in gc.get_referents(local) if type(one) is dict]
    yield local, {"<per thread>": next((one for one in dictionaries if one and "x" not in one), dictionary)}
    key = only(local, tuple)
    yield local, {"<arguments>": key}


def of_text_and_files():
    """Patterns, formats, streams, weak references."""
    held = Token()
    pattern = re.compile("(?P<a>x)(y)")
    names = {"pattern": pattern.pattern, "groupindex": only(pattern, dict), "<index of groups>": only(pattern, tuple)}
    yield pattern, names
    match = pattern.match("xy")
    yield match, {"string": match.string, "re": pattern}
    yield weakref.ref(held, print), {"__callback__": print}
    raw = io.BytesIO(b"some bytes")
    buffered = io.BufferedReader(raw)
    yield buffered, {"raw": raw}
    target = io.BytesIO()
    yield io.BufferedWriter(target), {"raw": target}
    yield raw, {"<buffer>": only(raw, bytes)}
    yield io.TextIOWrapper(buffered), {"buffer": buffered}
    stream = io.TextIOWrapper(io.BytesIO(b"x"), encoding="ascii")
    yield stream, {"encoding": stream.encoding, "errors": stream.errors}
    packed = struct.Struct("hhi")
    yield packed, {"format": only(packed, bytes)}


PROBES = (
    of_caches, of_asyncio, of_coroutines, of_errors, of_iterators, of_builtin_iterators, of_functions, of_containers,
    of_contexts, of_text_and_files,
)  # fmt: skip


WITHOUT_COPIES = {
    "_abc_data": {"<registry>": 16, "<cache>": 24, "<not these>": 32},
    "_abc._abc_data": {"<registry>": 16, "<cache>": 24, "<not these>": 32},
}
"""What an object only gives copies of, read in ``Modules/_abc.c``."""


def fields():
    """Type name -> name of the field -> offset in bytes."""
    found = dict(WITHOUT_COPIES)
    for holder, names in itertools.chain.from_iterable(probe() for probe in PROBES):
        for name, value in names.items():
            if value is not None:  # else this version keeps it elsewhere
                _look(holder, name, value, found)
    return found


def _look(holder, name, value, found):
    kind = type(holder)
    size = max(kind.__basicsize__, 16)
    words = ctypes.string_at(id(holder), size)
    offsets = [at for at in range(16, size, 8) if words[at : at + 8] == id(value).to_bytes(8, "little")]
    spelled = ctypes.string_at(ctypes.c_void_p.from_address(id(kind) + 24).value).decode()
    if isinstance(holder, BaseException):
        spelled = "BaseException"  # what all exceptions have
    known = found.setdefault(spelled, {})
    # memoryview and others keep what they hold a second time, behind it.
    if offsets and offsets[0] not in known.values():
        known.setdefault(name, offsets[0])
    elif not offsets:
        print("not found:", kind.__name__, name, file=sys.stderr)


def main():
    """Command line."""
    if not sys.argv[1:]:
        json.dump(fields(), sys.stdout)
        return
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(here, "..", "..", "memtui", "heap", "read", "fields.json")
    versions = {}
    for python in sys.argv[1:]:
        out = subprocess.run([python, os.path.abspath(__file__)], check=True, stdout=subprocess.PIPE).stdout
        ask = "import sys; print('%d.%d' % sys.version_info[:2])"
        version = subprocess.run([python, "-c", ask], check=True, stdout=subprocess.PIPE).stdout.decode().strip()
        versions[version] = json.loads(out.decode())
    about = "Offsets in bytes of references in objects of types written in C; found by tests/tools/dump_fields.py."
    with open(path, "w") as file:
        json.dump({"about": about, "versions": versions}, file, indent=1, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
