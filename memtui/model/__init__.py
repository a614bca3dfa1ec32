"""Frozen pictures of what memtui knows: no I/O, no clock, no threads."""
