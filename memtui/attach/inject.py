"""Getting the agent into a running process: routes, patience, and what is said when it cannot be done."""

from __future__ import annotations

import secrets
import socket
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from memtui.attach.helper_process import HelperProcess
from memtui.attach.plan import LIFETIME_SECONDS, agent_text, bootstrap_source
from memtui.attach.room import check_room
from memtui.attach.seccomp import check_filter
from memtui.attach.ways import Via, Way, choose
from memtui.channel.link import AgentLink
from memtui.channel.meeting import Meeting, meet
from memtui.errors import ChannelError, NoAnswerError, RefusedError, TargetDiedError
from memtui.observe.eligibility import check_attachable
from memtui.observe.process import ProcessReader
from memtui.observe.readiness import Readiness, open_readiness
from memtui.protocol import Frame

_STARTED = ("started", "queued", "queued-without-code", "started-by-gdb", "queued-by-gdb", "asked")
_DEADLINE_SECONDS = 8.0
_ANSWER_SECONDS, _LEAST_ANSWER_SECONDS = 9.5, 1.0
"""From the beginning of the attach to the agent's greeting, and at least from the connection on."""
_READY_SECONDS = 3.0


@dataclass(frozen=True)
class Attached:
    """An agent that is in: the conversation with it, its hello, and how long the target's thread was stopped."""

    pid: int
    link: AgentLink
    hello: Frame
    route: str
    stop_seconds: float


def attach_agent(pid: int, via: Via = "auto", experimental: bool = False) -> Attached:
    """Put the agent into process ``pid``, or join the one that is there.

    ``via`` chooses a way: "auto" is ``sys.remote_exec`` for Python 3.14 and newer, then memtui's own injector.
    ``experimental`` allows the injector on processors on which it was not tried. Takes milliseconds in the target; up
    to some seconds when no safe point comes. Raises RefusedError (nothing was changed, or what was queued will do
    nothing), TargetDiedError, ChannelError.
    """
    with ProcessReader(pid) as process:
        identity, inner_pid = process.identity(), int(process.status()["NSpid"].split()[-1])
    began = time.monotonic()
    token = secrets.token_hex(6)
    with ExitStack() as stack:
        helpers = stack.enter_context(closing(_Helpers(via in ("auto", "ptrace"))))
        interpreter = check_attachable(pid)
        check_room(pid)
        check_filter(pid)
        way = stack.enter_context(closing(choose(interpreter, identity, via, experimental, helpers.run)))
        reader = stack.enter_context(closing(open_readiness(interpreter)))
        meeting = stack.enter_context(closing(meet(pid, token)))
        attempts = _Attempts(pid, inner_pid, reader, way, token, meeting)
        link = AgentLink(attempts.until_connected())
    try:
        left = began + _ANSWER_SECONDS - time.monotonic()
        hello = _meet_agent(pid, link, attempts.text, max(_LEAST_ANSWER_SECONDS, left))
        link.check_version(hello)
    except BaseException:
        link.close()
        raise
    return Attached(pid, link, hello, attempts.route, attempts.stop_seconds)


