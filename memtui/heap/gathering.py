"""What several pictures tell about growth, worked out in a process of its own. No numpy here."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

from memtui import errors
from memtui.errors import MemtuiError
from memtui.heap.apart import start_apart
from memtui.model.evidence import Evidence, GrownHolder, GrownLine, GrownType, Look
from memtui.model.heap import HolderStep


class EvidenceJob:
    """Compares the pictures in these files, in the order of time. ``stop`` ends it from another thread."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = tuple(files)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self) -> Evidence:
        """Wait for it. Raises UsageError (a file is damaged), MemtuiError when it failed or was stopped."""
        with self._lock:
            if self._stopped:
                raise self._was_stopped()
            process = self._process = start_apart("memtui.heap.evidence_main", *self._files)
        with process:
            try:
                out, complaint = process.communicate()
            except BaseException:
                process.kill()
                raise
        if self._stopped:
            raise self._was_stopped()
        try:
            answer = json.loads(out)
        except ValueError as error:
            last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise MemtuiError("The pictures could not be compared.", why=f"{last[0]}.") from error
        if "error" in answer:
            told = answer["error"]
            kind = getattr(errors, told["kind"], MemtuiError)
            failure: MemtuiError = kind(told["what"], why=told["why"], next_step=told["next_step"])
            raise failure
        return evidence_from(answer["evidence"])

    def stop(self) -> None:
        """End it; ``run`` raises."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def _was_stopped(self) -> MemtuiError:
        return MemtuiError("Comparing the pictures was stopped.")


def evidence_from(told: dict[str, Any]) -> Evidence:
    """Evidence out of its JSON."""
    return Evidence(
        looks=tuple(Look(**look) for look in told["looks"]),
        holders=tuple(_holder(holder) for holder in told["holders"]),
        garbage=tuple(GrownType(**one) for one in told["garbage"]),
        types=tuple(GrownType(**one) for one in told["types"]),
        lines=tuple(GrownLine(**one) for one in told["lines"]),
        saved=tuple(GrownType(**one) for one in told["saved"]),
        cycles=tuple(told["cycles"]),
    )


def _holder(told: dict[str, Any]) -> GrownHolder:
    elements = told["elements"]
    return GrownHolder(**{
        **told,
        "chain": tuple(HolderStep(**step) for step in told["chain"]),
        "sizes_bytes": tuple(told["sizes_bytes"]),
        "objects": tuple(told["objects"]),
        "elements": None if elements is None else tuple(elements),
        "types": tuple(GrownType(**one) for one in told["types"]),
        "samples": tuple(told["samples"]),
    })  # fmt: skip
