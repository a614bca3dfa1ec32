"""Builds a heap of many kinds of objects and says from within what is in it: Python 3.8 syntax.

    python heap_truth.py FILE [OBJECTS] [MODULE...]

Each line on stdin writes a pickle to FILE: addresses, types and ``sys.getsizeof`` of all objects that can be reached
from those of the collector, and the references of some. What the question itself makes is left out.
"""
import abc
import array
import asyncio
import collections
import contextvars
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import gc
import importlib
import io
import itertools
import pickle
import queue
import random
import re
import struct
import sys
import threading
import types
import typing
import weakref

SAMPLE = 20000


class Node:
    def __init__(self, number):
        self.number, self.name, self.other = number, "node%d" % number, None


class Slots:
    __slots__ = ("a", "b", "__weakref__")

    def __init__(self, a, b):
        self.a, self.b = a, b


class MoreSlots(Slots):
    __slots__ = ("c",)


class Both(Slots):
    def __init__(self, a, b):
        Slots.__init__(self, a, b)
        self.d = [a]


class Text(str):
    pass


class Number(int):
    pass


class Data(bytes):
    pass


class Rows(list):
    pass


class Table(dict):
    pass


class Bag(set):
    pass


class Frozen(frozenset):
    pass


class Pair(tuple):
    pass


class Real(float):
    pass


class Ring(collections.deque):
    pass


class Sorted(collections.OrderedDict):
    pass


class Failure(Exception):
    pass


class Meta(type):
    registry = {}

    def __new__(cls, name, bases, space):
        made = super().__new__(cls, name, bases, space)
        cls.registry[name] = made
        return made


class Model(metaclass=Meta):
    pass


class Colour(enum.Enum):
    RED, GREEN = 1, 2


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self):
        """Nothing."""


Named = collections.namedtuple("Named", "first second")


@dataclasses.dataclass
class Record:
    key: int
    rows: list = dataclasses.field(default_factory=list)


class Many:
    """More attributes than a table shared with others has room for."""

    def __init__(self, count):
        for number in range(count):
            setattr(self, "attribute%d" % number, [number])


class Odd:
    """Attributes in another order each time, and some gone again."""

    def __init__(self, number):
        for letter in random.Random(number).sample("abcdefgh", 5):
            setattr(self, letter, number * 1.5)
        if number % 3 == 0:
            del self.__dict__[next(iter(self.__dict__))]


def yielding(value):
    kept = [value]
    for at in itertools.count():
        yield at, kept


async def waiting(value):
    kept = [value]
    await Never()
    return kept


async def producing(value):
    kept = [value]
    yield kept
    await Never()


class Never:
    def __await__(self):
        yield


def started(value):
    made = yielding(value)
    next(made)
    return made


def finished(value):
    made = (one for one in [value])
    list(made)
    return made


def awaiting(value):
    made = waiting(value)
    made.send(None)
    return made


def failing(value):
    try:
        raise Failure([value])
    except Failure as error:
        return error


@functools.lru_cache(maxsize=100)
def cached(value):
    return [value]


@functools.lru_cache(maxsize=None)
def kept_for_ever(value):
    return [value]


def closure(value):
    def inner():
        return value

    return inner


def keyed_by_address(count):
    """The hashes of these keys are addresses of objects, which they do not hold."""
    made = [Node(number + 5000) for number in range(count)]
    return made, {id(one): "x%d" % number for number, one in enumerate(made)}


def popped(count):
    made = {"p%d" % number: [number] for number in range(count)}
    for number in range(0, count, 3):
        del made["p%d" % number]
    return made


def classes(number):
    """One of each kind of object that is rather large."""
    return [
        type("Made%d" % number, (Slots,), {"__slots__": ("x", "y"), "k": [number]}),
        type("Plain%d" % number, (), {"method": lambda self: number}),
        Meta("Model%d" % number, (Model,), {}),
    ]


def plain(number):
    """One of each kind of object of which programs have many."""
    node = Node(number + 1000)
    node.other = Slots(float(number), (number, node.name))
    made = [
        node, MoreSlots(1, [number]), Both(number, None), Text("text%d" % number), Number(number << 40),
        Number(7), Data(b"data%d" % number), Rows([number, [number]]), Table({number: [number]}), Bag([number, "b"]),
        Frozen(["f%d" % number]), Pair((number, [number])), Real(number), Ring([number], 4), Sorted(a=[number]),
        "\xe9t\xe9%d" % number, "\u0444%d" % number, "\U0001F600%d" % number, "a" * (number % 2000),
        number << (number % 300), -number << 70, b"x" * (number % 100), bytearray(number % 100), complex(number, 1),
        {number: [number]}, {"a%d" % number: number, "b": []}, {}, [], set(), {number, "s%d" % number},
        set(range(number % 50)), frozenset([number, (number,)]), (number,), (Node,), (Slots, number), (None,),
        collections.deque([number] * (number % 150)), collections.deque(maxlen=3), collections.Counter("abc"),
        collections.defaultdict(list, {number: [number]}), collections.OrderedDict([(number, [number])]),
        Named(number, [number]), Record(number), Colour.RED, range(number, number + 5), slice(number, [number]),
        closure([number]), functools.partial(closure, [number], key=number), node.__init__, [].append,
        weakref.ref(node), weakref.proxy(node), weakref.ref(node, closure(number)), iter([number]), iter((number,)),
        iter({number: 1}), map(str, [number]), filter(None, [number]), enumerate([number]), zip([number], "a"),
        itertools.chain([number], "b"), itertools.islice([number], 1), reversed([number]), itertools.count(number),
        started(number), finished(number), yielding(number), property(closure(number)), staticmethod(closure(number)),
        types.SimpleNamespace(value=[number]), types.MappingProxyType({number: 1}), types.MethodType(closure, node),
        datetime.datetime(2020, 1, 1), decimal.Decimal(number), fractions.Fraction(number, 7),
        array.array("i", range(number % 20)), memoryview(b"m%d" % number), Odd(number), vars(Node(number)),
        {"split": vars(Odd(number))}, io.StringIO("text"), io.BytesIO(b"bytes%d" % number),
    ]  # fmt: skip
    return made


