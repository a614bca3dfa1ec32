"""What a soak test costs: processor time and memory of memtui, and of its helpers, while it watches a server.

    python tests/benchmarks/soak.py [SECONDS]

A healthy HTTP server with a bounded cache, cycles and threads, twenty requests a second. Half an hour (the default)
with Flask in its place, on two cores that were busy: passed, 0.42 % of a core and 39 MB.
"""

from __future__ import annotations

import http.client
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

SERVER = """\
import functools, http.server, json, socketserver, sys

@functools.lru_cache(maxsize=500)
def lookup(number): return str(number) * 20

class Node: pass

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        for _ in range(5):
            node = Node(); node.me, node.data = node, bytearray(500)
        answer = json.dumps([lookup(int(self.path[1:]) % 800), sorted(map(str, range(200)))]).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(answer))); self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_): pass

class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
PAUSE_SECONDS = 0.05
TICKS = os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def processor_seconds(pid: int) -> tuple[float, float]:
    """Of the process, and of its helpers that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    own, helpers = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
    return own / TICKS, helpers / TICKS


def ask(port: int) -> None:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with suppress(OSError):
        link.request("GET", f"/{random.randrange(10_000)}")
        link.getresponse().read()
    link.close()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1800.0
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "memtui", "soak", str(server.pid), "--for", f"{seconds}s"]
            tool = subprocess.Popen([*command, "--record", str(Path(folder, "soak.memtui"))])
            began, most, cost = time.monotonic(), 0, (0.0, 0.0)
            while tool.poll() is None:
                ask(port)
                most, cost = max(most, resident_bytes(tool.pid)), processor_seconds(tool.pid)
                time.sleep(PAUSE_SECONDS)
            passed = time.monotonic() - began
        server.kill()
    print(f"exit code {tool.returncode} after {passed:.0f} s; memtui at most {most / 1e6:.1f} MB")
    print(f"processor: memtui {cost[0] / passed:.2%}, its helpers {cost[1] / passed:.2%} of a core")


if __name__ == "__main__":
    main()
