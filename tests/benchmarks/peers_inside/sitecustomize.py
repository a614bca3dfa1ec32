"""What tests/benchmarks/peers.py puts into a workload: Python imports it at start, the workload does not know of it.

Asked by the environment: ``PEERS_PACKAGES`` is where objgraph and memray are, ``PEERS_PEER`` which of them (or
tracemalloc) looks, ``PEERS_ANSWER`` the file for what it finds, after ``PEERS_START`` and again after
``PEERS_SECONDS`` more. Only Python 3.7 and the standard library can be counted on.
"""

import ast
import io
import json
import os
import re
import signal
import sys
import threading
import time

FRAMES = 25
MOST = 3


def write(answer):
    """Replace the answer file, so that it is always a whole one."""
    path = f"{os.environ['PEERS_ANSWER']}.{os.getpid()}"
    with open(path + ".tmp", "w") as file:
        json.dump(answer, file)
    os.replace(path + ".tmp", path)


def watch(looks):
    """The two looks of a generator: it yields between them."""
    time.sleep(float(os.environ["PEERS_START"]))
    next(looks)
    time.sleep(float(os.environ["PEERS_SECONDS"]))
    for answer in looks:
        write(answer)


def with_tracemalloc():
    """A snapshot, and what grew since, by traceback; the documentation of tracemalloc leaves the same files out."""
    import tracemalloc

    left_out = ("<frozen importlib", "<unknown>", tracemalloc.__file__, __file__)
    before = tracemalloc.take_snapshot()
    yield
    found = tracemalloc.take_snapshot().compare_to(before, "traceback")
    yield [
        {
            "bytes": one.size_diff,
            "objects": one.count_diff,
            "frames": [[frame.filename, frame.lineno, function_at(frame)] for frame in reversed(list(one.traceback))],
        }
        for one in [one for one in found if not one.traceback[-1].filename.startswith(left_out)][:MOST]
    ]


def function_at(frame):
    """The function whose line it is (tracemalloc does not keep it); None where there is no source."""
    try:
        with open(frame.filename, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return None
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and first_line(node) <= frame.lineno
    ]
    inside = [node for node in around if frame.lineno <= last_line(node)]
    return max(inside, key=first_line).name if inside else "<module>"


def first_line(node):
    return node.lineno


def last_line(node):
    return max(getattr(one, "lineno", 0) for one in ast.walk(node))


def with_objgraph():
    """The types that grew by the most objects, then the chain of references to the newest one of the first."""
    import objgraph

    peaks = {}
    objgraph.growth(limit=1000, peak_stats=peaks)
    yield
    grown = objgraph.growth(limit=MOST, peak_stats=peaks)
    answer = [{"type": name, "objects": delta} for name, _, delta in grown]
    yield answer
    if answer:
        chain = objgraph.find_backref_chain(objgraph.by_type(answer[0]["type"])[-1], objgraph.is_proper_module)
        drawn = io.StringIO()
        objgraph.show_chain(chain, output=drawn)
        answer[0]["holder"] = path_of(chain, drawn.getvalue())
        yield answer


def path_of(chain, drawn):
    """``module.name[key]`` out of the edges that objgraph draws; None when it found no module at its end."""
    if len(chain) < 2:
        return None
    found = re.findall(r'o(\d+) -> o(\d+) \[label="?([^"\],]*)', drawn)
    edges = {(source, target): label for source, target, label in found}
    path = getattr(chain[0], "__name__", "?")
    for holder, held in zip(chain, chain[1:]):
        label = edges.get((str(id(holder)), str(id(held))))
        if label is None:
            path += f".<{type(held).__name__}>"
        elif label != "__dict__":
            path += "." + label if re.match(r"[A-Za-z_]\w*$", label) else "[...]"
    return path


def main():
    peer = os.environ.get("PEERS_PEER")
    if peer is None:
        return
    sys.path.append(os.environ["PEERS_PACKAGES"])
    if peer == "memray":
        # It is ended like a person ends it. A shell may have had the signal ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return
    if peer == "tracemalloc":
        import tracemalloc

        tracemalloc.start(FRAMES)
    looks = {"tracemalloc": with_tracemalloc, "objgraph": with_objgraph}[peer]

    def begin():
        threading.Thread(target=watch, args=(looks(),), daemon=True).start()

    begin()
    os.register_at_fork(after_in_child=begin)


main()
