"""For tests: the pytest plugin and what it is made of. Only :mod:`memtui.testing.plugin` imports pytest."""
