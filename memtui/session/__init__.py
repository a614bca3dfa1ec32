"""Owns the clock, the threads and the target's lifetime; reduces what happens to one State a tick."""
