"""Who is watched, how far memtui has climbed, and what that costs the process."""

from __future__ import annotations

import shlex

from rich.cells import cell_len

from memtui.model.native import NativeProgress
from memtui.model.sample import Cost
from memtui.model.state import Picturing, State
from memtui.model.target import Rung
from memtui.model.units import format_bytes, format_seconds
from memtui.tui.presenters.heap import bar
from memtui.tui.presenters.line import Line, Span, fit, line, spread, width_of
from memtui.tui.presenters.text import ELLIPSIS, clean, cut_end, cut_middle

RUNG_WORDS = {
    Rung.PROCESS: "process: /proc only",
    Rung.OBSERVE: "observing from outside",
    Rung.AGENT: "agent inside",
    Rung.TRACER: "agent and native tracer inside",
}

_NEXT_RUNG = (
    "next: the agent adds the lines that allocate, gc pauses, forced gc; it costs a thread and a stop of about 1 ms",
    "next: agent adds lines and gc, costs a stop of ~1 ms",
    "next: agent adds lines, gc; ~1 ms stop",
)
_NEXT_RUNG_BY_GDB = (
    "next: the agent adds the lines that allocate, gc pauses, forced gc; gdb stops the process for 0.1 to 1 s",
    "next: agent adds lines and gc; gdb stops it for 0.1 to 1 s",
    "next: agent, by gdb; 0.1 to 1 s stop",
)
_TRACING = (
    "next: tracing adds the lines that allocate; such code runs 2 to 13 times slower",
    "next: tracing adds lines; 2 to 13 times slower",
)
"""What is one step up and its price, the longest text that fits."""

_PROGRESS_WIDTH = 16
_LEADING_WORDS = 3
"""``python -m uvicorn``: with fewer words the start of a command does not say what it is."""


def identity(state: State, width: int, *, progress: bool = False) -> Line:
    """Pid, command, Python version and uptime; with ``progress`` rather how far what is in the making is."""
    target = state.target
    name = line(Span(" memtui ", "title"), Span("pid ", "dim"), Span(f"{target.pid}  ", "strong"))
    python = f"Python {clean(target.python)}" if target.python else "Python –"
    right = line(Span(python, "dim"), Span("  up ", "dim"), f"{format_seconds(_uptime(state))} ")
    if width < 60:
        right = ()
    if progress and state.picturing is not None:
        right = line(Span(f"{_progress(state.picturing)} ", "accent"))
    elif progress and state.native_progress is not None:
        right = line(Span(f"{recording(state.native_progress)} ", "accent"))
    room = width - width_of(name) - width_of(right) - (2 if right else 0)
    return spread((*name, Span(_command(target.command, max(8, room)))), right, width)


def status(state: State, width: int, *, paused: bool = False) -> Line:
    """The rung in words, what is under way or in the way, and the cost."""
    marks: list[str | Span] = [" "]
    if paused:
        marks += [Span(" PAUSED ", "busy"), " "]
    marks += standing_alerts(state)
    if state.recording is not None:
        since = state.now_seconds - state.recording.since_seconds
        marks += [Span(" REC ", "busy"), Span(f" {format_seconds(since)}  ")]
    if state.picturing is not None:
        marks += [Span(_progress(state.picturing), "accent"), Span(f" {clean(state.picturing.step)}", "warn"), "  "]
    if state.native_progress is not None:
        marks += [Span(recording(state.native_progress), "warn"), "  "]
    if state.busy:
        marks += [Span(clean(", ".join(state.busy)) + "…", "warn"), "  "]
    if state.ending:
        role = "strong" if state.ending.exit_code == 0 else "bad"
        marks += [Span(" ENDED ", "busy"), " ", Span(clean(state.ending.text), role)]
    else:
        marks.append(Span(RUNG_WORDS[state.rung], "good"))
        if state.note:
            marks += [Span("  "), Span(clean(state.note), "dim")]
    right = cost(state.cost, state.now_seconds) if width >= 100 else ()
    left = line(*marks)
    left += _next_step(state, width - width_of(left) - (width_of(right) + 2 if right else 0))
    if not right or width_of(left) + width_of(right) + 2 > width:
        return fit(left, width)
    return spread(left, right, width)


