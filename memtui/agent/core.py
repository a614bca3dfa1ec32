"""The agent's loop: one thread, any number of viewers, nothing left behind when the last of them goes."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import gc
import sys
from posix import close, getpid, pipe, read, set_blocking, write
from time import monotonic, thread_time

from .cleanup import Hooks, trim
from .cycles import check as check_cycles
from .grip import Grip
from .heap import collect, count_types, own_objects, types_of_objects
from .native import MAX_SECONDS, Native, NotPossible
from .originals import forget_thread, original
from .pace import EXPECT_AFTER_SECONDS, LONG_WAITS_REMEMBERED_SECONDS, TooBusy, expect_waits, take_grip
from .pauses import Held, Pauses
from .tracing import MAX_FRAMES, MAX_TRACES, Tracing
from .wire import VERSION, TooLarge, Viewer, WireError, encode, hang_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_IN, _OUT, _GONE = 1, 4, 8 | 16 | 32
MIN_INTERVAL, MAX_INTERVAL = 0.05, 3600.0
MAX_ROWS = 20000
_LINGER_MILLISECONDS = 300
"""As long as a read of a connection waits (``TURN`` of the bootstrap)."""
_PENDING_SECONDS = 1.0
"""How often a viewer that does not read is looked at."""


class Refusal(Exception):
    """A request that is not carried out; its text is the sentence for the viewer."""


class Requests:
    """What viewers may ask for, and the samples they get."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.held = Held()
        self.pauses = Pauses()
        self.tracing = Tracing(self.held)
        self.native = Native()
        self.hooks = Hooks()
        self._own_bytes = sum(map(sys.getsizeof, self._own()))

    def _own(self) -> list[Any]:
        return own_objects(__name__.rpartition(".")[0], [self._agent, self])

    def reply(self, viewer: Viewer, request: dict[str, Any]) -> bytes:
        """The answer to one request, as a frame. Never raises."""
        number = request.get("id")
        sent = request.get("sent")
        waited = monotonic() - sent if type(sent) is float else 0.0
        if EXPECT_AFTER_SECONDS < waited < LONG_WAITS_REMEMBERED_SECONDS:
            expect_waits(waited)
        head = {"t": "reply", "id": number if type(number) is int else None, "ok": True}
        try:
            action = _ACTIONS.get(str(request.get("do")))
            if action is None:
                raise Refusal("The agent does not know this request.")
            return encode(dict(head, **action(self, viewer, request)))
        except (Refusal, NotPossible) as refusal:
            sentence = str(refusal)
        except TooLarge:
            sentence = "The answer is too large to send; ask for fewer groups."
        except TooBusy:
            sentence = "The program keeps the GIL for seconds at a time, so this would take too long."
        except Exception as error:
            sentence = "The agent failed to answer (%s)." % type(error).__name__
        return encode(dict(head, ok=False, error=sentence))

    def sample(self) -> dict[str, Any]:
        """One look at what is cheap to know: a few microseconds, whatever the size of the heap."""
        stats = [[one["collections"], one["collected"], one["uncollectable"]] for one in gc.get_stats()]
        return {
            "t": "sample",
            "gc": {
                "enabled": gc.isenabled(),
                "count": gc.get_count(),
                "threshold": gc.get_threshold(),
                "stats": stats,
            },
            "pauses": self.pauses.figures(),
            "tracing": self.tracing.state(),
            "cost": {
                "cpu": thread_time() + self.pauses.cost_seconds(),
                "longest_pause": self.held.longest_seconds,
                "longest_what": self.held.longest_what,
                "bytes": self._own_bytes,
            },
        }

    def stream(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """Samples at an interval in seconds; 0 stops them."""
        interval = request.get("interval", 1.0)
        if type(interval) not in (int, float) or not (interval == 0 or MIN_INTERVAL <= interval <= MAX_INTERVAL):
            raise Refusal("The interval is not 0 and not between %g and %g seconds." % (MIN_INTERVAL, MAX_INTERVAL))
        viewer.interval, viewer.due = float(interval), monotonic()
        return {}

    def trace_start(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """Hold tracing for this viewer."""
        return self.tracing.start(viewer, _number(request, "frames", 1, MAX_FRAMES))

    def trace_stop(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """Let go of it."""
        return self.tracing.release(viewer)

    def allocations(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """Live traced memory in groups."""
        by, limit = request.get("by", "line"), _number(request, "limit", 100, MAX_ROWS)
        if by not in ("line", "file", "traceback"):
            raise Refusal("Allocations can be grouped by line, file or traceback.")
        if not self.tracing.state()["on"]:
            raise Refusal("Tracing is off, so nothing is known about allocations.")
        if self.tracing.estimated_traces() > MAX_TRACES and request.get("force") is not True:
            raise Refusal(
                "There are about %d million live traces; reading them would stop the program for seconds."
                % (self.tracing.estimated_traces() // 1000000)
            )
        begin = thread_time()
        answer = self.tracing.allocations(by, limit)
        return dict(answer, seconds=thread_time() - begin)

    def types(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """Tracked objects by type."""
        limit, begin = _number(request, "limit", 1000, MAX_ROWS), thread_time()
        kinds, own = self.held.call("list objects", types_of_objects)
        pause = self.held.last_seconds
        answer = count_types(kinds, self._own() + own, limit)
        return dict(answer, seconds=thread_time() - begin, pause=pause)

    def collect(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """A full collection."""
        before = self.tracing.state()["traced"]
        answer = collect(self.held)
        after = self.tracing.state()["traced"]
        return dict(answer, traced_freed=None if before is None or after is None else before - after)

    def hooks_choose(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """The program's cleanup hooks for a level; from now on they are this viewer's to run, unless ``busy``."""
        names = self.hooks.choose(viewer, "critical" if request.get("level") == "critical" else "warning")
        return {"hooks": names or [], "busy": names is None}

    def hook_start(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """Run one of them."""
        return {"started": self.hooks.start(viewer, _number(request, "number", 1, MAX_ROWS) - 1)}

    def hook_state(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """How it is getting on."""
        return self.hooks.state()

    def hooks_release(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """This viewer runs no more of them."""
        self.hooks.release(viewer)
        return {}

    def trim(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """The C library gives free memory back."""
        return trim()

    def cycles(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """A checked collection: what is garbage, by type, with cycles."""
        return check_cycles(self.held, _number(request, "limit", 50, MAX_ROWS))

    def native_probe(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """What a native recording would need."""
        return self.native.probe()

    def native_start(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """Record native allocations for this viewer, for so many seconds."""
        seconds = _number(request, "seconds", 30, MAX_SECONDS)
        return self.native.start(viewer, seconds, _number(request, "most_bytes", 1 << 27, 1 << 40))

    def native_state(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """How the recording is getting on."""
        return self.native.state()

    def native_stop(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """End it; its file stays until it is released, or the viewer leaves."""
        return self.native.stop(viewer)

    def native_release(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """Let go of the recording and its file; the viewer stays."""
        self.native.release(viewer)
        return {}

    def ping(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """Nothing, to see whether the agent answers."""
        return {}

    def detach(self, viewer: Viewer, request: dict[str, Any]) -> dict[str, Any]:
        """This viewer leaves."""
        viewer.leaving = True
        return {}


_NAMES = ("stream", "trace_start", "trace_stop", "allocations", "types", "collect", "cycles", "ping", "detach")
_NATIVE = ("native_probe", "native_start", "native_state", "native_stop", "native_release")
_CLEANUP = ("hooks_choose", "hook_start", "hook_state", "hooks_release", "trim")
_ACTIONS = {name: getattr(Requests, name) for name in _NAMES + _NATIVE + _CLEANUP}


def _number(request: dict[str, Any], name: str, default: int, most: int) -> int:
    value = request.get(name, default)
    if type(value) is not int or not 1 <= value <= most:
        raise Refusal("%s is not a whole number from 1 to %d." % (name, most))
    return value


class Agent:
    """Serves viewers until the last one has left. ``grip``: the GIL is held on to already."""

    def __init__(self, grip: Grip | None = None) -> None:
        self._lock = original("_thread", "allocate_lock")()
        self._incoming: list[tuple[int, bool, Callable[[], None]]] = []
        self._closing = False
        self._waker: tuple[int, int] | None = None
        self._viewers: list[Viewer] = []
        self._requests: Requests | None = None
        self._grip = grip or Grip()
        self.at_rest = False  # it has ended, and no hook of the program runs in one of its threads

    def adopt(self, file: int, greeted: bool = False, then: Callable[[], None] = lambda: None) -> bool:
        """Take a connected socket over as one more viewer, from any thread. False when the agent is leaving.

        ``greeted``: it has had its hello and a first sample already. ``then`` is called after that.
        """
        with self._lock:
            if self._closing:
                return False
            self._incoming.append((file, greeted, then))
            if self._waker is not None:
                try:
                    write(self._waker[1], b"+")
                except BlockingIOError:
                    pass
            return True

    def run(self) -> None:
        """Serve in the calling thread; afterwards everything is as it was found. Never raises."""
        try:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
            self._requests = Requests(self)
            self._requests.pauses.add()
            self._serve(self._requests)
        except BaseException:
            pass
        self._leave()

    def _serve(self, requests: Requests) -> None:
        take_grip(self._grip)
        while self._welcome(requests):
            events = self._wait(self._wait_milliseconds(monotonic(), requests.native.due()))
            take_grip(self._grip)
            requests.native.tick()
            if self._waker is not None and events.get(self._waker[0]):
                read(self._waker[0], 4096)
            for viewer in list(self._viewers):
                self._turn(requests, viewer, events.get(viewer.fd, 0))

    def _wait(self, milliseconds: int | None) -> dict[int, int]:
        """What has happened to which file. None: for as long as it takes.

        A viewer that was answered asks again soon: where the GIL is kept it is let go of a little later.
        """
        if self._grip.held and (milliseconds is None or milliseconds > _LINGER_MILLISECONDS):
            lone = self._viewers[0] if len(self._viewers) == 1 else None
            if lone is not None and not lone.pending and lone.wants_to_read():
                try:
                    if lone.listen():
                        return {}
                except WireError:
                    return {lone.fd: _GONE}
            elif events := self._poll(_LINGER_MILLISECONDS):
                return events
            milliseconds = None if milliseconds is None else milliseconds - _LINGER_MILLISECONDS
        self._grip.end()
        return self._poll(milliseconds)

    def _poll(self, milliseconds: int | None) -> dict[int, int]:
        # Imported and opened only here, since both may give the GIL away.
        ready = original("select", "poll")()
        if self._waker is None:
            self._waker = pipe()
            for fd in self._waker:
                set_blocking(fd, False)
            if self._incoming:  # who came until now woke nobody
                return {}
        for viewer in self._viewers:
            ready.register(viewer.fd, _IN * viewer.wants_to_read() | _OUT * viewer.pending)
        ready.register(self._waker[0], _IN)
        return dict(ready.poll(milliseconds))

    def _welcome(self, requests: Requests) -> bool:
        """Take newcomers in. False when there is nobody: from then on nobody is adopted any more."""
        while True:
            with self._lock:
                incoming, self._incoming = self._incoming, []
                if not incoming:
                    self._closing = not self._viewers
                    return not self._closing
            for fd, greeted, then in incoming:
                viewer = Viewer(fd)
                self._viewers.append(viewer)
                try:
                    if not greeted:
                        viewer.send(encode(self._hello(requests)) + encode(requests.sample()))
                except WireError:
                    self._drop(viewer)
                _attempt(then)

    def _hello(self, requests: Requests) -> dict[str, Any]:
        return {
            "t": "hello",
            "version": VERSION,
            "pid": getpid(),
            "python": "%d.%d.%d" % sys.version_info[:3],
            "implementation": sys.implementation.name,
            "viewers": len(self._viewers),
            "thread": original("_thread", "get_native_id")(),
            "tracing": requests.tracing.state(),
        }

    def _wait_milliseconds(self, now: float, due: float) -> int | None:
        times = [one.due for one in self._viewers if one.interval]
        times += [now + _PENDING_SECONDS for one in self._viewers if one.pending]
        times += [one.resumes_at() for one in self._viewers if not one.pending]
        soonest = min([*times, due])
        return None if soonest == float("inf") else max(0, int((soonest - now) * 1000) + 1)

    def _turn(self, requests: Requests, viewer: Viewer, events: int) -> None:
        """Whatever can be done for one viewer now."""
        try:
            if events & _GONE:
                raise WireError("gone")
            if events & _IN:
                viewer.receive()
            viewer.flush()
            self._answer(requests, viewer)
            now = monotonic()
            if viewer.interval and now >= viewer.due:
                viewer.due = max(viewer.due, now - viewer.interval) + viewer.interval
                viewer.send(encode(requests.sample()), droppable=True)
        except WireError:
            self._drop(viewer)

    def _answer(self, requests: Requests, viewer: Viewer) -> None:
        while not viewer.leaving:
            request = viewer.next_request(monotonic())
            if request is None:
                return
            viewer.send(requests.reply(viewer, request))
        if not viewer.pending:
            raise WireError("detached")

    def _drop(self, viewer: Viewer) -> None:
        self._viewers.remove(viewer)
        viewer.close()
        if self._requests is not None:
            _attempt(self._requests.native.release, viewer)
            self._requests.hooks.release(viewer)
            self._requests.tracing.release(viewer)

    def _leave(self) -> None:
        """Undo everything, each step whether or not the others work."""
        with self._lock:
            self._closing = True
            incoming, self._incoming = self._incoming, []
            waker, self._waker = self._waker or (), None
        for viewer in list(self._viewers):
            _attempt(self._drop, viewer)
        if self._requests is not None:
            _attempt(self._requests.pauses.remove)
            self.at_rest = not self._requests.hooks.running
            self._requests = None
        for fd, _, _ in incoming:
            _attempt(hang_up, fd)
        for fd in waker:
            _attempt(close, fd)
        _attempt(forget_thread)
        self._grip.end()


def _attempt(step: Callable[..., None], *arguments: Any) -> None:
    try:
        step(*arguments)
    except BaseException:
        pass
