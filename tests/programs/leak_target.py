"""A target that leaks on a known line, and does what it is told on its standard input."""
import gc
import os
import select
import sys
import time

kept = []
children = []


class Node:
    def __init__(self):
        self.me = self


def leak():
    kept.append([bytes(2000), Node()])  # known line: leak


def act(word):
    if word == "cycles":
        gc.disable()
        for _ in range(5000):
            Node()
    elif word == "python":
        os.execv(sys.executable, [sys.executable, "-c", "import sys; print('new', flush=True); sys.stdin.read()"])
    elif word == "other":
        os.execv("/bin/sleep", ["sleep", "60"])
    elif word == "fork":
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        children.append(child)
    elif word == "reap":
        for child in children:
            os.kill(child, 9)
            os.waitpid(child, 0)
    elif word == "exit":
        sys.exit(3)


if __name__ == "__main__":
    print("ready", flush=True)
    while True:
        leak()
        if select.select([0], [], [], 0.005)[0]:
            for word in os.read(0, 1000).decode().split():
                act(word)
                print("done", flush=True)
