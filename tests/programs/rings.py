"""A target in which only the collector would free what grows, and it is off: ``rings.py TYPES``.

It has so many types besides, and the text of its objects can never be made. A line on stdin makes it tell what is
left of a check, as JSON.
"""

import gc
import json
import select
import sys
import time

kept = [type("Type%d" % number, (), {})() for number in range(int(sys.argv[1]))]


class Shop:
    def __init__(self):
        self.orders = [Order(self) for _ in range(3)]


class Order:
    def __init__(self, shop):
        self.shop = shop
        self.text = "x" * 2000

    def __repr__(self):
        while True:
            time.sleep(1)

    __str__ = __sizeof__ = __repr__


def left():
    return {"flags": gc.get_debug(), "garbage": len(gc.garbage), "enabled": gc.isenabled(), "calls": len(gc.callbacks)}


if __name__ == "__main__":
    gc.collect()
    gc.disable()
    print("ready", flush=True)
    while True:
        for _ in range(4):
            Shop()
        if select.select([0], [], [], 0.02)[0]:
            if not sys.stdin.readline():
                break
            print(json.dumps(left()), flush=True)
