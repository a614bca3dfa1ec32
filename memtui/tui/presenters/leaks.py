"""The verdict and its suspects: a line each for the panel, and all there is about one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from memtui.analysis.diagnosis.diagnose import Diagnosis, diagnose
from memtui.analysis.native import site_name
from memtui.model.evidence import GrownHolder
from memtui.model.state import State
from memtui.model.suspect import Offer, Suspect
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.tui.actions import ACTIONS, key_of
from memtui.tui.presenters.line import Line, Span, fit, line
from memtui.tui.presenters.text import clean, cut_end, cut_start, pad, wrap

ROLES = {"leak": "bad", "suspect": "warn", "growing": "warn", "healthy": "good", "inconclusive": "dim"}
_BAR_WIDTH = 8
_RATE_WIDTH = 12
_LOOKS_A_DIAGNOSIS = 10
"""A new verdict is made after so many looks; the curve is not followed anew at each."""


class DiagnosisMemo:
    """The diagnosis of the newest State, made anew when there is something new to judge."""

    def __init__(self) -> None:
        self._key: object = None
        self._found: Diagnosis | None = None

    def of(self, state: State, expected: Collection[str] = ()) -> Diagnosis:
        """The diagnosis of a State; suspects with these signatures are expected."""
        looks = state.series.looks
        recent = looks if looks < _LOOKS_A_DIAGNOSIS else looks // _LOOKS_A_DIAGNOSIS
        told = id(state.evidence), id(state.cycles), id(state.native), _tracing(state)
        key = (recent, *told, state.target.pid, state.ending is None, tuple(expected))
        if self._found is None or key != self._key:
            self._key, self._found = key, diagnose(state, expected=frozenset(expected))
        return self._found


def _tracing(state: State) -> bool:
    return state.tracing is not None and state.tracing.on


def headline(diagnosis: Diagnosis) -> Line:
    """The verdict in a few words."""
    verdict = diagnosis.verdict
    rate = verdict.growth_bytes_per_minute
    parts: list[str | Span] = [Span(verdict.state, ROLES[verdict.state]), Span(f" {verdict.confidence:.0%}", "dim")]
    if rate is not None:
        parts.append(f"  {format_bytes(round(rate), sign=True)}/min")
    if verdict.seconds_to_limit is not None:
        parts.append(Span(f"  limit in {format_seconds(verdict.seconds_to_limit)}", "bad"))
    if verdict.pressure is not None:
        parts.append(Span("  memory pressure", "bad"))
    return line(*parts)


def suspect_line(one: Suspect, width: int) -> Line:
    """A suspect in one row: a bar for its share, its rate, what it is and who holds it."""
    rate = one.growth_bytes_per_second
    told = "–" if rate is None else f"{format_bytes(round(rate * 60), sign=True)}/min"
    room = max(8, width - _BAR_WIDTH - _RATE_WIDTH - 3)
    counts = one.lasting and not one.bounded and not one.expected
    mark = "expected: " if one.expected else "fills " if one.bounded else "" if one.lasting else "? "
    text = f"{mark}{name_of(one)}"
    if one.holder is not None:
        text += f" ← {clean(one.holder)}"
    return fit(
        line(
            Span(_bar(one.share), "grow" if counts else "dim"),
            " ",
            Span(pad(told, _RATE_WIDTH, "right"), "dim" if one.expected else "grow"),
            "  ",
            Span(pad(text, room).rstrip(), "dim" if one.expected else ""),
        ),
        width,
    )


def name_of(one: Suspect) -> str:
    """What grows, in a few words."""
    if one.type is not None:
        return clean(one.type)
    return {"native": "native memory", "fragmentation": "free memory kept by allocators"}.get(one.kind, one.category)


def evidence_lines(state: State, one: Suspect, width: int, keys: Mapping[str, str]) -> list[str]:
    """All there is about a suspect, as text broken to a width."""
    lines = [f"{name_of(one)}  [{one.category}]", ""]
    for told in one.evidence:
        lines += wrap(clean(told), width)
    if one.seconds_until_full is not None:
        lines.append(f"Full in {format_seconds(one.seconds_until_full)}.")
    holder = _holder(state, one)
    if holder is not None:
        lines += ["", *_looks(state, holder), "", *_gained(holder)]
        if holder.samples:
            lines += ["", "for example", *(cut_end(f"  {clean(sample)}", width) for sample in holder.samples)]
    if one.chain:
        lines += ["", "held by", *_chain(one, width)]
    lines += [f"allocated at {clean(place.place.file)}:{place.place.line}" for place in one.allocated_at]
    for site in one.native_sites:
        lines += wrap(f"allocated at {clean(site_name(site))}, {format_bytes(site.size_bytes)} not freed", width)
    more = ["", *wrap(offer_text(one.offer, keys), width)] if one.offer is not None else []
    return [*lines, "", *wrap(f"→ {one.advice}", width), *more, "", f"signature {one.signature}"]


def offer_text(offer: Offer, keys: Mapping[str, str]) -> str:
    """An offer with the key that takes it; ``keys``: the user's own."""
    action = next(one for one in ACTIONS if one.id == offer.kind)
    return f"+ {key_of(action, keys)} tells {offer.gives}: {clean(offer.cost)}."


def first_offer(diagnosis: Diagnosis, keys: Mapping[str, str]) -> str:
    """The offer that goes with the likeliest suspect; empty without one."""
    offer = diagnosis.suspects[0].offer if diagnosis.suspects else None
    return "" if offer is None else offer_text(offer, keys)


def _holder(state: State, one: Suspect) -> GrownHolder | None:
    holders = state.evidence.holders if state.evidence is not None else ()
    return next((holder for holder in holders if one.holder is not None and holder.path == one.holder), None)


def _looks(state: State, holder: GrownHolder) -> list[str]:
    assert state.evidence is not None
    elements = holder.elements or holder.objects
    rows = (
        f"{look.at_seconds:7.1f} s {format_count(count):>10} {format_bytes(size):>12}"
        for look, count, size in zip(state.evidence.looks, elements, holder.sizes_bytes, strict=False)
    )
    return ["     look   elements        bytes", *rows]


def _gained(holder: GrownHolder) -> list[str]:
    rows = (
        f"{format_count(one.objects, sign=True):>9} {format_bytes(one.size_bytes):>10}  {clean(one.type)}"
        for one in holder.types[:8]
    )
    return ["gained", *rows]


def _chain(one: Suspect, width: int) -> list[str]:
    steps = [clean(step) for step in one.chain]
    return [cut_start(f"{'  ' * min(depth, 12)}└ {step}", width) for depth, step in enumerate(steps)]


def _bar(share: float) -> str:
    eighths = round(max(0.0, min(1.0, share)) * _BAR_WIDTH * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")).ljust(_BAR_WIDTH)
