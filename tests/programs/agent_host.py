"""A target that takes the agent in as the injector does, works on its main thread, and tells a test about itself.

It is started with the number of a control socket, the folder of the agent's modules, and their names. The test sends one JSON list a
message, ["command", {arguments}], with at most one file descriptor beside it, and gets one JSON value back.
"""
import _thread
import array
import gc
import itertools
import json
import os
import select
import socket
import struct
import sys
import threading
import time
import tracemalloc
import warnings
import weakref

PACKAGE = "_memtui_agent"
NAMES = sys.argv[3].split(",")

control = socket.socket(fileno=int(sys.argv[1]))
folder = sys.argv[2]
kept = []
seen = []
touched = []
agents = []
released = []
own = []


class Node:
    pass


class Trap(type):
    """Every way of asking its classes something is noted."""

    @property
    def __module__(cls):
        touched.append("module")
        return "trap"

    def __hash__(cls):
        touched.append("hash")
        return 1

    def __eq__(cls, other):
        touched.append("eq")
        return True


class Loud:
    def __init__(self):
        self.me = self

    def __del__(self):
        threading.current_thread()
        raise ValueError("a finalizer that fails")


def load():
    package = type(sys)(PACKAGE)
    package.__path__ = []
    sys.modules[PACKAGE] = package
    for name in NAMES:
        module = type(sys)(PACKAGE + "." + name)
        module.__package__ = PACKAGE
        sys.modules[module.__name__] = module
        with open(os.path.join(folder, name + ".py")) as file:
            code = compile(file.read(), "<memtui-agent %s>" % name, "exec", 0, True)
        exec(code, module.__dict__)
        setattr(package, name, module)
    return package


def serve():
    try:
        agents[0].run()
    finally:
        del agents[:]
        for name in [one for one in sys.modules if one.split(".")[0] == PACKAGE]:
            del sys.modules[name]


def as_viewer(connection):
    """Its file, which from now on waits in reads as long as the bootstrap has it."""
    milliseconds = sys.modules[PACKAGE + ".core"]._LINGER_MILLISECONDS
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", 0, 1000 * milliseconds))
    return connection.detach()


def do_start(connection, **settings):
    package = load()
    for name, value in settings.items():
        setattr(package.wire, name, value)
    agents.append(package.core.Agent())
    agents[0].adopt(as_viewer(connection))
    _thread.start_new_thread(serve, ())


def do_adopt(connection):
    return bool(agents) and agents[0].adopt(as_viewer(connection))


def do_residue(connection):
    gc.collect()
    return {
        "modules": [name for name in sys.modules if name.startswith(PACKAGE)],
        "objects": [repr(one) for one in gc.get_objects() if is_of_agent(one)],
        "callbacks": len(gc.callbacks),
        "tracing": tracemalloc.is_tracing(),
        "frames": tracemalloc.get_traceback_limit(),
        "threads": len(threading._active),
        "agents": len(agents),
    }


def is_of_agent(one):
    name = getattr(one, "__module__", None) if type(one) in (type, type(load)) else type(one).__dict__.get("__module__")
    return isinstance(name, str) and name.startswith(PACKAGE)


def do_grow(connection, count, size):
    for _ in range(count):
        kept.append(bytearray(size))  # known line: grow
    return "ok"


def do_nodes(connection, count):
    kept.extend(Node() for _ in range(count))
    kept.append(Trap("Strange", (), {})())
    kept.append(type("Odd", (), {"__module__": 5})())


def do_touched(connection):
    return touched


def do_cycles(connection, count):
    for _ in range(count):
        one = []
        one.append(one)


class Shop:
    def __init__(self):
        self.orders = [Order(self), Order(self)]


class Order:
    __slots__ = ("__weakref__", "shop")

    def __init__(self, shop):
        self.shop = shop

    def touch(self, *arguments):
        touched.append("order")
        raise ValueError("code of an object was run")

    __repr__ = __str__ = __eq__ = __sizeof__ = __getattribute__ = touch
    __hash__ = None


class Finalized:
    def __init__(self):
        self.me = self

    def __del__(self):
        seen.append("finalizer")


def do_garbage(connection, count, never_freed=0):
    """Cycles of a few kinds that wait for the collector, which is switched off; and an object in gc.garbage."""
    gc.collect()
    gc.disable()
    for _ in range(count):
        Shop()
    one = Finalized()
    kept.append(weakref.ref(one, lambda reference: seen.append("callback")))
    for _ in range(never_freed):
        source = itertools.chain()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source.__setstate__((iter((source,)),))
    gc.garbage.append("ours")


def do_collector(connection):
    """The collector's state, how much of the garbage is there, and what was called."""
    names = [type(one).__name__ for one in gc.get_objects()]
    return {
        "flags": gc.get_debug(),
        "enabled": gc.isenabled(),
        "garbage": [one if type(one) is str else type(one).__name__ for one in gc.garbage],
        "shops": names.count("Shop"),
        "orders": names.count("Order"),
        "seen": seen,
        "touched": touched,
    }


