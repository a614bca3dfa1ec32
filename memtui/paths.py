"""Where memtui's own files are: bundled themes, the user's configuration."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def bundled_themes() -> Path:
    """Directory of the themes that come with memtui: inside the wheel, or beside the package in a checkout."""
    inside = PACKAGE / "_themes"
    return inside if inside.is_dir() else PACKAGE.parent / "themes"


def config_dir() -> Path:
    """The user's memtui directory under ``$XDG_CONFIG_HOME`` (``~/.config`` without it)."""
    return _xdg("XDG_CONFIG_HOME", "~/.config")


def state_dir() -> Path:
    """Where what memtui keeps by itself is, under ``$XDG_STATE_HOME`` (``~/.local/state`` without it)."""
    return _xdg("XDG_STATE_HOME", "~/.local/state")


def config_file() -> Path:
    """The user's configuration file (may not exist)."""
    return config_dir() / "config.toml"


def writable_directory() -> Path:
    """Where files go that the user did not name: the current directory, or that for temporary files."""
    try:
        here = Path.cwd()
    except OSError:  # the directory was deleted
        return Path(tempfile.gettempdir())
    return here if os.access(here, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def user_themes() -> Path:
    """The user's own theme directory (may not exist)."""
    return config_dir() / "themes"


def default_file(pid: int, at: float, suffix: str) -> Path:
    """``memtui-PID-YYYYmmdd-HHMMSS`` and the suffix in a writable directory, by the local time of ``at`` (epoch)."""
    return writable_directory() / f"memtui-{pid}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(at))}{suffix}"


def _xdg(variable: str, otherwise: str) -> Path:
    base = os.environ.get(variable) or ""
    root = Path(base) if os.path.isabs(base) else Path(os.path.expanduser(otherwise))
    return root / "memtui"
