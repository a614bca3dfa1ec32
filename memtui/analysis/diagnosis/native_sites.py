"""Puts what a native recording said into the suspect that it is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from memtui.analysis.native import python_place, site_name, total, who
from memtui.model.native import NativeKind, NativeResult, NativeSite
from memtui.model.suspect import Suspect
from memtui.model.units import format_bytes, format_count, format_seconds

_MOST_SITES = 3
_SHARE = 0.1
"""Of the largest site: what is less is not named."""


def with_native_sites(suspects: Iterable[Suspect], result: NativeResult | None) -> tuple[Suspect, ...]:
    """The suspects; those of native memory with the call sites of ``result``, if there is one."""
    return tuple(suspects if result is None else (_told(one, result) for one in suspects))


def _told(one: Suspect, result: NativeResult) -> Suspect:
    if one.kind != "native":
        return one
    report = result.report
    window = "" if report.seconds is None else f" in {format_seconds(report.seconds)}"
    sites = _worth_naming(report.sites)
    evidence = [f"memray recorded: {total(report)} were not freed{window}."]
    evidence += [_sentence(site) for site in sites]
    advice = one.advice
    if sites and sites[0].kind is NativeKind.EXTENSION:
        name = who(sites[0].kind, sites[0].extension)
        advice = (
            f"See that what {name} makes is closed or let go of; update {name}, or report it with this call site."
        )
    return replace(one, native_sites=sites, evidence=(*one.evidence, *evidence), advice=advice)


def _worth_naming(sites: tuple[NativeSite, ...]) -> tuple[NativeSite, ...]:
    """The largest, without the room that Python takes for objects of any kind."""
    some = [one for one in sites if one.kind is not NativeKind.ARENA]
    return tuple(one for one in some[:_MOST_SITES] if one.size_bytes >= _SHARE * some[0].size_bytes)


def _sentence(site: NativeSite) -> str:
    called = python_place(site)
    by = "" if called is None else f", called from {called}"
    return f"{site_name(site)} kept {format_bytes(site.size_bytes)} in {format_count(site.count)} allocations{by}."
