"""What the user configured: the keys there are, where each value comes from, and how the file is changed."""

from __future__ import annotations

from memtui.config.read import Configuration, Setting, load
from memtui.config.schema import KEYS, Key, find_key

__all__ = ["KEYS", "Configuration", "Key", "Setting", "find_key", "load"]
