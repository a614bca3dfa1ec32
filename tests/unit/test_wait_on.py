"""Registers with which an interrupted wait is made again by the kernel."""

from __future__ import annotations

import pytest

from memtui.attach import aarch64, x86_64

EPOLL_WAIT, FUTEX, NOTHING = 232, 202, (1 << 64) - 1
EINTR, ERESTARTSYS = -4, -512


def raw(call: int, result: int) -> bytes:
    values = {name: 0x1000 + at for at, name in enumerate(x86_64.REGISTERS)}
    return x86_64.pack({**values, "orig_rax": call, "rax": result})


def test_only_the_result_is_changed() -> None:
    before = raw(EPOLL_WAIT, EINTR)
    after = x86_64.made_to_wait_on(before)
    assert after is not None
    old, new = x86_64.unpack(before), x86_64.unpack(after)
    assert {name for name in old if old[name] != new[name]} == {"rax"}
    assert x86_64.signed(new["rax"]) == -514  # ERESTARTNOHAND
    assert x86_64.made_to_wait_on(after) is None


@pytest.mark.parametrize(
    ("call", "result"),
    [(EPOLL_WAIT, 0), (EPOLL_WAIT, ERESTARTSYS), (FUTEX, EINTR), (NOTHING, EINTR)],
)
def test_others_are_as_they_are(call: int, result: int) -> None:
    assert x86_64.made_to_wait_on(raw(call, result)) is None


def test_on_aarch64_it_cannot_be_done() -> None:
    assert aarch64.made_to_wait_on(bytes(272)) is None
