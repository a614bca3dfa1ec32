"""What the machine and the user's rights on it mean for attaching to processes: a judgement over gathered facts."""

from __future__ import annotations

from dataclasses import dataclass

from memtui.errors import RefusedError
from memtui.model.diagnosis import MachineFinding, Obstacle, Standing
from memtui.observe.machine import Machine, check_machine
from memtui.observe.permission import about_scope

_CAPABILITY = "Start the container with --cap-add=SYS_PTRACE (Kubernetes: securityContext.capabilities.add)."
_SECCOMP = {0: "no filter over memtui's system calls", 1: "strict mode", 2: "a filter is over memtui's system calls"}


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """``ptrace``: what refuses it to memtui. ``fetching``: why sockets cannot be fetched, empty when they can.

    ``gdb`` and ``memray``: where they are; None without them.
    """

    machine: Machine
    ptrace: Obstacle | None
    fetching: str
    gdb: str | None
    memray: str | None


def judge_machine(facts: MachineFacts) -> tuple[MachineFinding, ...]:
    """One finding for each thing that matters. The agent can go into processes of one's own if none is blocked."""
    found = (_kernel(facts.machine), _user(facts.machine), _yama(facts.machine), _ptrace(facts), _channel(facts))
    return (*found, *_namespace(facts.machine), _gdb(facts), _memray(facts))


def _kernel(machine: Machine) -> MachineFinding:
    text = f"{machine.system} {machine.kernel} on {machine.architecture}"
    try:
        check_machine(machine)
    except RefusedError as error:
        return MachineFinding("kernel", Standing.BLOCKED, f"{text}. {error.what} {error.why}", error.next_step)
    return MachineFinding("kernel", Standing.FINE, text)


def _user(machine: Machine) -> MachineFinding:
    if machine.may_trace_all:
        text = f"{machine.user}, with the capability SYS_PTRACE: processes of all users"
        return MachineFinding("user", Standing.FINE, text)
    if machine.user == "root":
        text = "root, but without the capability SYS_PTRACE: plain processes of root only"
        return MachineFinding("user", Standing.LIMITED, text, _CAPABILITY)
    text = f"{machine.user}, without the capability SYS_PTRACE: processes of {machine.user} only"
    return MachineFinding("user", Standing.LIMITED, text, "For those of others: sudo memtui attach PID")


def _yama(machine: Machine) -> MachineFinding:
    scope = machine.ptrace_scope
    if scope == 0:
        return MachineFinding(
            "yama", Standing.FINE, "does not restrict tracing (kernel.yama.ptrace_scope 0 or absent)"
        )
    if machine.may_trace_all and scope < 3:
        return MachineFinding("yama", Standing.FINE, f"kernel.yama.ptrace_scope={scope} does not hold for you")
    why, remedy = about_scope(scope, "PID")
    return MachineFinding("yama", Standing.BLOCKED, why, remedy)


def _ptrace(facts: MachineFacts) -> MachineFinding:
    seccomp = _SECCOMP.get(facts.machine.seccomp, "unknown")
    if facts.ptrace is not None:
        text = f"{facts.ptrace.what} {facts.ptrace.why} seccomp: {seccomp}."
        return MachineFinding("ptrace", Standing.BLOCKED, text, facts.ptrace.remedy)
    return MachineFinding("ptrace", Standing.FINE, f"works on a child of memtui (seccomp: {seccomp})")


def _channel(facts: MachineFacts) -> MachineFinding:
    if not facts.fetching:
        return MachineFinding("channel", Standing.FINE, "a private socket, fetched with pidfd_getfd")
    text = f"{facts.fetching} The agent calls on a socket in a private directory of its /tmp instead."
    return MachineFinding("channel", Standing.LIMITED, text)


def _namespace(machine: Machine) -> tuple[MachineFinding, ...]:
    if not machine.in_user_namespace:
        return ()
    text = "memtui runs in a user namespace of its own (a container?): processes outside are out of reach"
    return (MachineFinding("namespace", Standing.LIMITED, text, "Run memtui on the host."),)


def _gdb(facts: MachineFacts) -> MachineFinding:
    return MachineFinding("gdb", Standing.FINE, f"{facts.gdb or 'not installed'} (only --via gdb needs it)")


def _memray(facts: MachineFacts) -> MachineFinding:
    if facts.memray:
        return MachineFinding("memray", Standing.FINE, f"importable, {facts.memray}")
    remedy = "pip install memray, into memtui's environment"
    return MachineFinding("memray", Standing.LIMITED, "not importable: native recordings cannot be read", remedy)
