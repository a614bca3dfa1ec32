"""Typed values to JSON and back: dataclasses, enumerations, tuples and unions, by their type hints.

A dataclass becomes the list of its field values. Which fields these are is told by a table (``fields``) that travels
with the data: a reader takes what it knows by name, ignores what it does not, and fills in defaults for what is
missing, so that files outlive changes of the classes. Where a hint allows several dataclasses, the list begins with
the name of the class. Nothing is ever unpickled; every value is checked against its hint.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, Union

from memtui.session.recording.tables import KEYS, Tables

Tree = Any
"""What ``json`` writes: lists, dictionaries, texts, numbers, None."""
_PLAIN = (str, int, float, bool)
_Coder = Callable[[Any], Any]


class BadTreeError(ValueError):
    """A tree that is no value of the type that was asked for. The text says what was met."""


class Codec:
    """Turns values of any hint into trees and back.

    ``fields``: names of the fields in a tree, by the name of their class; None: those that the classes have now.
    Tables of rows are written as differences to earlier ones (:mod:`memtui.session.recording.tables`): a reader must
    be given the trees in the order in which they were made, beginning after a :meth:`reset` of both sides.
    """

    def __init__(self, fields: Mapping[str, Sequence[str]] | None = None) -> None:
        self._fields = fields
        self._encoders: dict[Any, _Coder] = {}
        self._decoders: dict[Any, _Coder] = {}
        self._tables = Tables()

    def reset(self) -> None:
        """Forget the tables seen so far."""
        self._tables = Tables()

    def encode(self, value: Any, hint: Any) -> Tree:
        """The tree of ``value``, which is of the type ``hint``. Raises TypeError for a hint that has no trees."""
        return self._encoder(hint)(value)

    def decode(self, tree: Tree, hint: Any) -> Any:
        """The value of a tree. Raises :class:`BadTreeError`."""
        try:
            return self._decoder(hint)(tree)
        except BadTreeError:
            raise
        except (LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise BadTreeError(f"it is no {getattr(hint, '__name__', 'value')}: {error}") from error

    def field_table(self, hint: Any) -> dict[str, list[str]]:
        """The fields of every dataclass that can be met below ``hint``, to be given to the codec of a reader."""
        return {one.__name__: [field.name for field in dataclasses.fields(one)] for one in _classes_below(hint)}

    # -- values to trees -----------------------------------------------------------------------------------------

    def _encoder(self, hint: Any) -> _Coder:
        found = self._encoders.get(hint)
        if found is None:
            # Entered before it is made, because a class may contain itself.
            self._encoders[hint] = lambda value: self._encoders[hint](value)
            found = self._encoders[hint] = self._make_encoder(hint)
        return found

    def _make_encoder(self, hint: Any) -> _Coder:
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if hint in _PLAIN or hint is type(None) or origin is Literal:
            return _same
        if origin in (Union, types.UnionType):
            return self._encode_union(inner)
        if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
            return self._encode_rows(inner[0])
        if origin is tuple:
            each = [self._encoder(one) for one in inner]
            return lambda value: [coder(part) for coder, part in zip(each, value, strict=True)]
        if isinstance(hint, type) and issubclass(hint, Enum):
            return lambda value: value.value
        if dataclasses.is_dataclass(hint):
            parts = [(name, self._encoder(kind)) for name, kind in _hints(hint).items()]
            return lambda value: [coder(getattr(value, name)) for name, coder in parts]
        raise TypeError(f"{hint!r} cannot be recorded")

    def _encode_rows(self, row: Any) -> _Coder:
        one = self._encoder(row)
        if row not in KEYS:
            return lambda value: [one(part) for part in value]
        return lambda value: self._tables.encode(row, value, one)

    def _encode_union(self, members: tuple[Any, ...]) -> _Coder:
        others = [one for one in members if one is not type(None)]
        if len(others) == 1:
            one = self._encoder(others[0])
            return lambda value: None if value is None else one(value)
        if not any(dataclasses.is_dataclass(each) for each in others):
            for each in others:
                if each not in _PLAIN:
                    raise TypeError(f"a union with {each!r} cannot be recorded")
            return _same
        coders = {each: self._encoder(each) for each in others}
        if not all(dataclasses.is_dataclass(each) for each in others):
            raise TypeError(f"a union of dataclasses and others cannot be recorded: {members!r}")
        return lambda value: None if value is None else [type(value).__name__, *coders[type(value)](value)]

    # -- trees to values -----------------------------------------------------------------------------------------

    def _decoder(self, hint: Any) -> _Coder:
        found = self._decoders.get(hint)
        if found is None:
            self._decoders[hint] = lambda tree: self._decoders[hint](tree)
            found = self._decoders[hint] = self._make_decoder(hint)
        return found

    def _make_decoder(self, hint: Any) -> _Coder:
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if hint in _PLAIN or hint is type(None):
            return _checked((int, float) if hint is float else (hint,))
        if origin is Literal:
            return lambda tree: _one_of(tree, inner)
        if origin in (Union, types.UnionType):
            return self._decode_union(inner)
        if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
            return self._decode_rows(inner[0])
        if origin is tuple:
            each = [self._decoder(one) for one in inner]
            return lambda tree: tuple(coder(part) for coder, part in zip(each, _list(tree, len(each)), strict=True))
        if isinstance(hint, type) and issubclass(hint, Enum):
            return lambda tree: _member(hint, tree)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            return self._decode_class(hint)
        raise TypeError(f"{hint!r} cannot be recorded")

    def _decode_rows(self, row: Any) -> _Coder:
        one = self._decoder(row)
        if row not in KEYS:
            return lambda tree: tuple([one(part) for part in _list(tree)])
        return lambda tree: self._tables.decode(row, _list(tree), one)

    def _decode_union(self, members: tuple[Any, ...]) -> _Coder:
        others = [one for one in members if one is not type(None)]
        optional = len(others) < len(members)
        if len(others) == 1:
            one = self._decoder(others[0])
            return lambda tree: None if tree is None else one(tree)
        if not any(dataclasses.is_dataclass(each) for each in others):
            return _checked(members)
        coders = {each.__name__: self._decoder(each) for each in others}

        def decode(tree: Tree) -> Any:
            if tree is None and optional:
                return None
            name, *rest = _list(tree)
            if not isinstance(name, str) or name not in coders:
                raise BadTreeError(f"there is no {str(name)[:40]!r} here")
            return coders[name](rest)

        return decode

    def _decode_class(self, kind: type) -> _Coder:
        hints = _hints(kind)
        written = list(hints) if self._fields is None else self._fields.get(kind.__name__)
        if written is None:  # a class of a later memtui: it cannot be in the data, but hints name it
            return lambda tree: _refuse(f"the fields of {kind.__name__} are not told")
        parts = [(name, self._decoder(hints[name]) if name in hints else None) for name in written]
        count = len(parts)
        missing = [one.name for one in dataclasses.fields(kind) if one.name not in written and _is_needed(one)]

        def decode(tree: Tree) -> Any:
            values = {
                name: coder(part)
                for (name, coder), part in zip(parts, _list(tree, count), strict=True)
                if coder is not None
            }
            if missing:
                raise BadTreeError(f"{kind.__name__} without {missing[0]}")
            return kind(**values)

        return decode


def _same(value: Any) -> Any:
    return value


def _refuse(why: str) -> Any:
    raise BadTreeError(why)


def _checked(kinds: Sequence[type]) -> _Coder:
    allowed = frozenset(kinds)

    def check(tree: Tree) -> Any:
        if type(tree) not in allowed:
            raise BadTreeError(f"{str(tree)[:40]!r} is no {' or '.join(sorted(one.__name__ for one in allowed))}")
        return tree

    return check


def _one_of(tree: Tree, allowed: tuple[Any, ...]) -> Any:
    if tree not in allowed:
        raise BadTreeError(f"{str(tree)[:40]!r} is none of {allowed}")
    return tree


def _member(kind: type[Enum], tree: Tree) -> Enum:
    try:
        return kind(tree)
    except ValueError as error:
        raise BadTreeError(str(error)) from error


def _list(tree: Tree, length: int | None = None) -> list[Any]:
    if not isinstance(tree, list) or (length is not None and len(tree) != length):
        raise BadTreeError("a list of other length or no list at all")
    return tree


def _hints(kind: Any) -> dict[str, Any]:
    """The hints of a dataclass in the order of its fields."""
    hints = typing.get_type_hints(kind)
    return {one.name: hints[one.name] for one in dataclasses.fields(kind)}


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _classes_below(hint: Any) -> list[type]:
    found: dict[type, None] = {}
    waiting = [hint]
    while waiting:
        one = waiting.pop()
        if dataclasses.is_dataclass(one) and isinstance(one, type):
            if one not in found:
                found[one] = None
                waiting += _hints(one).values()
        else:
            waiting += [inner for inner in typing.get_args(one) if inner is not Ellipsis]
    return list(found)
