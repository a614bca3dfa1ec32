"""Ways in which programs keep objects: each keeps COUNT of a type of its own. Python 3.8 syntax.

    python heap_leaks.py [COUNT]
"""
import asyncio
import collections
import contextvars
import functools
import itertools
import logging
import queue
import sys
import threading
import types
import weakref

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 20
for _name in (
    "InDict InClass InCache Listener InClosure InTask InTraceback InThread InDeque Linked InFrame InSlots Slotted "
    "Receiver Record InContext Finalized InCoroutine InException Registered Addressed InGenerator InPartial Ordered "
    "InSet Deep Nested Queued InSubDict InSubList Attached InDefault InKeyword InProperty Waiting InFuture InIterator "
    "Iterated Chained InStatic InBounded InView InNamespace InMetaclass InAnnotation InAsyncGenerator Awaited Locked "
    "InTimer InCell InMapping InDefaults InWeakKey InChainMap Keyed"
).split():
    globals()[_name] = type(_name, (), {})


HISTORY = {"pages": [InDict() for _ in range(COUNT)]}


class Registry:
    items = {}


for _at in range(COUNT):
    Registry.items[_at] = InClass()


class Service:
    @functools.lru_cache(maxsize=None)
    def get(self, key):
        return InCache()

    @functools.lru_cache(maxsize=10000)
    def bounded(self, key):
        return InBounded()


service = Service()
for _at in range(COUNT):
    service.get(_at)
    service.bounded(_at)


class Listener:
    def on(self, event):
        pass


class Bus:
    def __init__(self):
        self.listeners = []


bus = Bus()
bus.listeners.extend(Listener().on for _ in range(COUNT))


def make_handler():
    kept = []

    def handler(one):
        kept.append(one)

    return handler


handler = make_handler()
for _at in range(COUNT):
    handler(InClosure())

TASKS = set()


async def worker(mine):
    await asyncio.sleep(3600)


async def waiter(mine, future):
    await future


async def serve():
    for _ in range(COUNT):
        TASKS.add(asyncio.get_running_loop().create_task(worker(InTask())))
    await asyncio.sleep(0.01)


loop = asyncio.new_event_loop()
loop.run_until_complete(serve())


def fail(number):
    big = InTraceback()
    raise ValueError(number)


ERRORS = []
for _at in range(COUNT):
    try:
        fail(_at)
    except ValueError as _error:
        ERRORS.append(_error)

local = threading.local()
local.buffer = [InThread() for _ in range(COUNT)]
WINDOW = collections.deque(InDeque() for _ in range(COUNT))


class Linked:
    def __init__(self, following):
        self.next = following


HEAD = None
for _at in range(COUNT):
    HEAD = Linked(HEAD)

CACHE = {}
for _at in range(COUNT):
    CACHE["key%d" % _at] = b"y" * 5001

ready = threading.Event()


def in_thread():
    mine = [InFrame() for _ in range(COUNT)]
    ready.set()
    threading.Event().wait()
    return mine


threading.Thread(target=in_thread, daemon=True).start()
ready.wait()


class Slotted:
    __slots__ = ("value", "__weakref__")


SLOTS = []
for _at in range(COUNT):
    _slotted = Slotted()
    _slotted.value = InSlots()
    SLOTS.append(_slotted)
WEAK = weakref.WeakValueDictionary(first=SLOTS[0])


# From here on: what the laboratory did not have.
class Signal:
    """Like Django's: weak references to receivers, but one dict that holds them all."""

    def __init__(self):
        self.receivers, self.strong = [], {}

    def connect(self, receiver):
        self.receivers.append((id(receiver), weakref.ref(receiver)))
        self.strong[id(receiver)] = receiver


signal = Signal()
for _at in range(COUNT):
    signal.connect(Receiver())


