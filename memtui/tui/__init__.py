"""The dashboard: the only part of memtui, with the process picker, that knows Textual."""
