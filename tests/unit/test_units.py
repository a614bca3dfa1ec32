"""Sizes, counts and durations as people read and type them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.model.units import format_bytes, format_count, format_seconds, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("512MB", 512_000_000),
        ("512 mb", 512_000_000),
        ("1.5GiB", 3 * 512 * 1024 * 1024),
        ("64k", 65536),
        ("2T", 2 << 40),
        ("0", 0),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5), ("250ms", 0.25), ("90s", 90), ("10m", 600), ("1h", 3600), ("2d", 172800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "1.", ".5", "1e3", "ten", "5 MBs", "1,5GiB", "5 5", "inf", "nan", "٣"])
def test_what_is_neither_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="512MB"):
        parse_size(text)
    with pytest.raises(ValueError, match="90s"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["5 s", "5x"])
def test_units_of_the_other_kind(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("value", "text", "signed"),
    [
        (0, "0 B", "+0 B"),
        (1023, "1023 B", "+1023 B"),
        (1024, "1.0 KiB", "+1.0 KiB"),
        (-1536, "-1.5 KiB", "-1.5 KiB"),
        (1024**2 - 1, "1.0 MiB", "+1.0 MiB"),
        (999 * 1024**2, "999.0 MiB", "+999.0 MiB"),
        (1024**3, "1.0 GiB", "+1.0 GiB"),
        (5 * 1024**4, "5.0 TiB", "+5.0 TiB"),
        (None, "–", "–"),
    ],
)
def test_bytes_in_words(value: int | None, text: str, signed: str) -> None:
    assert format_bytes(value) == text
    assert format_bytes(value, sign=True) == signed


@given(st.integers(-(2**50), 2**50))
def test_bytes_in_words_are_near_and_short(value: int) -> None:
    text = format_bytes(value)
    assert len(text) <= len("-1023.5 MiB")
    number, unit = text.split()
    factor = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}[unit]
    assert abs(float(number) * factor - value) <= 0.051 * factor


@pytest.mark.parametrize(("value", "text", "signed"), [(0, "0", "+0"), (-1234, "-1,234", "-1,234"), (None, "–", "–")])
def test_counts_in_words(value: int | None, text: str, signed: str) -> None:
    assert format_count(value) == text
    assert format_count(value, sign=True) == signed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0008, "0.8 ms"),
        (0.25, "250 ms"),
        (12, "12 s"),
        (185, "3 m 05 s"),
        (7800, "2 h 10 m"),
        (4 * 86400 + 3 * 3600, "4 d 03 h"),
    ],
)
def test_durations_in_words(value: float | None, text: str) -> None:
    assert format_seconds(value) == text


@given(st.floats(0, 10**8))
def test_no_duration_looks_like_another_unit(value: float) -> None:
    text = format_seconds(value)
    assert not re.search(r"\b(60 s|60 m|1000 ms|1000\.0 ms)\b", text), text