def rare(number):
    """One of each kind of which programs have few."""
    context = contextvars.copy_context()
    context.run(VARIABLE.set, [number])
    local = threading.local()
    local.value = [number]
    weak_values = weakref.WeakValueDictionary()
    weak_keys = weakref.WeakKeyDictionary()
    node = Node(number)
    weak_values["n"], weak_keys[node] = node, [number]
    inbox = queue.Queue()
    inbox.put([number])
    return [
        *classes(number), awaiting(number), producing(number), failing(number), context, local, weak_values, weak_keys,
        node, inbox, threading.Lock(), threading.RLock(), threading.Event(), threading.Condition(), Many(60), Many(20),
        *keyed_by_address(20), popped(30), popped(300), re.compile("a%d(b)" % number).match("a%db" % number),
        struct.Struct("ii"), typing.List[Node], typing.Optional[Slots], asyncio.Event() if number else None,
        weakref.finalize(node, closure(number)), random.Random(number), memoryview(bytearray(number)).cast("B"),
        {number_: number_ for number_ in range(1000)}, set(range(1000)), list(range(1000)), compile("a=1", "f", "exec"),
        types.ModuleType("made%d" % number), sys._getframe(), array.array("d", [1.0] * number),
    ]  # fmt: skip


VARIABLE = contextvars.ContextVar("variable", default=["default"])
KEPT = []


def sleeping(ready):
    mine = [Node(77)]
    ready.set()
    threading.Event().wait()
    return mine


def build(count):
    for number in range(100):
        cached(number)
        kept_for_ever("k%d" % number)
    KEPT.extend(rare(number) for number in range(20))
    per_round = len(plain(0)) * 2
    KEPT.extend(plain(number) for number in range(max(1, count // per_round)))
    ready = threading.Event()
    threading.Thread(target=sleeping, args=(ready,), daemon=True).start()
    ready.wait()


def parts(one):
    """What the collector is not told: keys, and fields of code, classes and descriptors."""
    kind = type(one)
    if issubclass(kind, dict):
        return list(dict.keys(one))
    if kind is types.CodeType:
        names = [*one.co_varnames, *one.co_cellvars, *one.co_freevars, *([one.co_qualname] if NEW else [])]
        return [one.co_consts, one.co_names, one.co_filename, one.co_name, *names]
    if kind in DESCRIPTORS:
        return [one.__name__]
    if kind is types.BuiltinFunctionType:
        return [one.__module__]
    if issubclass(kind, type) and one.__flags__ & HEAP_TYPE:
        return [type.__dict__["__name__"].__get__(one), type.__dict__["__qualname__"].__get__(one)]
    return []


HEAP_TYPE = 1 << 9
NEW = sys.version_info >= (3, 11)
DESCRIPTORS = (
    types.MemberDescriptorType, types.GetSetDescriptorType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)  # fmt: skip


def closure_of_all(frames):
    """Address -> object."""
    seen, referents = {}, gc.get_referents
    fresh = gc.get_objects()
    mine = {id(seen), id(fresh), *map(id, frames)}
    while fresh:
        found = []
        mine.add(id(found))
        for one in fresh:
            at = id(one)
            if at in seen or at in mine:
                continue
            seen[at] = one
            held = referents(one)
            mine.add(id(held))
            found += held
            found += parts(one)
        fresh = found
        mine.add(id(fresh))
    return seen, mine


def tell(path):
    frame, frames = sys._getframe(), []
    while frame and frame.f_code is not BODY:
        frames.append(frame)
        frame = frame.f_back
    seen, mine = closure_of_all(frames + [frames])
    for one in mine:
        seen.pop(one, None)
    addresses, sizes, kinds, names = array.array("Q"), array.array("Q"), array.array("Q"), {}
    for at, one in seen.items():
        kind = type(one)
        addresses.append(at)
        kinds.append(id(kind))
        names[id(kind)] = "%s.%s" % (kind.__module__, kind.__qualname__)
        try:
            sizes.append(sys.getsizeof(one))
        except Exception:
            sizes.append(0)
    chosen = random.Random(1).sample(list(seen), min(SAMPLE, len(seen)))
    edges = {at: [id(one) for one in gc.get_referents(seen[at])] for at in chosen}
    told = {"addresses": addresses, "sizes": sizes, "kinds": kinds, "names": names, "edges": edges}
    with open(path, "wb") as file:
        pickle.dump({key: one.tobytes() if isinstance(one, array.array) else one for key, one in told.items()}, file, 4)


BODY = sys._getframe().f_code
if __name__ == "__main__":
    for name in sys.argv[3:]:
        importlib.import_module(name)
    build(int(sys.argv[2]) if len(sys.argv) > 2 else 10000)
    warm = io.BytesIO()
    pickle.dump({"a": b"x", 1: [1]}, warm, 4)
    tell(sys.argv[1])  # once, so that what it makes for good is there already
    gc.collect()
    gc.disable()
    print("ready", flush=True)
    for line in sys.stdin:
        tell(sys.argv[1])
        print("told", flush=True)
