"""How caches bound themselves: what they call their limit, and which of the standard library do it in their code."""

from __future__ import annotations

BOUND_ATTRIBUTES = frozenset(
    ("maxsize", "_maxsize", "max_size", "_max_size", "maxlen", "_maxlen", "capacity", "_capacity", "max_entries",
     "_max_entries", "_Cache__maxsize", "limit", "_limit", "size_limit")
)  # fmt: skip
"""Attributes in which caches written in Python keep how much they allow themselves (cachetools, Django, ...)."""

BOUNDED_BY_CODE = (
    "re._cache", "re._cache2", "struct._cache", "linecache.cache", "fnmatch.", "sre_compile.", "typing.",
    "urllib.parse._parse_cache", "encodings._cache", "functools._", "tokenize.", "ast.",
)  # fmt: skip
"""Beginnings of the paths of caches of the standard library that bound themselves by their own code."""