class Capturing(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


logger = logging.getLogger("shop.orders")
logger.propagate = False
logger.addHandler(Capturing())
for _at in range(COUNT):
    logger.error("failed: %s", Record())

request_state = contextvars.ContextVar("request_state")
CONTEXTS = []
for _at in range(COUNT):
    _context = contextvars.copy_context()
    _context.run(request_state.set, InContext())
    CONTEXTS.append(_context)


def forget(one):
    pass


WATCHED = []
for _at in range(COUNT):
    _watched = Registry()
    WATCHED.append(_watched)
    weakref.finalize(_watched, forget, Finalized())

NEVER_AWAITED = [worker(InCoroutine()) for _ in range(COUNT)]
for _at in NEVER_AWAITED:
    _at.send(None) if False else None


class Failures:
    last = None


def outer(one):
    local_value = one
    inner()


def inner():
    raise KeyError("inner")


try:
    outer([InException() for _ in range(COUNT)])
except KeyError as _error:
    Failures.last = _error


class Plugin(type):
    known = {}

    def __init__(cls, name, bases, space):
        super().__init__(name, bases, space)
        Plugin.known[name] = cls


for _at in range(COUNT):
    Plugin("Plugin%d" % _at, (), {"state": Registered()})

BY_ADDRESS = {}
for _at in range(COUNT):
    _one = Addressed()
    BY_ADDRESS[id(_one)] = _one


def produce():
    rows = [InGenerator() for _ in range(COUNT)]
    for row in rows:
        yield row


half_way = produce()
next(half_way)
CALLBACKS = [functools.partial(print, InPartial(), end=InKeyword()) for _ in range(COUNT)]
RECENT = collections.OrderedDict((number, Ordered()) for number in range(COUNT))
GROUPS = collections.defaultdict(set)
for _at in range(COUNT):
    GROUPS["g%d" % (_at % 3)].add(InSet())
FACTORY = collections.defaultdict(functools.partial(list, InDefault()))


class App:
    def __init__(self):
        self.store = types.SimpleNamespace()
        self.store.index = Bus()
        self.store.index.rows = [Deep() for _ in range(COUNT)]


app = App()


def level_one():
    held = [Nested() for _ in range(COUNT)]

    def level_two():
        def level_three():
            return held

        return level_three

    return level_two


nested = level_one()


async def fill():
    inbox = asyncio.Queue()
    for _ in range(COUNT):
        inbox.put_nowait(Queued())
    return inbox


inbox = loop.run_until_complete(fill())


class Table(dict):
    pass


class Rows(list):
    pass


TABLE, ROWS = Table(), Rows()
TABLE.extra = [InSubDict() for _ in range(COUNT)]
TABLE["x"] = Keyed()
ROWS.extra = [InSubList() for _ in range(COUNT)]


def attached():
    pass


attached.calls = [Attached() for _ in range(COUNT)]
THREAD_QUEUE = queue.Queue()
for _at in range(COUNT):
    THREAD_QUEUE.put(Waiting())
FUTURES = []


async def futures():
    for _ in range(COUNT):
        future = asyncio.get_running_loop().create_future()
        future.set_result(InFuture())
        FUTURES.append(future)
    awaited = asyncio.get_running_loop().create_future()
    for _ in range(COUNT):
        awaited.add_done_callback(functools.partial(print, Awaited()))
    return awaited


pending = loop.run_until_complete(futures())
ITERATOR = iter([InIterator() for _ in range(COUNT)])
MAPPED = map(str, [Iterated() for _ in range(COUNT)])
CHAINED = itertools.chain([Chained() for _ in range(COUNT)], [])


class Static:
    @staticmethod
    def helper(state=[InStatic() for _ in range(COUNT)]):
        return state

    @property
    def wide(self, state=[InProperty() for _ in range(COUNT)]):
        return state


VIEW = types.MappingProxyType({"rows": [InView() for _ in range(COUNT)]})
SPACE = types.SimpleNamespace(rows=[InNamespace() for _ in range(COUNT)])


def defaults(one, rows=[InDefaults() for _ in range(COUNT)]):
    return rows


async def stream():
    rows = [InAsyncGenerator() for _ in range(COUNT)]
    for row in rows:
        yield row


async def start_stream():
    made = stream()
    await made.__anext__()
    return made


streaming = loop.run_until_complete(start_stream())


class Job(threading.Thread):
    pass


timer = threading.Timer(3600, print, args=([InTimer() for _ in range(COUNT)],))
timer.daemon = True
timer.start()
KEYS = [Registry() for _ in range(COUNT)]
SIDE = weakref.WeakKeyDictionary((key, InWeakKey()) for key in KEYS)
SCOPES = collections.ChainMap({}, {"rows": [InChainMap() for _ in range(COUNT)]})
print("ready", flush=True)
sys.stdin.read()
