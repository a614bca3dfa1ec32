"""Suspects that the user called expected, by signature: kept in ``expected.json`` beside the configuration."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from memtui import paths
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
    partial = file.with_name(f".{file.name}-{secrets.token_hex(4)}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(dict(expected), indent=1, sort_keys=True) + "\n", "utf-8")
        os.replace(partial, file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise WriteError(f"What is expected was not kept in {file}.", why=f"{error.strerror}.") from error
    return file
