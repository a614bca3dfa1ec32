"""Forks at every instruction of a change of the switch interval that another thread makes; no child may keep it.

Arguments: the agent's directory, and what to try (``grip`` or the ``haste`` of its first lines).
Prints how many forks there were, during how many the interval was changed, how many children kept it, and whether it
is in the end as it was found.
"""

import importlib
import os
import sys
import threading

SECONDS = 0.0625


def change_of(directory, what):
    """What begins the change and what ends it."""
    parent, package = os.path.split(directory)
    sys.path.insert(0, parent)
    if what == "grip":
        grip = importlib.import_module(package + ".grip").Grip()
        return [lambda: grip.begin(SECONDS), grip.end]
    bootstrap = importlib.import_module(package + ".bootstrap")
    bootstrap._HASTY_SECONDS = SECONDS
    arrival = bootstrap.Arrival(True, bootstrap.Grip())
    arrival.rest()
    return [arrival.hurry, arrival.rest]


class Steps:
    """A thread that waits before each of its instructions."""

    def __init__(self, directory):
        self.directory = directory
        self.reached, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.over = False

    def run(self):
        for step in change_of(self.directory, sys.argv[2]):
            sys.settrace(self.trace)
            step()
            sys.settrace(None)
        self.over = True
        self.reached.release()

    def trace(self, frame, event, argument):
        if frame.f_code.co_filename.startswith(self.directory):
            frame.f_trace_opcodes = True
            if event == "opcode":
                self.reached.release()
                self.go_on.acquire()
            return self.trace
        return None


def main():
    found = sys.getswitchinterval()
    steps = Steps(sys.argv[1])
    thread = threading.Thread(target=steps.run)
    thread.start()
    forks = changed = kept = 0
    while steps.reached.acquire(timeout=30) and not steps.over:
        forks += 1
        changed += sys.getswitchinterval() != found
        child = os.fork()
        if not child:
            os._exit(sys.getswitchinterval() != found)
        kept += os.waitpid(child, 0)[1] != 0
        steps.go_on.release()
    thread.join(30)
    print(forks, changed, kept, sys.getswitchinterval() == found)


main()
