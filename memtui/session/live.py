"""The session on a live process: one thread with one clock that looks, listens, and publishes States."""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from memtui.attach.inject import Attached
from memtui.attach.ways import Via, entry_cost
from memtui.errors import MemtuiError, TargetDiedError
from memtui.model import command as c
from memtui.model.sample import Cost
from memtui.model.state import EventKind, Output, State
from memtui.model.target import Ending, Rung, Target
from memtui.session import messages as m
from memtui.session.agent_port import AgentCommand, AgentPort
from memtui.session.attendants import Attendants
from memtui.session.cycle_check import cycle_check_question
from memtui.session.inbox import Inbox
from memtui.session.interface import Attendant, Listener
from memtui.session.leak_check import LeakCheck
from memtui.session.listeners import Listeners
from memtui.session.native_desk import NativeArrived, NativeDesk
from memtui.session.output import OutputLines
from memtui.session.own_cost import tool_cpu_seconds
from memtui.session.questions import AgentQuestion
from memtui.session.recording.recorder import Recorder
from memtui.session.recording.tape import Tape, TapeCommand
from memtui.session.reducer import reduce
from memtui.session.snapshots import Arrived, SnapshotDesk
from memtui.session.sources import SourceReader
from memtui.session.watcher import NothingToWatch, Watcher
from memtui.session.workload import Exit, Workload, terminal_size

_CLOSE_SECONDS = 20.0
_READS_AT_END = 64
_SCANNING = "counting objects from outside"
_Item = c.Command | Attached | MemtuiError | Arrived | NativeArrived | AgentQuestion


@dataclass(frozen=True)
class LiveOptions:
    """What to watch and how. Exactly one of ``pid`` (attach) and ``workload`` (run) is given.

    ``observe_only`` never puts the agent in, and copies nothing; ``outside_only`` leaves it out until it is needed.
    ``via`` and ``experimental`` are those of :func:`memtui.attach.inject.attach_agent`. ``attendants`` see each look.
    """

    pid: int | None = None
    workload: Workload | None = None
    interval_seconds: float = 1.0
    observe_only: bool = False
    agent_at_once: bool = False
    trace_frames: int | None = None
    via: Via = "auto"
    experimental: bool = False
    outside_only: bool = False
    attendants: tuple[Attendant, ...] = ()

    @property
    def stays_outside(self) -> bool:
        """The agent does not come in by itself."""
        return self.observe_only or self.outside_only