class _Attempts:
    """The tries of one attach, by the routes of its way, until the deadline."""

    def __init__(self, pid: int, inner_pid: int, reader: Readiness, way: Way, token: str, meeting: Meeting) -> None:
        self._pid, self._inner_pid, self._reader = pid, inner_pid, reader
        self._way, self._token, self._meeting = way, token, meeting
        self._seconds = _DEADLINE_SECONDS + way.more_seconds
        self._end = time.monotonic() + self._seconds
        self._asked_at, self._lifetime_seconds = time.time(), LIFETIME_SECONDS + way.more_seconds
        self._reason, self._failed = "", False
        self.text = b""
        """What the agent waits for from memtui: its text, where an attempt could not carry it along."""
        self.route = ""
        self.stop_seconds = 0.0

    def until_connected(self) -> socket.socket:
        """The channel to the agent. Raises RefusedError at the deadline."""
        route = self._way.first
        while time.monotonic() < self._end:
            _wait_until_ready(self._reader, self._pid)
            outcome = self._attempt(route)
            connection = self._poll(min(self._end, time.monotonic() + self._way.patience_seconds(outcome)))
            if connection is not None:
                return connection
            route = self._way.after(route, outcome)
        raise RefusedError(
            f"The agent could not be put into {self._pid} within {self._seconds:.0f} s.",
            why=self._why(),
            next_step="The process is unharmed and can still be observed; try again when it is less busy.",
        )

    def _why(self) -> str:
        if self._failed:
            return f"{self._reason[:1].upper()}{self._reason[1:]}."
        return f"Its threads reached no point at which Python code can run ({self._reason or 'long calls in C'})."

    def _attempt(self, route: str) -> str:
        """One try. Returns its outcome; raises when there is no use in another."""
        in_main, place = self._way.in_main_thread(route), self._meeting.place
        # The pages that the main thread is given stay in the process: there the text comes later.
        self.text = agent_text() if in_main else self.text
        source = bootstrap_source(
            self._token, self._asked_at, self._inner_pid, in_main, place, self._lifetime_seconds
        )
        answer = self._way.start(route, source)
        outcome = str(answer["outcome"])
        self.stop_seconds = max(self.stop_seconds, float(answer.get("stop_seconds", 0.0)))
        if outcome == "failed" or not self._failed:  # a failure says more than what came of other tries
            self._reason, self._failed = str(answer.get("reason", "")), outcome == "failed"
        if outcome == "ended":
            raise TargetDiedError(f"Process {self._pid} ended while memtui was attaching.")
        if outcome == "replaced":
            raise RefusedError(f"Process {self._pid} replaced its program (exec) just now.", next_step="Try again.")
        if outcome == "stopped":
            raise RefusedError(
                f"Process {self._pid} is stopped.", next_step=f"Continue it first: kill -CONT {self._pid}."
            )
        if outcome == "refused":
            raise RefusedError(
                f"Process {self._pid} cannot be traced: {self._reason}.",
                next_step=f"What is in the way says: memtui doctor {self._pid}",
            )
        if outcome in _STARTED:
            self.route = outcome
        return outcome

    def _poll(self, until: float) -> socket.socket | None:
        pause = 0.0005
        while True:
            try:
                connection = self._meeting.poll()
            except (FileNotFoundError, ProcessLookupError) as error:
                raise TargetDiedError(f"Process {self._pid} ended while memtui was attaching.") from error
            if connection is not None or time.monotonic() > until:
                return connection
            time.sleep(pause)
            pause = min(0.01, pause * 1.1)


class _Helpers:
    """The helpers of one attach, one for each attempt; the first starts up while the target is being looked at."""

    def __init__(self, early: bool) -> None:
        self._stack = ExitStack()
        self._early = self._start() if early else None

    def run(self, plan: dict[str, Any]) -> dict[str, Any]:
        """One attempt."""
        helper, self._early = self._early or self._start(), None
        return _run_helper(plan, helper)

    def close(self) -> None:
        """All of them have ended, or end without doing anything."""
        self._stack.close()

    def _start(self) -> HelperProcess:
        return self._stack.enter_context(closing(HelperProcess()))


def _run_helper(plan: dict[str, Any], helper: HelperProcess) -> dict[str, Any]:
    return helper.run(plan)


def _meet_agent(pid: int, link: AgentLink, text: bytes, seconds: float) -> Frame:
    """Show that memtui is there, send what the agent still needs, and return its hello.

    Raises RefusedError when none comes in time: then the agent leaves as soon as it sees that nobody is there.
    """
    link.send_bytes(text)
    try:
        return link.wait_for(("hello",), seconds)
    except NoAnswerError as error:
        raise RefusedError(
            f"The agent could not be started in {pid} within {seconds:.0f} s.",
            why="Code written in C keeps the GIL for a second and more at a time.",
            next_step="The process is unharmed and can still be observed; try again when it is less busy.",
        ) from error
    except ChannelError as error:
        raise ChannelError("The agent did not start in the process.", why=str(error)) from error


def _wait_until_ready(reader: Readiness, pid: int) -> None:
    """A process that is only just starting, or already finalizing, is left alone."""
    end = time.monotonic() + _READY_SECONDS
    while not reader.ready():
        if time.monotonic() > end:
            raise RefusedError(f"Python in process {pid} is starting up or shutting down.", next_step="Try again.")
        time.sleep(0.02)
