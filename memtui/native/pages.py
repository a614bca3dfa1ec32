"""memray's own reports of a recording: statistics, table, flame graph, speedscope. Only for what reads it."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

from memtui.native.speedscope import speedscope_profile

_LARGEST = 10


def stats(path: str) -> dict[str, Any]:
    """memray's statistics: ``text`` as memray prints it, and the figures. Raises OSError for what is no recording."""
    from memray._memray import compute_statistics
    from memray.reporters import stats as reporter

    found = compute_statistics(path, num_largest=_LARGEST)
    text = io.StringIO()
    if found.total_num_allocations:
        # memray prints through rich's own console; only here is it told to be plain.
        vars(reporter)["rich"].reconfigure(file=text, width=100, color_system=None, force_terminal=False)
        with contextlib.redirect_stdout(text):
            reporter.StatsReporter(found, _LARGEST).render(json_output_file=None)
    return {
        "text": text.getvalue(),
        "total_allocations": found.total_num_allocations,
        "total_bytes": found.total_memory_allocated,
        "peak_bytes": found.peak_memory_allocated,
        "by_allocator": dict(found.allocation_count_by_allocator),
        "top_by_size": [_place(*one) for one in found.top_locations_by_size],
        "top_by_count": [_place(*one) for one in found.top_locations_by_count],
    }


def write_page(path: str, kind: str, out: str) -> str:
    """Write memray's ``table`` or ``flamegraph`` of what was not freed, as one HTML page that needs no network."""
    import memray
    from memray.reporters.flamegraph import FlameGraphReporter
    from memray.reporters.table import TableReporter

    factory: Any = TableReporter if kind == "table" else FlameGraphReporter
    with memray.FileReader(path) as reader:
        page = factory.from_snapshot(
            reader.get_leaked_allocation_records(merge_threads=True),
            memory_records=tuple(reader.get_memory_snapshots()),
            native_traces=reader.metadata.has_native_traces,
        )
        with open(out, "w", encoding="utf-8") as file:
            page.render(
                outfile=file,
                metadata=reader.metadata,
                show_memory_leaks=True,
                merge_threads=True,
                inverted=False,
                no_web=True,
            )
    return out


def write_speedscope(path: str, out: str) -> str:
    """Write what was not freed as a profile for https://www.speedscope.app: weights in bytes, and in allocations."""
    import memray
    from memray.reporters import transform

    has_one = "speedscope" in getattr(transform.TransformReporter, "SUFFIX_MAP", ())
    with memray.FileReader(path) as reader, open(out, "w", encoding="utf-8") as file:
        facts = reader.metadata
        records = reader.get_leaked_allocation_records(merge_threads=True)
        if has_one:
            factory: Any = transform.TransformReporter
            page = factory(records, format="speedscope", native_traces=facts.has_native_traces, memory_records=())
            page.render(
                outfile=file, metadata=facts, show_memory_leaks=True, merge_threads=True, inverted=False, no_web=True
            )
        else:  # memray writes it since 1.20
            json.dump(speedscope_profile(records, facts.command_line, facts.has_native_traces), file)
    return out


def _place(place: tuple[str, str, int], number: int) -> dict[str, Any]:
    function, file, line = place
    return {"function": function, "file": file, "line": line, "value": number}
