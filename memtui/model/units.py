"""Numbers as people read and type them: sizes and durations."""

from __future__ import annotations

import re

_SIZE_UNITS = {
    "": 1, "b": 1,
    "kb": 1000, "mb": 1000**2, "gb": 1000**3, "tb": 1000**4,
    "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4,
    "kib": 1024, "mib": 1024**2, "gib": 1024**3, "tib": 1024**4,
}  # fmt: skip
_TIME_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


def parse_size(text: str) -> int:
    """Bytes from ``512MB``, ``1.5GiB`` or ``4096``. Raises ``ValueError`` with an example otherwise."""
    return round(_parse(text, _SIZE_UNITS, "a size such as 512MB or 1.5GiB"))


def parse_duration(text: str) -> float:
    """Seconds from ``90s``, ``10m``, ``1h``, ``250ms`` or ``5``. Raises ``ValueError`` with an example otherwise."""
    return _parse(text, _TIME_UNITS, "a duration such as 90s, 10m or 1h")


def _parse(text: str, units: dict[str, float] | dict[str, int], wanted: str) -> float:
    match = _NUMBER.fullmatch(text)
    factor = units.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{text!r} is not {wanted}")
    return float(match[1]) * factor


def format_bytes(value: int | float | None, *, sign: bool = False) -> str:
    """``12.3 MiB``; with ``sign`` always ``+`` or ``-``; ``–`` for an unknown value."""
    if value is None:
        return "–"
    prefix = ("+" if value >= 0 else "-") if sign else ("-" if value < 0 else "")
    size = abs(float(value))
    if size < 1023.5:
        return f"{prefix}{size:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 999.95:
            return f"{prefix}{size:.1f} {unit}"
    return f"{prefix}{size / 1024:.1f} TiB"


def format_count(value: int | None, *, sign: bool = False) -> str:
    """``1,234``; with ``sign`` always ``+`` or ``-``; ``–`` for an unknown value."""
    if value is None:
        return "–"
    return f"{value:+,}" if sign else f"{value:,}"


def format_seconds(value: float | None) -> str:
    """A short duration: ``0.8 ms``, ``12 s``, ``3 m 05 s``, ``2 h 10 m``, ``4 d 03 h``; ``–`` when unknown."""
    if value is None:
        return "–"
    if value < 0.9995:
        return f"{value * 1000:.1f} ms" if value < 0.09995 else f"{value * 1000:.0f} ms"
    if value < 59.5:
        return f"{value:.0f} s"
    value = max(value, 60.0)
    minutes, seconds = divmod(int(value), 60)
    if minutes < 60:
        return f"{minutes} m {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} m"
    return f"{hours // 24} d {hours % 24:02d} h"
