"""Regenerates memtui/heap/read/fields.json: in which fields types written in C keep their references.

    python tests/tools/dump_fields.py PYTHON...

Most types tell it themselves (member descriptors); these do not. Each PYTHON makes an object of each type with known
contents and looks for their addresses in the object's own memory. Only the standard library is used.
"""

import collections
import ctypes
import json
import os
import subprocess
import sys


_FUNCTION = (
    "__code__",
    "__globals__",
    "__defaults__",
    "__kwdefaults__",
    "__closure__",
    "__doc__",
    "__dict__",
    "__module__",
    "__annotations__",
    "__builtins__",
)


def probes():
    """Objects, each with the names of what it holds and how to get at that."""
    import asyncio
    import contextvars
    import functools
    import gc
    import io
    import itertools
    import operator
    import re
    import threading
    import types
    import weakref

    @functools.lru_cache(maxsize=None)
    def cached(x):
        return x

    class Token:
        pass

    def only(holder, kind):
        found = [one for one in gc.get_referents(holder) if type(one) is kind]
        return found[0] if len(found) == 1 else None

    for _ in range(3):
        cached(Token())
    attributes = cached.__dict__
    caches = [one for one in gc.get_referents(cached) if type(one) is dict and one is not attributes]
    yield cached, {"cache": caches[0], "__wrapped__": cached.__wrapped__, "__dict__": attributes}

    loop = asyncio.new_event_loop()

    async def wait(future):
        await future

    async def main():
        future = loop.create_future()
        task = loop.create_task(wait(future), name="a task of its own name")
        await asyncio.sleep(0)
        return future, task

    future, task = loop.run_until_complete(main())
    done = loop.create_future()
    result, failure = Token(), ValueError("x")
    done.set_result(result)
    failed = loop.create_future()
    failed.set_exception(failure)
    yield done, {"_loop": loop, "_result": result}
    yield failed, {"_exception": failure}
    failed.exception()
    callback = future._callbacks[0]
    yield future, {"_callback": callback[0], "_callback_context": callback[1]}
    yield task, {"_loop": loop, "_coro": task.get_coro(), "_fut_waiter": future, "_name": task.get_name()}
    coroutine = task.get_coro()
    yield coroutine, {"__name__": coroutine.__name__, "__qualname__": coroutine.__qualname__}
    awaited = loop.create_future()
    for one in (print, len, repr):
        awaited.add_done_callback(one)
    yield awaited, {"_callbacks": only(awaited, list)}
    wrapped = task.get_coro().cr_await
    yield wrapped, {"_future": future}

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
        yield traceback, {"tb_next": traceback.tb_next, "tb_frame": traceback.tb_frame}
        frame = traceback.tb_next.tb_frame
        yield frame, {"f_back": frame.f_back, "f_globals": frame.f_globals, "f_code": frame.f_code}
    bare = ValueError()
    bare.__cause__ = KeyError()
    bare.note = Token()
    yield bare, {"__cause__": bare.__cause__, "__dict__": bare.__dict__}
    bare = ValueError()
    bare.__context__ = KeyError()
    yield bare, {"__context__": bare.__context__}

    def generator():
        yield 1

    made = generator()
    yield made, {"gi_code": made.gi_code, "__name__": made.__name__, "__qualname__": made.__qualname__}
    function = functools.partial(print, Token(), end=Token())
    yield function, {"func": function.func, "args": function.args, "keywords": function.keywords}
    method = Token().__init__
    yield method, {"__self__": method.__self__}
    bound = types.MethodType(len, Token())
    yield bound, {"__func__": bound.__func__, "__self__": bound.__self__}
    append = [].append
    yield append, {"__self__": append.__self__}
    yield types.MappingProxyType(attributes), {"mapping": attributes}
    held = Token()
    yield types.CellType(held), {"cell_contents": held}
    view = memoryview(bytearray(b"x"))
    yield view, {"obj": view.obj}
    items = [Token()]
    yield iter(items), {"sequence": items}
    yield reversed(items), {"sequence": items}
    pair = (Token(),)
    yield iter(pair), {"sequence": pair}
    table = {1: Token()}
    yield iter(table), {"dict": table}
    yield iter(table.items()), {"dict": table}
    yield iter(table.values()), {"dict": table}
    yield table.keys(), {"mapping": table}
    yield table.values(), {"mapping": table}
    yield table.items(), {"mapping": table}
    bag = {Token()}
    yield iter(bag), {"set": bag}
    chain = collections.deque([Token()])
    yield iter(chain), {"deque": chain}
    callee, source = Token.__init__, iter([1])
    yield map(callee, source), {"function": callee}
    yield filter(callee, source), {"function": callee, "iterator": source}
    yield enumerate(source), {"iterator": source}
    yield itertools.islice(source, 3), {"iterator": source}
    yield itertools.repeat(held), {"object": held}
    yield itertools.takewhile(callee, source), {"function": callee, "iterator": source}
    yield itertools.starmap(callee, source), {"function": callee, "iterator": source}
    yield itertools.groupby(source, callee), {"iterator": source, "key": callee}
    yield slice(held, pair, items), {"start": held, "stop": pair, "step": items}
    yield super(Token, held), {"__self__": held}
    documented = property(callee, None, None, "a text of its own")
    yield documented, {"fget": callee, "__doc__": documented.__doc__}

    def full(a, b=held, *, c: int = 5) -> None:
        """A text of its own."""
        return held

    full.attribute = Token()
    full.__module__ = "a name of a module"
    named = {name: getattr(full, name) for name in _FUNCTION if hasattr(full, name)}
    full.__name__ = named["__name__"] = "a_name_of_its_own"
    full.__qualname__ = named["__qualname__"] = "a.qualified_name"
    yield full, named
    code = full.__code__
    yield code, {"co_name": code.co_name, "co_consts": code.co_consts, "co_filename": code.co_filename}
    base = type("Base", (__import__("abc").ABC,), {})
    data = base._abc_impl
    yield data, {}
    stream = io.TextIOWrapper(io.BytesIO(b"x"), encoding="ascii")
    yield stream, {"encoding": stream.encoding, "errors": stream.errors}
    yield staticmethod(callee), {"__func__": callee}
    yield classmethod(callee), {"__func__": callee}
    yield weakref.ref(held, callee), {"__callback__": callee}
    local = threading.local()
    local.x = Token()
    dictionary = only(local, dict)
    dictionaries = [one for one in gc.get_referents(local) if type(one) is dict]
    yield local, {"<per thread>": next((one for one in dictionaries if one and "x" not in one), dictionary)}
    space = types.SimpleNamespace(x=Token())
    yield space, {"__dict__": space.__dict__}
    module = types.ModuleType("a_name_of_a_module")
    yield module, {"__dict__": module.__dict__, "__name__": module.__name__}
    default = collections.defaultdict(Token)
    yield default, {"default_factory": Token}
    ordered = collections.OrderedDict()
    ordered.x = Token()
    yield ordered, {"__dict__": ordered.__dict__}
    pattern = re.compile("(?P<a>x)")
    yield pattern, {"pattern": pattern.pattern, "groupindex": only(pattern, dict)}
    match = pattern.match("x")
    yield match, {"string": match.string, "re": pattern}
    raw = io.BytesIO(b"x")
    buffered = io.BufferedReader(raw)
    yield buffered, {"raw": raw}
    yield io.TextIOWrapper(buffered), {"buffer": buffered}
    yield operator.attrgetter("abc"), {}
    variable = contextvars.ContextVar("a name of a variable", default=held)
    yield variable, {"name": variable.name, "default": held}
    token = variable.set(pair)
    yield token, {"var": variable}
    context = contextvars.copy_context()
    tree = next((one for one in gc.get_referents(context) if "hamt" in type(one).__name__), None)
    yield context, {"<variables>": tree}
    root = gc.get_referents(tree)[0]
    yield tree, {"<root>": root}
    if hasattr(types, "GenericAlias"):
        yield types.GenericAlias(list, (int,)), {"__origin__": list}
    task.cancel()
    try:
        loop.run_until_complete(task)
    except BaseException:
        pass
    loop.close()


def fields():
    """Type name -> name of the field -> offset in bytes."""
    found = {}
    for holder, names in probes():
        kind = type(holder)
        size = max(kind.__basicsize__, 16)
        words = ctypes.string_at(id(holder), size)
        for name, value in names.items():
            if value is None:
                continue  # this version keeps it elsewhere
            offsets = [at for at in range(16, size, 8) if words[at : at + 8] == id(value).to_bytes(8, "little")]
            if len(offsets) == 1:
                spelled = ctypes.string_at(ctypes.c_void_p.from_address(id(kind) + 24).value).decode()
                if isinstance(holder, BaseException):
                    spelled = "BaseException"  # what all exceptions have
                found.setdefault(spelled, {})[name] = offsets[0]
            else:
                print("not found once:", kind.__name__, name, offsets, file=sys.stderr)
    return found


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
