"""Clean-ups by the agent in every interpreter: hooks, a collection, the C library; and what is left behind."""

from __future__ import annotations

from typing import Any

import pytest
from agent_driver import Host, Viewer, wait_until


def run_hook(viewer: Viewer, number: int) -> dict[str, Any]:
    """Start one, and wait until it has ended."""
    assert viewer.ask("hook_start", number=number)["started"]
    states: list[dict[str, Any]] = []

    def ended() -> bool:
        states.append(viewer.ask("hook_state"))
        return not states[-1]["running"]

    wait_until(ended, "the hook ends")
    return states[-1]


def test_a_whole_clean_up_and_nothing_is_left(host: Host) -> None:
    host.tell("grow", count=300, size=400)
    host.tell("hooks", names=["free", "fail", "leave"])
    before = host.traces()
    viewer = host.start()
    chosen = viewer.ask("hooks_choose", level="critical")
    assert (chosen["hooks"], chosen["busy"]) == (["free", "fail", "leave"], False)
    free = run_hook(viewer, 1)
    assert free["blocks_freed"] > 300
    assert free["seconds"] >= 0
    assert free["error"] is None
    assert run_hook(viewer, 2)["error"] == "ValueError: the hook's own trouble"
    assert run_hook(viewer, 3)["error"] == "SystemExit: 3"
    viewer.ask("hooks_release")
    host.tell("cycles", count=500)
    assert viewer.ask("collect")["collected"] >= 0
    trimmed = viewer.ask("trim")
    assert trimmed["error"] is None
    assert type(trimmed["trimmed"]) is bool
    viewer.ask("detach")
    host.wait_for_leave()
    after = host.traces()
    assert {**after, "frames": before["frames"]} == before
    assert host.end() == (0, "")


def test_memory_goes_back_to_the_system(host: Host) -> None:
    viewer = host.start()
    host.tell("hooks", names=["free"])
    host.tell("grow", count=40_000, size=2000)
    kept = rss_bytes(host.pid)
    viewer.ask("hooks_choose", level="warning")
    run_hook(viewer, 1)
    viewer.ask("collect")
    assert viewer.ask("trim")["trimmed"]
    assert kept - rss_bytes(host.pid) > 60_000_000


def rss_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def test_the_level_chooses_the_hooks(own_host: Host) -> None:
    viewer = own_host.start()
    assert viewer.ask("hooks_choose", level="critical")["hooks"] == [], "the program has no memtui"
    own_host.tell("hooks", names=["fail", "free"])
    assert viewer.ask("hooks_choose", level="warning")["hooks"] == ["free"]
    assert viewer.ask("hooks_choose", level="critical")["hooks"] == ["fail", "free"]
    assert not viewer.ask("hook_start", number=3)["started"]
    assert "number" in viewer.refusal("hook_start", number=0)


@pytest.mark.parametrize("value", [None, [["a", "critical", 5]], 7, "text", {"a": 1}])
def test_what_is_no_list_of_hooks_is_none(own_host: Host, value: object) -> None:
    own_host.tell("hooks", names=["free"])
    own_host.tell("set_hooks", value=value)
    assert own_host.start().ask("hooks_choose", level="critical")["hooks"] == []


def test_a_hook_that_hangs_holds_up_nobody(host: Host) -> None:
    host.tell("hooks", names=["hang", "free"])
    viewer = host.start()
    viewer.ask("hooks_choose", level="critical")
    assert viewer.ask("hook_start", number=1)["started"]
    assert viewer.ask("hook_state")["running"]
    assert not viewer.ask("hook_start", number=2)["started"]
    other = host.join()
    assert other.ask("hooks_choose", level="critical")["busy"]
    assert other.ask("collect")["seconds"] >= 0
    viewer.close()
    other.ask("ping")
    assert other.ask("hooks_choose", level="critical")["busy"], "it goes on without its viewer"
    host.tell("release_hook")
    wait_until(lambda: not other.ask("hooks_choose", level="critical")["busy"], "the hook ends")
    assert run_hook(other, 2)["error"] is None
    other.ask("detach")
    host.wait_for_leave()
    assert host.traces()["threads"] == 1


def test_the_agent_may_leave_while_a_hook_hangs(own_host: Host) -> None:
    own_host.tell("hooks", names=["hang"])
    viewer = own_host.start()
    viewer.ask("hooks_choose", level="critical")
    viewer.ask("hook_start", number=1)
    viewer.ask("detach")
    wait_until(viewer.is_cut, "the agent leaves")
    later = own_host.start()
    assert later.ask("hooks_choose", level="critical")["busy"], "another agent does not run it once more"
    later.ask("detach")
    wait_until(later.is_cut, "the agent leaves")
    own_host.tell("release_hook")
    own_host.wait_for_leave()
    wait_until(lambda: not own_host.traces()["objects"], "nothing of the agent is left")
    assert own_host.end() == (0, "")


def test_tracing_is_shared_with_the_programs_own_memtui(host: Host) -> None:
    """Whoever of the two began it, it goes on until neither needs it."""
    before = host.traces()
    viewer = host.start()
    host.tell("own_memtui")
    host.tell("own_trace", on=True)
    started = viewer.ask("trace_start", frames=3)
    assert (started["started"], started["found_on"]) == (False, False)
    assert not host.tell("own_trace", on=False)["stopped"]
    assert host.tell("residue")["tracing"]
    host.tell("own_trace", on=True)
    assert not viewer.ask("trace_stop")["stopped"]
    assert host.tell("residue")["tracing"]
    assert host.tell("own_trace", on=False)["stopped"]
    viewer.ask("trace_start", frames=1)
    host.tell("own_trace", on=True)
    viewer.ask("detach")
    host.wait_for_leave()
    assert host.tell("residue")["tracing"]
    host.tell("own_trace", on=False)
    assert not host.tell("residue")["tracing"]
    assert before["tracing"] is False
