"""Short safe texts for objects: strings, numbers and keys as a person writes them."""

from __future__ import annotations

import struct
from bisect import bisect_left

from memtui.heap.picture import Kind, Picture

MAX_KEY_CHARACTERS = 40
MAX_TEXT_CHARACTERS = 200
_BITS, _FLOAT = struct.Struct("=q"), struct.Struct("=d")
_CONSTANTS = {"NoneType": "None", "ellipsis": "Ellipsis", "NotImplementedType": "NotImplemented"}


class Words:
    """The texts of one picture. Everything comes back escaped as ``repr`` does it: foreign text can do no harm."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._kinds = picture.types.kinds

    def type_name(self, node: int) -> str:
        """The full name of its type."""
        return self._picture.types.names[int(self._picture.nodes.types[node])]

    def short_type(self, node: int) -> str:
        """The name of its type without the module."""
        return self.type_name(node).rsplit(".", 1)[-1]

    def kind(self, node: int) -> int:
        """The :class:`Kind` of its type."""
        return int(self._kinds[self._picture.nodes.types[node]])

    def text(self, node: int) -> str | None:
        """The string as it is (its beginning, when it is long); None for what is no str or was not read."""
        return self._raw(node) if node >= 0 and self.kind(node) == Kind.STR else None

    def identifier(self, node: int) -> str | None:
        """The string when Python takes it for a name."""
        text = self.text(node)
        return text if text is not None and text.isidentifier() else None

    def show(self, node: int, most: int = MAX_TEXT_CHARACTERS) -> str | None:
        """A repr of strings, numbers and constants, of about ``most`` characters; None for everything else."""
        kind, name = self.kind(node), self.type_name(node)
        if kind in (Kind.STR, Kind.BYTES):
            text = self._raw(node)
            if text is None:
                return None
            return ("b" if kind == Kind.BYTES else "") + _cut(text, int(self._picture.nodes.lengths[node]), most)
        if kind == Kind.INT:
            value = self._number(node)
            return None if value is None else str(bool(value)) if name == "bool" else str(value)
        if name == "float":
            bits = self._number(node)
            return None if bits is None else repr(_FLOAT.unpack(_BITS.pack(bits))[0])
        return _CONSTANTS.get(name)

    def key(self, node: int) -> str:
        """What stands between the brackets for a key: its repr, or the type's name in angle brackets."""
        if node < 0:
            return "?"
        return self.show(node, MAX_KEY_CHARACTERS) or f"<{self.short_type(node)}>"

    def _raw(self, node: int) -> str | None:
        texts = self._picture.texts
        row = bisect_left(texts.nodes.data, node)
        if row == len(texts.nodes) or texts.nodes[row] != node:
            return None
        return texts.data[texts.starts[row] : texts.starts[row + 1]].tobytes().decode("utf-8", "replace")

    def _number(self, node: int) -> int | None:
        numbers = self._picture.numbers
        row = bisect_left(numbers.nodes.data, node)
        if row == len(numbers.nodes) or numbers.nodes[row] != node:
            return None
        return int(numbers.values[row])


def _cut(text: str, length: int, most: int) -> str:
    if len(text) > most or length > len(text):
        text = text[: most - 3] + "..."
    shown = repr(text)
    # Escapes make it longer.
    return shown if len(shown) <= 4 * most else shown[: 4 * most] + "..."