def do_save_all(connection):
    """What a program does that was left in a debugging mode."""
    gc.set_debug(gc.DEBUG_SAVEALL)


def do_replace_garbage(connection):
    gc.garbage = ["another list"]


def do_churn(connection, threads):
    """Threads that make and collect garbage all the time."""
    gc.enable()
    gc.set_threshold(50, 2, 2)

    def churn():
        while True:
            Shop()

    for _ in range(threads):
        threading.Thread(target=churn, daemon=True).start()


def do_many_types(connection, count):
    gc.disable()
    for number in range(count):
        type("Type%d" % number, (), {})


def do_loud(connection):
    gc.disable()
    Loud()


def do_trace(connection, frames):
    tracemalloc.start(frames)


def do_limit_traces(connection):
    sys.modules[PACKAGE + ".core"].MAX_TRACES = 10


def do_untrace(connection):
    tracemalloc.stop()


def do_compare(connection, by):
    """Our grouping and tracemalloc's own of one and the same list of traces."""
    tracing = sys.modules[PACKAGE + ".tracing"]
    traces = tracemalloc._get_traces()
    ours = {key: tuple(group) for key, group in tracing.groups_of(tracing.sizes_by_traceback(list(traces)), by).items()}
    snapshot = tracemalloc.Snapshot(traces, tracemalloc.get_traceback_limit())
    theirs = {}
    for one in snapshot.statistics({"line": "lineno", "file": "filename"}.get(by, by)):
        key = tuple((frame.filename, frame.lineno) for frame in reversed(list(one.traceback)))
        theirs[key] = (one.size, one.count)
    return {"equal": ours == theirs, "groups": len(theirs), "bytes": sum(size for size, _ in theirs.values())}


def do_fork(connection):
    """What a forked child sees of the collector after two collections of its own."""
    gc.callbacks.append(lambda phase, info: seen.append(phase))
    reader, writer = os.pipe()
    del seen[:]
    child = os.fork()
    if not child:
        del seen[:]
        gc.collect()
        gc.collect()
        os.write(writer, json.dumps([seen, len(gc.callbacks)]).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as file:
        answer = json.loads(file.read())
    os.waitpid(child, 0)
    gc.callbacks.pop()
    return answer


def do_leave_child(connection):
    """Fork a child that lives as long as this program, with copies of all its files."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    kept.append(writer)


def do_patch(connection):
    """What gevent does to the standard library, without gevent."""
    saved = {("select", "poll"): select.poll, ("time", "sleep"): time.sleep}
    gevent = type(sys)("gevent.monkey")
    gevent.get_original = lambda module, name: saved.get((module, name)) or getattr(sys.modules[module], name)
    sys.modules["gevent.monkey"] = gevent
    del select.poll

    def sleep(seconds):
        raise RuntimeError("the patched sleep was called")

    time.sleep = sleep


def do_hooks(connection, names):
    """Register clean-up hooks where memtui's Python interface would have them."""
    module = type(sys)("memtui.api.hooks")
    module.HOOKS = tuple((name, "warning" if name == "free" else "critical", globals()["hook_" + name]) for name in names)
    module.RUNNING = []
    sys.modules[module.__name__] = module


def do_set_hooks(connection, value):
    """Something else in that place."""
    sys.modules["memtui.api.hooks"].HOOKS = value


def do_own_memtui(connection):
    """The collectors of a memtui that the program itself imported."""
    package = "memtui.agent"
    for name in ("memtui", package):
        sys.modules[name] = type(sys)(name)
        sys.modules[name].__path__ = []
    for name in NAMES[: NAMES.index("tracing") + 1]:
        module = type(sys)(package + "." + name)
        module.__package__ = package
        sys.modules[module.__name__] = module
        with open(os.path.join(folder, name + ".py")) as file:
            exec(compile(file.read(), name, "exec", 0, True), module.__dict__)
    own.append(sys.modules[package + ".tracing"].Tracing(sys.modules[package + ".pauses"].Held()))


def do_own_trace(connection, on):
    return own[0].start("the program", 1) if on else own[0].release("the program")


def hook_free():
    threading.current_thread()
    kept.clear()


def hook_fail():
    raise ValueError("the hook's own trouble")


def hook_leave():
    raise SystemExit(3)


def hook_hang():
    while not released:
        time.sleep(0.01)


def do_release_hook(connection):
    released.append(True)


def do_exit(connection):
    raise SystemExit(0)


def receive():
    size = array.array("i").itemsize
    data, ancillary, _, _ = control.recvmsg(65536, socket.CMSG_SPACE(size))
    numbers = array.array("i")
    for _, _, one in ancillary:
        numbers.frombytes(one[:size])
    return data, socket.socket(fileno=numbers[0]) if numbers else None


def main():
    table = []
    while True:
        table.append({len(table): [0.5]})  # the work of this program
        if len(table) > 500:
            table.clear()
        if not select.select([control], [], [], 0.0005)[0]:
            continue
        data, connection = receive()
        if not data:
            return
        name, arguments = json.loads(data)
        answer = globals()["do_" + name](connection, **arguments)
        connection = None
        control.send(json.dumps(answer).encode())


main()
