"""Random and damaged frames into both readers of the wire, and into an agent that is at work; prints what came.

    python tests/stress/fuzz.py [--frames 1000000] [--live 20000] [--seed 1]

In this process: memtui's Decoder and the agent's take_frame get every stream in random pieces; all they may do is
give out objects or refuse. Then a live agent gets damaged frames from viewers that come and go, beside one that has
to be served throughout. Ends with a traceback when anything else happens.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from agent_driver import Host, wait_until
from interpreters import Interpreter, current

from memtui.agent import wire
from memtui.protocol import Decoder, FrameError

LARGEST = 1024 * 1024
WORDS = ("ping", "stream", "trace_start", "trace_stop", "allocations", "types", "collect", "detach", "dance", None)
ODD = (0, -1, 1, 2**31, 2**63, 10**19, 1e308, -0.0, True, None, "", "x" * 300, [], {}, [[[]]], {"a": {"b": 1}}, "\0")
KEYS = ("id", "do", "interval", "frames", "by", "limit", "force", "t", "")


def message(dice: random.Random) -> bytes:
    """A body that is sensible, or nearly so."""
    values = (*ODD, dice.random(), dice.choice(WORDS))
    frame = {dice.choice(KEYS): dice.choice(values) for _ in range(dice.randrange(5))}
    if dice.random() < 0.8:
        frame |= {"id": dice.randrange(1000), "do": dice.choice(WORDS)}
    return json.dumps(frame).encode()


def damaged(body: bytes, dice: random.Random) -> bytes:
    """The body with some bytes changed, dropped, doubled or put in."""
    data = bytearray(body)
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(data) + 1)
        kind = dice.randrange(4)
        if kind == 0:
            data[at : at + 1] = bytes([dice.randrange(256)])
        elif kind == 1:
            del data[at : at + dice.randrange(1, 9)]
        elif kind == 2:
            data[at:at] = data[at : at + dice.randrange(1, 9)]
        else:
            data[at:at] = dice.choice((b"{", b"[", b'"', b"\\u", b"\xff", b"1e999", b"NaN", b"-", b"\xed\xa0\x80"))
    return bytes(data)


def stream(dice: random.Random) -> bytes:
    """One frame as it may come: whole, damaged, of random bytes, or with a wrong length."""
    kind = dice.randrange(10)
    body = message(dice)
    if kind < 3:
        pass
    elif kind < 7:
        body = damaged(body, dice)
    elif kind < 9:
        body = dice.randbytes(dice.randrange(60))
    else:
        body = dice.choice((b"[", b'{"a":', b'{"a":[')) * dice.randrange(1, 3000)
    length = len(body)
    if dice.random() < 0.1:
        wrong = (0, length + 1, max(0, length - 1), LARGEST, LARGEST + 1, 2**32 - 1, dice.randrange(2**32))
        length = dice.choice(wrong)
    return struct.pack(">I", length) + body


def pieces(data: bytes, dice: random.Random) -> Iterator[bytes]:
    """The stream in pieces."""
    while data:
        size = dice.choice((1, 3, 7, 100, len(data)))
        yield data[:size]
        data = data[size:]


def read_by_memtui(parts: list[bytes]) -> tuple[str, int]:
    """How memtui's reader took it, and how many bytes it kept."""
    decoder = Decoder(LARGEST)
    try:
        found = [frame for part in parts for frame in decoder.feed(part)]
    except FrameError:
        return "refused", 0
    assert all(type(frame) is dict for frame in found)
    return ("taken" if found else "incomplete"), len(decoder._buffer)


def read_by_agent(parts: list[bytes]) -> tuple[str, int]:
    """How the agent's reader took it, and how many bytes it kept."""
    inbox, found = bytearray(), []
    try:
        for part in parts:
            inbox += part
            while (frame := wire.take_frame(inbox)) is not None:
                found.append(frame)
    except wire.WireError:
        return "refused", 0
    assert all(type(frame) is dict for frame in found)
    return ("taken" if found else "incomplete"), len(inbox)


READERS: dict[str, Callable[[list[bytes]], tuple[str, int]]] = {"memtui": read_by_memtui, "agent": read_by_agent}


def fuzz_readers(frames: int, dice: random.Random) -> dict[str, Counter[str]]:
    """Feed both readers; anything but taking or refusing comes out as an exception."""
    results = {name: Counter[str]() for name in READERS}
    for _ in range(frames):
        data = stream(dice)
        parts = list(pieces(data, dice))
        for name, read in READERS.items():
            how, kept = read(parts)
            assert kept <= len(data)
            results[name][how] += 1
    return results


def fuzz_agent(interpreter: Interpreter, frames: int, dice: random.Random) -> dict[str, int]:
    """Feed a live agent. Raises AssertionError when it or its process comes to harm."""
    host = Host(interpreter)
    try:
        keeper = host.start(REQUESTS_PER_SECOND=10**6)
        keeper.ask("ping")
        before = resident_bytes(host.pid)
        fds = len(os.listdir(f"/proc/{host.pid}/fd"))
        sent = cut = 0
        while sent < frames:
            viewer = host.join()
            while sent < frames and not viewer.is_cut():
                sent += 1
                try:
                    viewer.socket.sendall(stream(dice))
                except OSError:
                    break
                if dice.random() < 0.01:
                    break
            cut += 1
            viewer.close()
            if cut % 100 == 0:
                keeper.ask("ping")
        keeper.ask("trace_stop")
        keeper.ask("ping")
        wait_until(lambda: len(os.listdir(f"/proc/{host.pid}/fd")) <= fds, "the others are dropped")
        grown = resident_bytes(host.pid) - before
        keeper.close()
        host.wait_for_leave()
        code, errors = host.end()
        assert (code, errors) == (0, ""), (code, errors)
        return {"frames": sent, "viewers": cut, "grown": grown}
    finally:
        host.close()


def resident_bytes(pid: int) -> int:
    """The process's RSS."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--live", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    began = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, counts in fuzz_readers(options.frames, dice).items():
        print(f"{name:7} {dict(counts)}", flush=True)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{options.frames} frames in {time.monotonic() - began:.0f} s; peak memory grew by {grown / 1024:.1f} MB")
    live = fuzz_agent(current(), options.live, dice)
    print(f"live agent: {live['frames']} frames by {live['viewers']} viewers; RSS {live['grown'] / 2**20:+.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
