"""A soak test as Markdown, for the summary of a CI job or a comment on a pull request."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from memtui.analysis.diagnosis.diagnose import Diagnosis
from memtui.analysis.soak import Check
from memtui.model.suspect import Suspect
from memtui.model.units import format_bytes
from memtui.report.pictures import printable
from memtui.report.soak import SoakReport, figures, headline

_MOST_SUSPECTS = 5
_MARKS = {None: "⚪ unknown", True: "❌ failed", False: "✅ passed"}


def markdown_of(soak: SoakReport) -> bytes:
    """The document, in UTF-8."""
    return ("\n".join(_lines(soak)) + "\n").encode("utf-8", "replace")


def _lines(soak: SoakReport) -> Iterator[str]:
    target = soak.state.target
    yield f"## memtui soak: {as_text(headline(soak))}"
    yield ""
    yield f"{as_code(shlex.join(target.command))}, process {target.pid}, Python {target.python or '–'}"
    yield ""
    yield from verdict_lines(soak.result.diagnosis)
    if soak.obstacle:
        yield f"- The heap was not looked into: {as_text(soak.obstacle)}"
    yield ""
    yield from table(("Check", "Result", ""), (_check(one) for one in soak.result.checks))
    yield ""
    yield from table(("Figure", "Value"), ((name, as_text(value)) for name, value in figures(soak)))
    yield from suspects_table(soak.result.diagnosis)


def verdict_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """A part of a document: the verdict and its reasons."""
    verdict = diagnosis.verdict
    yield f"**Verdict: {verdict.state}** (confidence {verdict.confidence:.0%}, rule {verdict.rule})"
    yield ""
    yield from (f"- {as_text(reason)}" for reason in verdict.reasons)


def suspects_table(diagnosis: Diagnosis) -> Iterator[str]:
    """A part of a document: the likeliest suspects; nothing when there are none."""
    suspects = diagnosis.suspects[:_MOST_SUSPECTS]
    if suspects:
        yield ""
        yield "### Suspects"
        yield ""
        yield from table(
            ("", "What grows", "Category", "Held by", "Rate", "Advice"),
            (_suspect(rank, one) for rank, one in enumerate(suspects, start=1)),
        )


def _check(check: Check) -> tuple[str, str, str]:
    return check.name, _MARKS[check.broken], as_text(check.text)


def _suspect(rank: int, one: Suspect) -> tuple[str, ...]:
    rate = "–" if one.growth_bytes_per_second is None else f"{format_bytes(one.growth_bytes_per_second)}/s"
    what = as_code(one.type) if one.type is not None else one.kind
    held = "–" if one.holder is None else as_code(one.holder)
    return str(rank), what, one.category, held, rate, as_text(one.advice)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A table; the cells are Markdown."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def as_text(text: str) -> str:
    """Text of the target that must not become markup or end a cell."""
    shown = printable(text)
    for character in "\\`*_[]<>|#":
        shown = shown.replace(character, f"\\{character}")
    return shown


def as_code(text: str) -> str:
    """As code; a bar would end the cell of a table even there."""
    shown = printable(text).replace("|", "\\|")
    fence = "``" if "`" in shown else "`"
    return f"{fence}{' ' if fence == '``' else ''}{shown}{' ' if fence == '``' else ''}{fence}"