def recording(made: NativeProgress) -> str:
    """How far a native recording is, in words."""
    left = "" if made.seconds_left is None else f", {format_seconds(made.seconds_left)} left"
    return f"{made.step}{left}…"


def standing_alerts(state: State) -> list[str | Span]:
    """The most serious threshold that is crossed now, and how many more there are."""
    standing = [one for one in state.alerts if one.until_seconds is None] if state.ending is None else []
    if not standing:
        return []
    first = next((one for one in reversed(standing) if one.level == "critical"), standing[-1])
    role = "bad" if first.level == "critical" else "warn"
    more = f" and {len(standing) - 1} more" if len(standing) > 1 else ""
    return [Span(f" {first.level.upper()} ", "busy"), " ", Span(f"{first.rule}{more}", role), "  "]


def _next_step(state: State, room: int) -> Line:
    """What the next rung adds and costs, when it can be climbed and nothing more urgent is said."""
    if state.ending or state.note or state.busy or state.picturing or state.native_progress or state.playback:
        return ()
    texts: tuple[str, ...] = ()
    if state.rung is Rung.OBSERVE:
        texts = _NEXT_RUNG_BY_GDB if state.entry_cost else _NEXT_RUNG
    elif state.rung is Rung.AGENT and not (state.tracing and state.tracing.on):
        texts = _TRACING
    fitting = next((text for text in texts if cell_len(text) + 2 <= room), "")
    return line(Span(f"  {fitting}", "dim")) if fitting else ()


def _progress(made: Picturing) -> str:
    """A bar with the share in percent."""
    return f"{bar(round(1000 * made.fraction), 1000, _PROGRESS_WIDTH)} {100 * made.fraction:3.0f} %"


def cost(paid: Cost, seconds: float) -> Line:
    """What memtui costs the process, as measured."""
    if paid.target_cpu_seconds is None and paid.target_bytes is None and paid.target_longest_pause_seconds is None:
        return line(Span("cost to the process: none so far ", "dim"))
    cpu = (
        "–" if paid.target_cpu_seconds is None or seconds <= 0 else f"{100 * paid.target_cpu_seconds / seconds:.2f} %"
    )
    return line(
        Span("cost ", "dim"), Span(f"{cpu} CPU, longest pause ", "dim"),
        Span(f"{format_seconds(paid.target_longest_pause_seconds)}, {format_bytes(paid.target_bytes)} ", "dim"),
    )  # fmt: skip


def _command(words: tuple[str, ...], width: int) -> str:
    """The command line in ``width`` cells: the directory of the program goes first, then words of the middle."""
    if not words:
        return cut_end("(command not readable)", width)
    quoted = [clean(shlex.quote(word)) for word in words]
    if cell_len(" ".join(quoted)) <= width:
        return " ".join(quoted)
    quoted[0] = clean(words[0].rsplit("/", 1)[-1])
    return _leave_out_middle(quoted, width)


def _leave_out_middle(words: list[str], width: int) -> str:
    """As many words from both ends as fit around an ellipsis; when too few do, the text is cut in the middle."""
    whole = " ".join(words)
    if cell_len(whole) <= width:
        return whole
    best = ""
    for kept in range(2, len(words)):
        head = (kept + 1) // 2 + (1 if kept > 2 else 0)
        text = " ".join([*words[:head], ELLIPSIS, *words[len(words) - (kept - head) :]])
        if head >= _LEADING_WORDS and cell_len(text) <= width:
            best = text
    return best or cut_middle(whole, width)


def _uptime(state: State) -> float | None:
    started = state.target.started_at
    return None if started is None else max(0.0, state.started_at + state.now_seconds - started)
