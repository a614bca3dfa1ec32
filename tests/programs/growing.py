"""Programs that grow in one way each: ``growing.py NAME``; each line on stdin makes it go on, answered by "ok"."""

import asyncio
import collections
import contextvars
import ctypes
import functools
import gc
import itertools
import logging
import queue
import sys
import threading
import warnings
import weakref

numbers = iter(range(10**9))


class Request:
    def __init__(self, number):
        self.number = number
        self.text = "x" * 200 + str(number)

    def handle(self):
        return self.number


def many(step):
    def grow(count):
        for _ in range(count):
            step(next(numbers))

    return grow


REGISTRY = []
CACHE = {}
BUS = {"event": []}
CALLBACKS = []
ERRORS = []
GENERATORS = collections.deque()
LATEST = collections.deque(maxlen=10**5)
PENDING = set()


def grow_list(number):
    REGISTRY.append(Request(number))


def grow_dict(number):
    CACHE[f"key{number}"] = b"v" * 300


def grow_listener(number):
    BUS["event"].append(Request(number).handle)


class Service:
    @functools.lru_cache(maxsize=None)  # noqa: B019, UP033 - that is the leak
    def get(self, key):
        return "r" * 100 + str(key)


SERVICE = Service()


def grow_lru(number):
    SERVICE.get(number)


@functools.lru_cache(maxsize=100000)
def bounded_lookup(key):
    return "r" * 100 + str(key)


def fill_lru(number):
    bounded_lookup(number)


def grow_closure(number):
    kept = "y" * 300 + str(number)

    def callback():
        return kept

    CALLBACKS.append(callback)


def grow_cycle(number):
    if gc.isenabled():
        gc.disable()
    one = Request(number)
    one.me = one


def grow_saved(count):
    """A debugging flag that was left on: the collector frees nothing."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    for _ in range(count):
        one = Request(next(numbers))
        one.me = one
        del one
    gc.collect()


def grow_never_freed(number):
    """A cycle of types written in C, none of which says how to clear it."""
    source = itertools.chain()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source.__setstate__((iter((source, Request(number))),))
    if number % 100 == 0:
        gc.collect()


class Unprintable:
    """Its code never returns."""

    def __init__(self, number):
        self.number = number
        self.name = "order %d" % number
        self.price = number + 0.5
        self.paid = number % 2 == 0
        self.items = [number, None]

    def __repr__(self):
        while True:
            pass

    __str__ = __sizeof__ = __hash__ = __len__ = __repr__


def grow_unprintable(number):
    REGISTRY.append(Unprintable(number))


asked, done = queue.Queue(), threading.Event()


class Worker(threading.Thread):
    def run(self):
        local = threading.local()
        local.items = []
        while True:
            for _ in range(asked.get()):
                local.items.append(Request(next(numbers)))
            done.set()


def grow_thread_local(count):
    if not any(isinstance(one, Worker) for one in threading.enumerate()):
        Worker(daemon=True).start()
    done.clear()
    asked.put(count)
    done.wait()


loop = None


def grow_task(count):
    global loop
    loop = loop or asyncio.new_event_loop()

    async def add():
        for _ in range(count):
            PENDING.add(asyncio.ensure_future(asyncio.Event().wait()))
        await asyncio.sleep(0)

    loop.run_until_complete(add())


class Shelf:
    items = []


def grow_class(number):
    Shelf.items.append(Request(number))


def collect(one, found=[]):  # noqa: B006 - that is the leak
    found.append(one)


def grow_default(number):
    collect(Request(number))


c_malloc, c_memset = ctypes.CDLL(None).malloc, ctypes.CDLL(None).memset
c_malloc.restype, c_malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
c_memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]


def grow_native(number):
    c_memset(c_malloc(8000), 1, 8000)


def grow_errors(number):
    try:
        int("z" + str(number))
    except ValueError as error:
        ERRORS.append(error)


def grow_handlers(number):
    logging.getLogger("app").addHandler(logging.StreamHandler())


def grow_generators(number):
    def steps():
        kept = Request(number)
        yield kept
        yield 2

    one = steps()
    next(one)
    GENERATORS.append(one)


class Node:
    __slots__ = ("next", "value")


HEAD = Node()
tail = [HEAD]


def grow_linked(number):
    one = Node()
    one.value = "v" * 100 + str(number)
    tail[0].next = one
    tail[0] = one


def fill_deque(number):
    LATEST.append(Request(number))


def grow_nothing(number):
    Request(number)


class Hub:
    def __init__(self):
        self.sessions = {}


HUB = Hub()


def grow_attribute(number):
    HUB.sessions[number] = Request(number)


class Signal:
    """Keeps receivers as Django's does: by id, strongly when asked to."""

    def __init__(self):
        self.receivers = []

    def connect(self, receiver):
        self.receivers.append(((id(receiver), None), receiver))


SAVED = Signal()


def grow_signal(number):
    SAVED.connect(Request(number).handle)


variable = contextvars.ContextVar("history", default=None)


def grow_context(number):
    if variable.get() is None:
        variable.set([])
    variable.get().append(Request(number))


WATCHED = []


def grow_weakref_callbacks(number):
    one = Request(number)
    REFERENCES.append(weakref.ref(WATCHED_ONE, lambda reference, kept=one: None))


WATCHED_ONE = Request(0)
REFERENCES = []
COROUTINES = []


async def never_run(one):
    return one


def grow_coroutines(number):
    COROUTINES.append(never_run(Request(number)))


FAILED = {}


def grow_frames(number):
    big = Request(number)
    try:
        raise KeyError(big.number)
    except KeyError as error:
        FAILED[number] = error


class Registering(type):
    known = []

    def __new__(cls, name, bases, body):
        made = super().__new__(cls, name, bases, body)
        cls.known.append(made)
        return made


def grow_metaclass(number):
    Registering(f"Made{number}", (), {"text": "t" * 300})


BY_ID = {}


def grow_by_id(number):
    one = Request(number)
    BY_ID[id(one)] = one


STARTED = []


def half_way(number):
    kept = Request(number)
    yield kept
    yield Request(number)


def grow_half_way(number):
    one = half_way(number)
    next(one)
    STARTED.append(one)


def grow_partial(number):
    CALLBACKS.append(functools.partial(print, Request(number)))


class Cache:
    """A cache that bounds itself, as those of cachetools do."""

    def __init__(self, maxsize):
        self.maxsize = maxsize
        self.entries = {}

    def add(self, key, value):
        if len(self.entries) < self.maxsize:
            self.entries[key] = value


LIMITED = Cache(10**5)


def fill_cache(number):
    LIMITED.add(number, Request(number))


WHOLE = {"saved": grow_saved, "thread_local": grow_thread_local, "task": grow_task}


def main():
    name = sys.argv[1]
    grow = WHOLE.get(name) or many(globals()[name if name.startswith("fill") else "grow_" + name])
    grow(50)
    print("ready", flush=True)
    for line in sys.stdin:
        grow(int(line))
        print("ok", flush=True)


if __name__ == "__main__":
    main()