class LiveSession:
    """Implements :class:`memtui.session.interface.Session` on a live process.

    ``recorder`` records it from its first State to its last one; the session begins, feeds and closes it.
    """

    def __init__(self, options: LiveOptions, recorder: Recorder | None = None) -> None:
        self._options = options
        self._workload = options.workload
        self._terminal_size = terminal_size()
        self._output = OutputLines()
        self._inbox: Inbox[_Item] = Inbox()
        self._listeners = Listeners()
        self._closing = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="memtui-session", daemon=True)
        self._agent = AgentPort(
            self._selector,
            emit=self._emit,
            clock=self._clock,
            climbed=self._deliver,
            rss_bytes=self._rss_now,
            outside=lambda: (self._watcher.rung, self._watcher.note),
            snapshot=lambda command: self._desk.take(command),
            native=lambda command: self._native.start(command),
            interval_seconds=options.interval_seconds,
            via=options.via,
            experimental=options.experimental,
        )
        self._agent_busy: tuple[str, ...] = ()
        self._check: LeakCheck | None = None
        self._desk = SnapshotDesk(
            deliver=self._deliver,
            emit=self._emit,
            clock=self._clock,
            state=lambda: self._state,
            rss_bytes=self._rss_now,
            pid=lambda: self._watcher.pid,
            busy_changed=self._tell_busy,
            agent=self._agent,
            observe_only=options.observe_only,
        )
        self._attendants = Attendants(options.attendants, self._fold)
        self._tape = Tape(self._fold, recorder)
        self._native = NativeDesk(
            deliver=self._deliver,
            emit=self._emit,
            clock=self._clock,
            state=lambda: self._state,
            pid=lambda: self._watcher.pid,
            observe_only=options.observe_only,
        )
        self._watcher: Watcher | NothingToWatch
        self._sources: SourceReader
        self._state: State
        self._began = 0.0

    @property
    def state(self) -> State:
        """The newest picture."""
        return self._state

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each new State."""
        return self._listeners.add(listener)

    def request(self, command: c.Command) -> None:
        """Hand a command to the session's thread."""
        self._deliver(command)

    def start(self) -> None:
        """Take the first look and begin ticking. Raises MemtuiError when the target cannot be watched."""
        self._began = time.monotonic()
        self._watcher = self._watch()
        self._sources = SourceReader(self._watcher.pid)
        self._state = State(
            target=self._watcher.target(),
            started_at=time.time(),
            rung=self._watcher.rung,
            note=self._watcher.note,
            entry_cost=entry_cost(self._options.via),
            memory_limit_bytes=self._watcher.memory_limit_bytes(),
            output=Output() if self._workload else None,
            cost=Cost(tool_cpu_seconds=tool_cpu_seconds(self._workload)),
        )
        self._tape.begin(self._state)
        self._selector.register(self._inbox.fd, selectors.EVENT_READ, self._woken)
        if self._workload is not None and self._workload.fd is not None:
            self._selector.register(self._workload.fd, selectors.EVENT_READ, self._read_output)
        if self._options.trace_frames is not None:
            self._deliver(c.StartTracing(self._options.trace_frames))
        elif self._options.agent_at_once or (self._workload is not None and not self._options.stays_outside):
            self._deliver(c.ClimbToAgent())
        self._attendants.begin(self.request)
        self._look()
        self._attendants.attend(lambda: self._state)
        self._thread.start()

    def close(self) -> None:
        """Detach and stop."""
        self._closing.set()
        self._inbox.wake()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)
        self._tape.close()

    def _watch(self) -> Watcher | NothingToWatch:
        workload = self._workload
        pid = workload.pid if workload else self._options.pid
        assert pid is not None
        try:
            return Watcher(pid, launched=workload is not None)
        except MemtuiError:
            if workload is None or workload.poll() is None:
                raise
            return NothingToWatch(Target(pid, workload.argv, launched=True))

    def _deliver(self, item: _Item) -> None:
        if not self._inbox.put(item) and isinstance(item, Attached):
            item.link.close()  # an attach that took longer than the wait for it

    def _clock(self) -> float:
        return round(time.monotonic() - self._began, 6)  # what is recorded gets no longer than it is precise

    # -- from here on: the session's thread ----------------------------------------------------------------------

    def _run(self) -> None:
        interval = self._options.interval_seconds
        due = time.monotonic() + interval
        while not self._closing.is_set():
            for key, _ in self._selector.select(max(0.0, due - time.monotonic())):
                key.data()
            if time.monotonic() >= due:
                due = max(due + interval, time.monotonic())
                self._tick()
        self._leave()

    def _tick(self) -> None:
        if self._state.ending is None:
            self._look()
            self._go_on_checking()
        self._attendants.attend(lambda: self._state)
        self._follow_terminal()
        self._flush_output()
        self._tape.check()
        self._publish()

    def _follow_terminal(self) -> None:
        """The workload's terminal is as large as the one the user looks at."""
        size = terminal_size()
        if self._workload is not None and size != self._terminal_size:
            self._terminal_size = size
            self._workload.resize(*size)

    def _look(self) -> None:
        try:
            self._fold_seen(self._watcher.look(self._clock(), tool_cpu_seconds(self._workload)))
            self._agent.tick(self._watcher.cpu_seconds())
            self._climb_if_wanted()
        except TargetDiedError:
            self._target_gone()
        except MemtuiError as error:
            self._fold(m.Noted(EventKind.ERROR, str(error)))
        if self._workload is not None and (exited := self._workload.poll()) is not None:
            self._workload_ended(exited)

    def _woken(self) -> None:
        for item in self._inbox.take():
            if isinstance(item, (Attached, MemtuiError)):
                self._agent.arrived(item)
            elif isinstance(item, Arrived):
                self._desk.arrived(item)
            elif isinstance(item, NativeArrived):
                self._native.arrived(item)
            elif isinstance(item, AgentQuestion):
                self._agent.put(item)
            else:
                self._command(item)
        self._publish()

    def _command(self, command: c.Command) -> None:
        if isinstance(command, c.SendInput):
            if self._workload is not None:
                self._workload.send(command.text)
        elif isinstance(command, TapeCommand):
            self._tape.obey(command, lambda: self._state)
        elif isinstance(command, c.GroupAllocations):
            self._fold(m.Grouped(command.by))
            self._agent.group(command)
        elif self._state.ending is not None:
            self._fold(m.Noted(EventKind.WARNING, "The process has ended."))
        elif isinstance(command, c.CheckForLeaks):
            self._check = LeakCheck(self._clock(), command.seconds)
            self._go_on_checking()
        elif isinstance(command, c.TakeSnapshot) and self._state.rung is not Rung.PROCESS and not self._agent.coming:
            self._desk.take(command)
        elif isinstance(command, c.StopNative):
            self._native.stop()
        elif isinstance(command, c.StartNative) and not command.accepted:
            self._native.ask(command)
        else:
            self._hand_over(command)

    def _hand_over(self, command: AgentCommand) -> None:
        """To the agent, unless something is to be asked first."""
        if question := cycle_check_question(self._state, command):
            self._fold(question)
            return
        self._agent.do(command)
        self._climb_if_wanted()

    def _go_on_checking(self) -> None:
        """The next picture of a check for leaks, when it is due and nothing else is under way."""
        if self._check is None or self._desk.busy:
            return
        if self._check.due(self._clock()):
            self._command(c.TakeSnapshot())
        if self._check.is_over:
            self._check = None
        self._tell_busy()

    def _tell_busy(self) -> None:
        if self._state.ending is None:
            checking = (self._check.told(),) if self._check is not None else ()
            scanning = (_SCANNING,) if self._desk.scanning else ()
            self._fold(m.Busy((*self._agent_busy, *checking, *scanning)))

    def _climb_if_wanted(self) -> None:
        if not self._agent.wanted:
            return
        if self._options.observe_only:
            self._agent.refuse()
            self._fold(m.Noted(EventKind.WARNING, "Observing only: --observe-only keeps the agent out."))
        elif self._state.rung is not Rung.PROCESS or self._workload is None:
            self._agent.climb(self._watcher.pid)
        # else: the workload's Python is still starting; every look asks again

    def _rss_now(self) -> int | None:
        try:
            self._fold_seen(self._watcher.look(self._clock(), tool_cpu_seconds(self._workload)))
        except MemtuiError:
            return None
        last = self._state.series.last
        return last.rss_bytes if last else None

    def _emit(self, message: m.Message) -> None:
        if isinstance(message, m.AllocationsSeen):
            message = m.AllocationsSeen(self._sources.fill(message.allocations))
        elif isinstance(message, m.SnapshotTaken) and message.snapshot.allocations:
            lines = self._sources.fill(message.snapshot.allocations)
            message = m.SnapshotTaken(replace(message.snapshot, allocations=lines))
        if isinstance(message, m.Busy):
            self._agent_busy = message.what
            self._tell_busy()
        else:
            self._fold(message)
        if not isinstance(message, m.AgentReported):
            self._publish()

    def _read_output(self) -> None:
        assert self._workload is not None
        fd = self._workload.fd
        self._output.feed(self._workload.read())
        if self._workload.fd is None and fd is not None:
            self._selector.unregister(fd)

    def _flush_output(self) -> None:
        arrived = self._output.take()
        if arrived is not None:
            self._fold(arrived)

    def _target_gone(self) -> None:
        if self._workload is None:
            text = f"Process {self._watcher.pid} ended (only its parent can see its exit code)"
            self._end(Ending(self._clock(), text))
        elif self._watcher.pid != self._workload.pid:
            self._fold_seen(self._watcher.fall_back())
        # else: the workload's own exit is the end

    def _workload_ended(self, exited: Exit) -> None:
        assert self._workload is not None
        for _ in range(_READS_AT_END):
            if not (data := self._workload.read()):
                break
            self._output.feed(data)
        self._flush_output()
        self._end(Ending(self._clock(), f"The workload {exited.text}", exit_code=exited.code, signal=exited.signal))

    def _end(self, ending: Ending) -> None:
        if self._state.ending is None:
            self._fold(m.Ended(ending))
            self._agent.hang_up()

    def _fold_seen(self, messages: tuple[m.Message, ...]) -> None:
        """Fold what the watcher saw; another program or process is one without the agent."""
        for message in messages:
            if isinstance(message, m.TargetChanged):
                self._agent.hang_up()
                self._sources = SourceReader(message.target.pid)
            if not (isinstance(message, m.Climbed) and self._agent.connected):
                self._fold(message)

    def _fold(self, message: m.Message) -> None:
        self._state = reduce(self._state, message, self._clock())
        self._tape.add(message, self._state)

    def _publish(self) -> None:
        self._listeners.tell(self._state)

    def _leave(self) -> None:
        self._desk.leave()
        self._native.leave()
        self._agent.leave()
        self._attendants.end()
        self._fold(m.ToolPaid(tool_cpu_seconds(self._workload)))
        for item in self._inbox.close():
            if isinstance(item, Attached):
                item.link.close()
        self._watcher.close()
        self._selector.close()
