"""The program that runs inside the target: standard library only, Python 3.8 syntax, imports nothing of memtui."""
