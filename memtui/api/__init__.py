"""What a program may use to look at its own memory: the names that ``import memtui`` offers.

Built of the agent's collectors and of the detector. Nothing runs before it is asked for, and nothing after it is
stopped.
"""
