"""What kind of leak a growing holder is, by how it is held and what it holds; and what to do about each kind."""

from __future__ import annotations

from collections.abc import Callable

from memtui.model.caches import BOUNDED_BY_CODE
from memtui.model.evidence import GrownHolder
from memtui.model.suspect import Category

ADVICE: dict[Category, str] = {
    "growing-collection": "Bound it or take out what is done with; if others own its elements, hold them weakly "
    "(weakref.WeakValueDictionary, WeakSet).",
    "listener": "Unsubscribe what is no longer needed, or hold the callbacks weakly (weakref.WeakMethod).",
    "closure": "The function keeps what it closes over: pass data in, or drop the function when it is done.",
    "unbounded-cache": "Give the cache a bound (lru_cache(maxsize=...), an expiry); on methods it also keeps every "
    "self: use functools.cached_property, or a cache for each instance.",
    "bounded-cache": "No leak: it stops at its bound. Lower the bound if that is too much.",
    "mutable-default": "A default argument is made once and shared by all calls: use None and make it inside.",
    "cycle": "Only the collector frees these: break the cycle (weakref), and see that gc is enabled, not frozen, and "
    "its thresholds are not too high.",
    "task": "Await or cancel the tasks, give them a timeout, and drop references to those that are done.",
    "traceback": "A kept exception keeps its frames and all their variables: log it and drop it, or call "
    "traceback.clear_frames().",
    "thread-local": "Clear it at the end of each request, or bound the number of threads.",
    "linked-structure": "Each element keeps the next one: cut it where it is no longer needed.",
    "type-creation": "Classes made while the program runs are kept by registries and by their bases: make each once.",
    "c-extension": "Nothing in Python refers to them: code written in C took a reference and did not give it back. "
    "Update the extension, or report it.",
    "native": "Memory outside of Python's objects: look for C code that does not free (memtui native), or buffers "
    "that are not closed.",
    "unknown": "See who holds them in the heap screen, and why they are not let go.",
}  # fmt: skip


_TASKS = (
    "_asyncio.Task", "asyncio.tasks.Task", "_asyncio.Future", "asyncio.futures.Future", "coroutine", "generator",
    "async_generator",
)  # fmt: skip
_BUILTIN_CONTAINERS = frozenset(
    ("dict", "list", "tuple", "set", "cell", "str", "int", "float", "bytes", "bytearray", "C memory",
     "collections.deque", "collections.OrderedDict", "collections.defaultdict", "collections.Counter",
     "functools._lru_list_elem", "weakref.ReferenceType", "weakref.KeyedRef")
)  # fmt: skip
SAVED_HOLDER = "gc.garbage"
"""Where the collector puts what it cannot, or is told not to, free."""
_MANY = 0.5


def categorise(holder: GrownHolder) -> Category:
    """The category of a holder: the first rule that fits."""
    return next((category for category, fits in _RULES if fits(holder)), "unknown")


def _gained(*names: str) -> Callable[[GrownHolder], bool]:
    return lambda holder: bool(main_types(holder).intersection(names))


def _labelled(*parts: str) -> Callable[[GrownHolder], bool]:
    return lambda holder: any(part in step.label for step in holder.chain for part in parts)


def _is_cache(holder: GrownHolder) -> bool:
    return any("lru_cache" in step.type for step in holder.chain) or "cache" in holder.path.rsplit(".", 1)[-1].lower()


def _makes_types(holder: GrownHolder) -> bool:
    return any(one.is_class and one.type in main_types(holder) for one in holder.types)


def _makes_closures(holder: GrownHolder) -> bool:
    return {"function", "cell"} <= main_types(holder) or _labelled("__closure__", "cell_contents")(holder)


_RULES: tuple[tuple[Category, Callable[[GrownHolder], bool]], ...] = (
    ("cycle", lambda holder: holder.path.startswith(SAVED_HOLDER)),
    ("traceback", _gained("traceback")),
    ("c-extension", lambda holder: holder.group == "unknown"),
    ("task", _gained(*_TASKS)),
    ("mutable-default", _labelled("__defaults__", "__kwdefaults__")),
    ("unbounded-cache", lambda holder: any("lru_cache" in step.type for step in holder.chain)),
    ("thread-local", lambda holder: _labelled("<per thread>")(holder) or "thread dict" in holder.root),
    ("type-creation", _makes_types),
    ("closure", _makes_closures),
    ("listener", _gained("method")),
    ("linked-structure", lambda holder: ")*" in holder.path and holder.elements is None),
    ("unbounded-cache", _is_cache),
    ("growing-collection", lambda holder: holder.elements is not None),
)
"""From what is surest to what is said of everything that holds much."""


def is_bounded(holder: GrownHolder) -> bool:
    """Whether it stops by itself: it says so, or is known to."""
    if holder.bound is not None and holder.elements is not None and holder.elements[-1] <= holder.bound:
        return True
    return holder.path.startswith(BOUNDED_BY_CODE)


def main_types(holder: GrownHolder) -> set[str]:
    """Types of which the holder gained about as many as it gained elements, or more."""
    gained = holder.elements[-1] - holder.elements[0] if holder.elements is not None else 0
    most = max((one.objects for one in holder.types), default=0)
    enough = _MANY * (min(gained, most) if gained > 0 else most)
    return {one.type for one in holder.types if one.objects >= enough}


def telling_type(holder: GrownHolder) -> str | None:
    """The type that says most about what was gained: the program's own before Python's containers and texts.

    Of several the type of the container's elements, then the one with most bytes.
    """
    many = [one for one in holder.types if one.type in main_types(holder)]
    own = [one for one in many if one.type not in _BUILTIN_CONTAINERS]
    qualified = [one for one in own if "." in one.type]
    for some in (qualified, own, many):
        if some:
            return max(some, key=lambda one: (one.is_element, one.size_bytes)).type
    return None
