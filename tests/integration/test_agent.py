"""The agent in real targets of every interpreter: what it answers, what it survives, what it leaves behind."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path
from typing import Any

import pytest
from agent_driver import PROGRAM, Host, StartHost, known_line, wait_until
from interpreters import Interpreter

from memtui.protocol import MAX_FRAME_TO_AGENT_BYTES, VERSION, encode


def places(reply: dict[str, Any]) -> dict[tuple[str, int], tuple[int, int]]:
    """Size and count of each newest frame."""
    return {
        (reply["files"][frames[0][0]], frames[0][1]): (size, count)
        for size, count, frames in reversed(reply["groups"])
    }


def test_hello(host: Host, interpreter: Interpreter) -> None:
    hello = host.start().frame("hello")
    assert hello["version"] == VERSION
    assert hello["pid"] == host.pid
    assert hello["python"] == ".".join(map(str, interpreter.version))
    assert hello["implementation"] == "cpython"
    assert hello["viewers"] == 1
    assert hello["tracing"]["on"] is False


def test_nothing_is_left_after_detach(host: Host) -> None:
    before = host.traces()
    viewer = host.start()
    assert len(os.listdir(f"/proc/{host.pid}/task")) == 2
    viewer.ask("stream", interval=0.05)
    viewer.ask("trace_start", frames=3)
    viewer.ask("allocations", by="traceback", limit=10)
    viewer.ask("types", limit=10)
    viewer.ask("collect")
    while_in = host.tell("residue")
    assert while_in["callbacks"] == before["callbacks"] + 1
    assert while_in["tracing"]
    assert while_in["modules"]
    assert while_in["objects"]
    viewer.ask("detach")
    wait_until(viewer.is_cut, "the agent closes the connection")
    host.wait_for_leave()
    after = host.traces()
    assert {**after, "frames": before["frames"]} == before
    assert host.end() == (0, "")


def test_it_can_come_again(host: Host) -> None:
    before = host.traces()
    for _ in range(3):
        viewer = host.start()
        viewer.ask("ping")
        viewer.close()
        host.wait_for_leave()
    assert host.traces() == before


def test_samples(host: Host) -> None:
    viewer = host.start()
    first = viewer.frame("sample")
    viewer.ask("stream", interval=0.05)
    host.tell("cycles", count=3000)
    before = viewer.frame("sample")
    viewer.ask("collect")
    while True:
        sample = viewer.frame("sample")
        if sample["pauses"]["count"] > before["pauses"]["count"] and sample["pauses"]["last_generation"] == 2:
            break
    assert sample["gc"]["enabled"] is True
    assert len(sample["gc"]["count"]) == len(sample["gc"]["threshold"]) == len(sample["gc"]["stats"]) == 3
    assert sample["gc"]["stats"][2][0] > before["gc"]["stats"][2][0]
    pauses = sample["pauses"]
    assert 0 < pauses["last"] <= pauses["max"] <= pauses["total"]
    off = {"on": False, "frames": 1, "traced": None, "peak": None, "overhead": None, "found_on": False}
    assert sample["tracing"] == off
    cost = sample["cost"]
    assert cost["cpu"] > 0
    assert cost["longest_what"] == "collect"
    assert cost["longest_pause"] > 0
    assert 10_000 < cost["bytes"] < 1_000_000
    assert first["pauses"]["count"] <= before["pauses"]["count"]
    assert first.keys() == sample.keys()


def test_streaming_stops(own_host: Host) -> None:
    viewer = own_host.start()
    viewer.ask("stream", interval=0.05)
    for _ in range(2):
        viewer.frame("sample")
    viewer.ask("stream", interval=0)
    viewer.ask("ping")
    later = own_host.join()
    later.ask("stream", interval=0.05)
    for _ in range(5):
        later.frame("sample")
    assert viewer.ask("ping")
    assert not any(frame["t"] == "sample" for frame in viewer._frames[1:])


@pytest.mark.parametrize("frames", [1, 10])
def test_allocations_name_the_line(host: Host, frames: int) -> None:
    viewer = host.start()
    assert viewer.ask("trace_start", frames=frames)["started"] is True
    host.tell("grow", count=300, size=10_000)
    place = (str(PROGRAM), known_line("grow"))

    lines = viewer.ask("allocations", by="line", limit=20_000)
    size, count = places(lines)[place]
    assert 300 * 10_000 <= size <= 300 * 10_200
    assert 300 <= count <= 900
    assert lines["groups"] == sorted(lines["groups"], key=lambda row: -row[0])
    assert lines["group_count"] == len(lines["groups"])
    assert lines["total_bytes"] == sum(row[0] for row in lines["groups"])
    assert lines["total_count"] == sum(row[1] for row in lines["groups"])
    assert lines["own_bytes"] > 0
    assert not any(file.startswith("<memtui-agent") for file in lines["files"])
    assert lines["seconds"] > 0
    assert lines["pause"] > 0

    files = viewer.ask("allocations", by="file", limit=20_000)
    assert places(files)[str(PROGRAM), 0][0] >= size

    tracebacks = viewer.ask("allocations", by="traceback", limit=1)
    top = tracebacks["groups"][0][2]
    assert (tracebacks["files"][top[0][0]], top[0][1]) == place
    assert len(top) == (1 if frames == 1 else 3)
    assert len(tracebacks["groups"]) == 1
    assert tracebacks["group_count"] > 1


@pytest.mark.parametrize("frames", [1, 10])
@pytest.mark.parametrize("by", ["line", "file", "traceback"])
def test_groups_equal_those_of_tracemalloc(host: Host, by: str, frames: int) -> None:
    viewer = host.start()
    viewer.ask("trace_start", frames=frames)
    host.tell("grow", count=50, size=1000)
    host.tell("nodes", count=50)
    viewer.ask("ping")
    found = host.tell("compare", by=by)
    assert found["equal"]
    assert found["groups"] > 1
    assert found["bytes"] > 50_000


def test_tracing_that_the_program_began_is_left_alone(host: Host) -> None:
    host.tell("trace", frames=3)
    viewer = host.start()
    assert viewer.frame("hello")["tracing"]["found_on"] is True
    reply = viewer.ask("trace_start", frames=10)
    assert (reply["started"], reply["frames"], reply["found_on"]) == (False, 3, True)
    reply = viewer.ask("trace_stop")
    assert (reply["stopped"], reply["left_on"]) == (False, True)
    assert "program" in reply["why"]
    viewer.close()
    host.wait_for_leave()
    found = host.tell("residue")
    assert (found["tracing"], found["frames"]) == (True, 3)


def test_tracing_that_the_program_ends_or_begins_meanwhile(own_host: Host) -> None:
    viewer = own_host.start()
    viewer.ask("trace_start", frames=1)
    own_host.tell("untrace")
    assert "off" in viewer.refusal("allocations", by="line", limit=5)
    own_host.tell("trace", frames=2)
    assert viewer.ask("trace_stop")["left_on"] is True
    viewer.close()
    own_host.wait_for_leave()
    assert own_host.tell("residue")["tracing"] is True


def test_two_viewers(host: Host) -> None:
    first = host.start()
    second = host.join()
    assert second.frame("hello")["viewers"] == 2
    assert first.ask("trace_start", frames=1)["started"] is True
    joined = second.ask("trace_start", frames=10)
    assert (joined["started"], joined["frames"], joined["found_on"]) == (False, 1, False)
    reply = first.ask("trace_stop")
    assert (reply["stopped"], reply["left_on"]) == (False, True)
    assert "viewer" in reply["why"]
    first.close()
    host.tell("grow", count=10, size=1000)
    assert second.ask("allocations", by="line", limit=5)["groups"]
    assert host.tell("residue")["agents"] == 1
    second.close()
    host.wait_for_leave()
    found = host.traces()
    assert (found["tracing"], found["callbacks"], found["modules"]) == (False, 0, [])


def test_an_agent_that_left_adopts_nobody(own_host: Host) -> None:
    own_host.start().close()
    own_host.wait_for_leave()
    with pytest.raises(AssertionError, match="did not adopt"):
        own_host.join()


def test_types(host: Host) -> None:
    host.tell("nodes", count=1234)
    viewer = host.start()
    reply = viewer.ask("types", limit=20_000)
    counts = dict(reply["types"])
    assert counts["__main__.Node"] == 1234
    assert counts["?.Odd"] == 1
    assert counts["builtins.dict"] > 10
    assert [name for name in counts if "_memtui_agent" in name] == []
    assert reply["objects"] == sum(counts.values())
    assert reply["type_count"] == len(counts)
    assert reply["types"] == sorted(reply["types"], key=lambda row: -row[1])
    assert reply["seconds"] > 0
    assert reply["pause"] > 0
    assert len(viewer.ask("types", limit=3)["types"]) == 3
    assert host.tell("touched") == []


def test_collect(host: Host) -> None:
    viewer = host.start()
    viewer.ask("trace_start", frames=1)
    viewer.ask("collect")
    host.tell("cycles", count=500)
    reply = viewer.ask("collect")
    assert 500 <= reply["collected"] < 5000
    assert reply["uncollectable"] == 0
    assert reply["garbage"] == 0
    assert reply["seconds"] > 0
    assert reply["blocks_freed"] > 0
    assert reply["traced_freed"] > 500 * 50
    viewer.ask("trace_stop")
    assert viewer.ask("collect")["traced_freed"] is None


def test_finalizers_that_fail_do_no_harm(host: Host) -> None:
    threads = host.tell("residue")["threads"]
    viewer = host.start()
    host.tell("loud")
    viewer.ask("collect")
    assert "a finalizer that fails" in host.errors()
    viewer.ask("ping")
    viewer.close()
    host.wait_for_leave()
    assert host.tell("residue")["threads"] == threads


def test_fork_in_the_target(host: Host) -> None:
    viewer = host.start()
    viewer.ask("stream", interval=0.05)
    phases, callbacks = host.tell("fork")
    assert phases == ["start", "stop", "start", "stop"]
    assert callbacks == 1
    viewer.ask("ping")
    assert host.tell("residue")["callbacks"] == 1


def test_the_end_is_seen_although_a_child_holds_the_connection(own_host: Host) -> None:
    viewer = own_host.start()
    viewer.ask("ping")
    own_host.tell("leave_child")
    viewer.ask("detach")
    wait_until(viewer.is_cut, "the agent closes the connection")


def test_all_signals_are_left_to_the_program(host: Host) -> None:
    viewer = host.start()
    viewer.ask("ping")
    masks = {}
    for task in Path(f"/proc/{host.pid}/task").iterdir():
        line = next(one for one in (task / "status").read_text().splitlines() if one.startswith("SigBlk"))
        masks[int(task.name)] = int(line.split()[1], 16)
    assert masks.pop(host.pid) == 0
    (mask,) = masks.values()
    assert all(mask >> (number - 1) & 1 for number in range(1, 32) if number not in (9, 19))


@pytest.mark.parametrize("options", [(), ("-X", "dev")], ids=["plain", "dev"])
def test_the_program_ends_silently_with_the_agent_in_it(
    interpreter: Interpreter, new_host: StartHost, options: tuple[str, ...]
) -> None:
    host = new_host(interpreter, *options)
    viewer = host.start()
    viewer.ask("stream", interval=0.05)
    viewer.ask("trace_start", frames=1)
    viewer.frame("sample")
    code, errors = host.end()
    assert (code, errors) == (0, "")


def test_monkey_patched_programs(host: Host) -> None:
    host.tell("patch")
    viewer = host.start()
    viewer.ask("stream", interval=0.05)
    viewer.frame("sample")
    viewer.ask("types", limit=5)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"do": "dance"}, "does not know"),
        ({"do": None}, "does not know"),
        ({"do": "allocations", "by": "line", "limit": 5}, "off"),
        ({"do": "allocations", "by": "colour", "limit": 5}, "line, file or traceback"),
        ({"do": "allocations", "by": ["line"], "limit": 5}, "line, file or traceback"),
        ({"do": "types", "limit": 0}, "limit"),
        ({"do": "types", "limit": 20_001}, "limit"),
        ({"do": "types", "limit": True}, "limit"),
        ({"do": "trace_start", "frames": "many"}, "frames"),
        ({"do": "trace_start", "frames": 101}, "frames"),
        ({"do": "stream", "interval": -1}, "interval"),
        ({"do": "stream", "interval": 0.001}, "interval"),
        ({"do": "stream", "interval": float("nan")}, "interval"),
    ],
)
def test_requests_that_make_no_sense(own_host: Host, request_: dict[str, Any], sentence: str) -> None:
    viewer = own_host.start()
    viewer.socket.sendall(encode({"id": 7, **request_}))
    reply = viewer.frame("reply")
    assert (reply["id"], reply["ok"]) == (7, False)
    assert sentence in reply["error"]
    viewer.ask("ping")


def test_many_traces_are_read_only_by_force(own_host: Host) -> None:
    viewer = own_host.start()
    viewer.ask("trace_start", frames=1)
    own_host.tell("limit_traces")
    assert "live traces" in viewer.refusal("allocations", by="line", limit=5)
    assert viewer.ask("allocations", by="line", limit=5, force=True)["groups"]


BROKEN = {
    "too large": struct.pack(">I", MAX_FRAME_TO_AGENT_BYTES + 1),
    "not JSON": struct.pack(">I", 3) + b"{]}",
    "not UTF-8": struct.pack(">I", 2) + b"\xff\xfe",
    "no object": struct.pack(">I", 2) + b"[]",
    "too deep": struct.pack(">I", 200_000) + b"[" * 200_000,
    "too long a number": struct.pack(">I", 100_007) + b'{"id":' + b"9" * 100_000 + b"}",
    "empty": struct.pack(">I", 0),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=list(BROKEN))
def test_a_viewer_that_sends_no_frames_is_dropped(host: Host, data: bytes) -> None:
    keeper, broken = host.start(), host.join()
    broken.socket.sendall(data)
    wait_until(broken.is_cut, "the viewer is dropped")
    keeper.ask("ping")


def test_garbage(own_host: Host) -> None:
    dice = random.Random(20261121)
    keeper = own_host.start()
    for _ in range(300):
        viewer = own_host.join()
        data = dice.randbytes(dice.randrange(200))
        if dice.random() < 0.5:
            data = struct.pack(">I", dice.randrange(150)) + data
        viewer.socket.sendall(data)
        viewer.close()
    keeper.ask("ping")
    wait_until(lambda: own_host.join().frame("hello")["viewers"] <= 3, "the others are dropped")
    assert own_host.errors() == ""


@pytest.mark.parametrize("data", [b"", b"\0", encode({"id": 1, "do": "types", "limit": 9})[:-3]])
def test_a_viewer_that_dies(host: Host, data: bytes) -> None:
    viewer = host.start()
    viewer.ask("trace_start", frames=1)
    viewer.socket.sendall(data)
    viewer.close()
    host.wait_for_leave()
    found = host.tell("residue")
    assert (found["tracing"], found["callbacks"], found["objects"]) == (False, 0, [])


def test_a_viewer_that_does_not_read_is_dropped(host: Host) -> None:
    keeper = host.start(STUCK_SECONDS=0.5)
    stuck = host.join(send_buffer=1)
    stuck.frame("hello")
    stuck.send("types", limit=20_000)
    stuck.send("stream", interval=0.05)
    keeper.ask("stream", interval=0.05)
    fds = set(os.listdir(f"/proc/{host.pid}/fd"))
    wait_until(lambda: len(fds - set(os.listdir(f"/proc/{host.pid}/fd"))) == 1, "the stuck viewer is dropped")
    keeper.ask("ping")


def test_a_slow_reader_gets_whole_replies(own_host: Host) -> None:
    viewer = own_host.start(send_buffer=1)
    viewer.ask("stream", interval=0.05)
    for _ in range(3):
        assert len(viewer.ask("types", limit=20_000)["types"]) > 50


def test_a_flood_of_requests_is_answered_in_order(own_host: Host) -> None:
    viewer = own_host.start()
    numbers = list(range(1000, 1120))
    viewer.socket.sendall(b"".join(encode({"id": number, "do": "ping"}) for number in numbers))
    assert [viewer.frame("reply")["id"] for _ in numbers] == numbers
