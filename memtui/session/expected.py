"""Suspects that the user called expected, by signature: kept in ``expected.json`` beside the configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from memtui import paths
from memtui.atomic import replace_file
from memtui.errors import WriteError

_MOST = 10_000


def expected_file() -> Path:
    """Where they are kept."""
    return paths.config_file().with_name("expected.json")


def load_expected() -> dict[str, str]:
    """What was called expected, with the words it was shown with; empty when nothing can be read."""
    try:
        found = json.loads(expected_file().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(signature): str(words) for signature, words in list(found.items())[:_MOST]}


def save_expected(expected: Mapping[str, str]) -> Path:
    """Keep them, all or what was there before. Raises WriteError."""
    file = expected_file()
    content = json.dumps(dict(expected), indent=1, sort_keys=True) + "\n"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, content.encode("utf-8"))
    except OSError as error:
        raise WriteError(f"What is expected was not kept in {file}.", why=f"{error.strerror}.") from error
    return file
