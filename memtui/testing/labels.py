"""How one object of this process holds another, in the words of heap pictures: ``['key']``, ``[3]``, ``.name``.

Nothing here runs code of the objects: types are asked by ``type``, attributes are read through dicts and the slots of
C structures, and only texts and numbers are shown.
"""

from __future__ import annotations

import functools
import gc
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from memtui.testing.variables import variables

MAX_KEY_CHARACTERS = 40
_CONSTANTS = (None, True, False, Ellipsis, NotImplemented)
_MOST_ELEMENTS = 1_000_000
LruWrapper = type(functools.lru_cache(lambda: None))

_module_of = type.__dict__["__module__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_dict_of = type.__dict__["__dict__"].__get__
_mro_of = type.__dict__["__mro__"].__get__

_FIELDS: dict[type, tuple[str, ...]] = {
    types.FunctionType: ("__closure__", "__defaults__", "__kwdefaults__", "__dict__", "__globals__", "__code__"),
    types.MethodType: ("__self__", "__func__"),
    types.BuiltinFunctionType: ("__self__",),
    types.TracebackType: ("tb_frame", "tb_next"),
    types.GeneratorType: ("gi_yieldfrom",),
    types.CoroutineType: ("cr_await",),
    types.AsyncGeneratorType: ("ag_await",),
    types.FrameType: ("f_back", "f_globals"),
    functools.partial: ("func", "args", "keywords"),
    property: ("fget", "fset", "fdel"),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
}
_TASK_FIELDS = ("_coro", "_callbacks", "_result", "_exception", "_fut_waiter")
_ERROR_FIELDS = ("__traceback__", "__context__", "__cause__", "args")
_FRAME_FIELDS = {
    types.FrameType: "", types.GeneratorType: ".gi_frame", types.CoroutineType: ".cr_frame",
    types.AsyncGeneratorType: ".ag_frame",
}  # fmt: skip


def type_name(kind: type) -> str:
    """``module.qualname``, without the module for built-in types; runs no code of a metaclass."""
    try:
        module, name = _module_of(kind), _qualname_of(kind)
    except Exception:  # noqa: BLE001 - a type may be made by C code with a broken name
        return "?"
    return name if module == "builtins" or type(module) is not str else f"{module}.{name}"


def type_of(one: object) -> str:
    """The name of an object's type."""
    return type_name(type(one))


def show_key(key: object) -> str:
    """What stands between the brackets: the repr of texts and numbers, else the type in angle brackets."""
    kind = type(key)
    if kind in (str, bytes):
        assert isinstance(key, (str, bytes))
        text = repr(key if len(key) <= MAX_KEY_CHARACTERS else key[: MAX_KEY_CHARACTERS - 3])
        return text if len(key) <= MAX_KEY_CHARACTERS else f"{text[:-1]}...{text[-1]}"
    if any(key is one for one in _CONSTANTS):
        return str(key)
    if kind in (int, float):
        text = repr(key) if kind is float or abs(key) < 10**18 else "<int>"  # type: ignore[arg-type]
        return text
    if kind is tuple and 0 < len(key) <= 4:  # type: ignore[arg-type]
        shown = ", ".join(show_key(part) for part in key)  # type: ignore[attr-defined]
        return f"({shown})"
    return f"<{type_of(key).rsplit('.', 1)[-1]}>"


def attribute_dict(one: object) -> dict[str, Any] | None:
    """The dict of an instance's attributes; None where there is none or where its class computes one."""
    defined = next((_dict_of(kind)["__dict__"] for kind in _plain_mro(one) if "__dict__" in _dict_of(kind)), None)
    if type(defined) is not types.GetSetDescriptorType:
        return None
    found = defined.__get__(one)
    return found if type(found) is dict else None


def class_dict(kind: type) -> dict[str, Any]:
    """The dict behind ``__dict__`` of a class."""
    found = gc.get_referents(_dict_of(kind))
    return found[0] if found and type(found[0]) is dict else {}


def attributes(one: object) -> Iterator[tuple[str, Any]]:
    """Names and values of an object's attributes: those of its dict, then those in its slots."""
    yield from list((attribute_dict(one) or {}).items())
    for kind in _plain_mro(one):
        for name, member in list(_dict_of(kind).items()):
            if type(member) is types.MemberDescriptorType:
                try:
                    yield name, member.__get__(one)
                except AttributeError:  # an empty slot
                    continue


def _plain_mro(one: object) -> tuple[type, ...]:
    kinds: tuple[type, ...] = _mro_of(type(one))
    return kinds


def label(holder: object, held: object) -> str:
    """How ``holder`` holds ``held``; the type of ``held`` in angle brackets where that is not known."""
    for kind, find in _FINDERS:
        if issubclass(type(holder), kind):
            found = find(holder, held)
            if found:
                return found
    return _by_field(holder, held) or _by_attribute(holder, held) or f".<{type_of(held).rsplit('.', 1)[-1]}>"


def _in_dict(holder: Any, held: object) -> str:
    for key, value in list(dict.items(holder)):
        if value is held:
            return f"[{show_key(key)}]"
    for key in list(dict.keys(holder)):
        if key is held:
            return f"<key {show_key(key)}>"
    return ""


def _in_sequence(iterate: Callable[[Any], Iterator[Any]]) -> Callable[[Any, object], str]:
    def find(holder: Any, held: object) -> str:
        for index, value in enumerate(iterate(holder)):
            if value is held:
                return f"[{index}]"
            if index > _MOST_ELEMENTS:
                break
        return ""

    return find


def _in_set(_holder: object, held: object) -> str:
    return f"{{{show_key(held)}}}"


def _in_cell(_holder: object, _held: object) -> str:
    return ".cell_contents"


def _in_cache(_holder: object, held: object) -> str:
    return ".cache" if type(held) is dict else ""


def _in_class(holder: Any, held: object) -> str:
    if class_dict(holder) is held:
        return ".__dict__"
    return next((f".{name}" for name, value in list(_dict_of(holder).items()) if value is held), "")


def _in_module(holder: Any, held: object) -> str:
    return ".__dict__" if types.ModuleType.__getattribute__(holder, "__dict__") is held else ""


def _in_frame(holder: Any, held: object) -> str:
    field = _FRAME_FIELDS[type(holder)]
    frame = getattr(holder, field[1:]) if field else holder
    if frame is held:
        return field
    if frame is not None:
        for name, value in variables(frame):
            if value is held:
                return f"{field}.f_locals[{name!r}]"
        return f"{field}.<value stack>" if frame is not holder else ""
    return ""


_FINDERS: tuple[tuple[type, Callable[[Any, object], str]], ...] = (
    (dict, _in_dict),
    (list, _in_sequence(list.__iter__)),
    (tuple, _in_sequence(tuple.__iter__)),
    (deque, _in_sequence(deque.__iter__)),
    (set, _in_set),
    (frozenset, _in_set),
    (types.CellType, _in_cell),
    (LruWrapper, _in_cache),
    (type, _in_class),
    (types.ModuleType, _in_module),
    *((kind, _in_frame) for kind in _FRAME_FIELDS),
)


def _by_field(holder: object, held: object) -> str:
    names = _FIELDS.get(type(holder), ())
    if type_of(holder) in ("_asyncio.Task", "_asyncio.Future"):
        names = _TASK_FIELDS
    elif issubclass(type(holder), BaseException):
        names = _ERROR_FIELDS
    for name in names:
        try:
            value = object.__getattribute__(holder, name)
        except Exception:  # noqa: BLE001 - a field that this version does not have
            continue
        if value is held:
            return f".{name}"
    return ""


def _by_attribute(holder: object, held: object) -> str:
    if attribute_dict(holder) is held:
        return ".__dict__"
    for name, value in attributes(holder):
        if value is held:
            return f".{name}" if type(name) is str and name.isidentifier() else f".<{show_key(name)}>"
    return ""
