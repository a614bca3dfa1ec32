"""Which role a shared object plays in a Python process, told from its path, and the name a person knows it by."""

from __future__ import annotations

import os
import re

_RUNTIME = re.compile(
    r"^(?:libc|ld-linux[^.]*|ld-musl[^.]*|libpthread|libdl|libm|librt|libstdc\+\+|libgcc_s|libffi\w*"
    r"|libjemalloc|libtcmalloc\w*|libmimalloc|linux-vdso|linux-gate)(?:[-.]|$)"
)
"""Libraries that allocate for whoever calls them."""
_PYTHON = re.compile(r"^(?:libpython[\d.]|python[\d.]*[a-z]*$)")
_PLACES = ("/site-packages/", "/dist-packages/", "/lib-dynload/")
_MODULE = re.compile(r"^([^.]+)\.(?:cpython-|abi3\.|so$|pypy)")


def is_runtime(path: str) -> bool:
    """Whether ``path`` is the C library, an allocator or the like, or belongs to memray."""
    return _RUNTIME.match(os.path.basename(path)) is not None or "/memray/" in path


def is_python(path: str) -> bool:
    """Whether ``path`` looks like the interpreter."""
    return _PYTHON.match(os.path.basename(path)) is not None


def extension_name(path: str) -> str:
    """``multidict._multidict`` for an extension module, ``libgmp.so.10`` for another library."""
    inside, name = "", os.path.basename(path)
    for place in _PLACES:
        _, found, rest = path.rpartition(place)
        if found:
            inside = os.path.dirname(rest)
            break
    module = _MODULE.match(name)
    if module is None or name.startswith("lib"):
        return name
    return ".".join([*filter(None, inside.split("/")), module[1]])
