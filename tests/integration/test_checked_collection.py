"""The checked collection on every interpreter: what it finds, and that nothing of it is left."""

from __future__ import annotations

from typing import Any

from agent_driver import Host, wait_until

COUNT = 300


def counts(rows: list[list[Any]]) -> dict[str, int]:
    return {row[0]: row[1] for row in rows}


def test_what_is_found_and_that_all_is_undone(host: Host) -> None:
    host.tell("garbage", count=COUNT)
    before = host.tell("collector")
    assert before["shops"] == COUNT
    viewer = host.start()
    reply = viewer.ask("cycles", limit=20)
    found = counts(reply["types"])
    assert (found["__main__.Shop"], found["__main__.Order"]) == (COUNT, 2 * COUNT)
    assert found["list"] >= COUNT
    assert reply["objects"] == sum(found.values())
    assert reply["bytes"] >= reply["objects"] * 16
    assert ["__main__.Order.shop", "__main__.Shop.orders", "list[0]"] in reply["cycles"]
    assert ["__main__.Finalized.me"] in reply["cycles"]
    assert (reply["before"], reply["before_count"]) == ([["str", 1]], 1)
    assert (reply["enabled"], reply["flags"], reply["freed"], reply["not_freed"]) == (False, 0, True, [])
    assert 0 < reply["pause"] <= reply["seconds"]
    after = host.tell("collector")
    assert (after["shops"], after["orders"]) == (0, 0)
    assert sorted(after["seen"]) == ["callback", "finalizer"], "each ran once, as in any collection"
    assert after["touched"] == [], "no code of an object ran"
    same = ("flags", "enabled", "garbage")
    assert [after[name] for name in same] == [before[name] for name in same] == [0, False, ["ours"]]
    viewer.close()
    host.wait_for_leave()
    assert host.end() == (0, "")


def test_it_is_undone_when_the_viewer_is_gone_in_the_middle(own_host: Host) -> None:
    own_host.tell("garbage", count=20 * COUNT)
    viewer = own_host.start()
    viewer.ask("ping")
    viewer.send("cycles")
    viewer.close()
    own_host.wait_for_leave()
    after = own_host.tell("collector")
    assert (after["flags"], after["enabled"], after["garbage"]) == (0, False, ["ours"])


def test_what_no_collection_frees_is_named(host: Host) -> None:
    host.tell("garbage", count=0, never_freed=COUNT)
    viewer = host.start()
    reply = viewer.ask("cycles", limit=20)
    assert counts(reply["types"])["itertools.chain"] == COUNT
    assert counts(reply["not_freed"]) == {"itertools.chain": COUNT, "tuple": COUNT, "tuple_iterator": COUNT}
    assert host.tell("collector")["garbage"] == ["ours"]


def test_a_program_that_saves_all_itself_goes_on_doing_so(own_host: Host) -> None:
    own_host.tell("garbage", count=COUNT)
    own_host.tell("save_all")
    reply = own_host.start().ask("cycles", limit=20)
    assert counts(reply["types"])["__main__.Shop"] == COUNT
    assert (reply["flags"], reply["freed"]) == (32, False)
    after = own_host.tell("collector")
    assert (after["flags"], after["garbage"], after["shops"]) == (32, ["ours"], COUNT)


def test_another_list_in_the_place_of_gc_garbage(own_host: Host) -> None:
    own_host.tell("garbage", count=COUNT)
    own_host.tell("replace_garbage")
    reply = own_host.start().ask("cycles", limit=20)
    assert counts(reply["types"])["__main__.Shop"] == COUNT
    after = own_host.tell("collector")
    assert (after["garbage"], after["shops"]) == (["another list"], 0)


def test_beside_threads_that_collect_all_the_time(host: Host) -> None:
    host.tell("churn", threads=2)
    viewer = host.start()
    for _ in range(4):
        reply = viewer.reply("cycles", limit=20)
        assert reply["ok"] or "Another thread" in reply["error"]
    after = host.tell("collector")
    assert (after["flags"], after["garbage"], after["enabled"]) == (0, [], True)


def test_ten_thousand_types(own_host: Host) -> None:
    own_host.tell("many_types", count=10_000)
    viewer = own_host.start()
    reply = viewer.ask("cycles", limit=20)
    assert counts(reply["types"])["type"] >= 10_000
    assert reply["complete"]
    assert len(reply["types"]) <= 20
    assert any(step.startswith("type.") for steps in reply["cycles"] for step in steps)
    wait_until(lambda: viewer.ask("ping")["ok"], "the agent answers")
