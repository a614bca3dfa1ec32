"""Core files: the memory of a process as ``gcore`` or a crash left it (ELF, ``elf(5)``; notes: ``binfmt_elf.c``)."""

from __future__ import annotations
