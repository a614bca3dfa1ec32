"""memtui: watch the memory of a running CPython process in a terminal."""

__version__ = "0.1.0"
