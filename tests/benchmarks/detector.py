"""How well the leak detector tells made-up leaks from healthy processes, beside the plain rules; and what it costs.

python tests/benchmarks/detector.py [SERIES A KIND] [FIRST SEED]

Nineteen kinds of series of two hours (tests/unit/series). The kinds that nobody can tell within two hours are shown
in the second table and are left out of the first. 50 series a kind take about ten minutes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from series import BENIGN, HARD, LEAKS, generate
from series.score import Outcome, score, watch_with_detector, watch_with_ols, watch_with_thirds

from memtui.analysis.detect import Detector, State

MIB = 1024 * 1024
LEAK: tuple[State, ...] = ("leak",)
ALARM: tuple[State, ...] = ("suspect", "leak")
RULES: dict[str, tuple[str, tuple[State, ...]]] = {
    "bic, leak": ("live", LEAK),
    "bic, suspect or leak": ("live", ALARM),
    "bic on RSS alone, leak": ("rss", LEAK),
    "bic on RSS alone, suspect or leak": ("rss", ALARM),
    "ols, 6 x 60 s": ("ols", LEAK),
    "thirds": ("thirds", LEAK),
}


def watch_all(count: int, first_seed: int) -> dict[str, list[Outcome]]:
    """The outcomes of each rule over ``count`` series of each kind."""
    outcomes: dict[str, list[Outcome]] = {"live": [], "rss": [], "ols": [], "thirds": []}
    for kind in (*BENIGN, *HARD, *LEAKS):
        for seed in range(first_seed, first_seed + count):
            series = generate(kind, seed)
            outcomes["live"].append(watch_with_detector(series, live=True))
            outcomes["rss"].append(watch_with_detector(series, live=False))
            outcomes["ols"].append(watch_with_ols(series))
            outcomes["thirds"].append(watch_with_thirds(series))
    return outcomes


def print_scores(outcomes: dict[str, list[Outcome]]) -> None:
    """False alarms, recall and precision at the end of the two hours."""
    print(
        f"{'rule and state taken for an alarm':36}"
        f"{'false':>8}{'ever':>8}{'recall':>8}{'ever':>8}{'prec.':>8}{'min':>6}"
    )
    for name, (watched, alarms) in RULES.items():
        one = score(outcomes[watched], alarms)
        precision = "–" if one.precision is None else f"{one.precision:.3f}"
        minutes = "–" if one.median_minutes is None else f"{one.median_minutes:.0f}"
        print(
            f"{name:36}{one.false_alarms:8.3f}{one.false_alarms_ever:8.3f}{one.recall:8.3f}{one.recall_ever:8.3f}"
            f"{precision:>8}{minutes:>6}"
        )


def print_kinds(outcomes: dict[str, list[Outcome]]) -> None:
    """The share of each kind that ends in an alarm, and that ends as growing."""
    print(
        f"\n{'ends in an alarm':20}"
        + "".join(f"{name:>10}" for name in ("leak", "suspect+", "growing", "rss leak", "ols", "thirds"))
    )
    for kind in (*BENIGN, *HARD, *LEAKS):
        columns = (
            ("live", LEAK),
            ("live", ALARM),
            ("live", ("growing",)),
            ("rss", LEAK),
            ("ols", LEAK),
            ("thirds", LEAK),
        )
        shares = []
        for watched, states in columns:
            known = [one for one in outcomes[watched] if one.series.kind == kind]
            shares.append(sum(one.at_end in states for one in known) / len(known))
        print(f"{kind:20}" + "".join(f"{share:10.2f}" for share in shares))


def print_cost(hours: int = 6) -> None:
    """CPU of a verdict and of a look after hours of looks, one a second, and of the dearest look."""
    noise, detector, dearest = Random(1), Detector(), 0.0
    start = time.process_time()
    for at in range(hours * 3600):
        before = time.process_time()
        rss = int(500 * MIB + at * 50 * MIB / (hours * 3600) + noise.gauss(0, MIB))
        detector.add(float(at), rss, rss)
        dearest = max(dearest, time.process_time() - before)
    feeding = time.process_time() - start
    start = time.process_time()
    for _ in range(100):
        verdict = detector.verdict()
    print(f"\n{hours} h with +50 MiB: {verdict.state} ({verdict.confidence})", *verdict.reasons, sep="\n  ")
    print(f"a verdict {10 * (time.process_time() - start):.2f} ms, a look {1e6 * feeding / (hours * 3600):.0f} µs")
    print(f"the dearest look {1000 * dearest:.1f} ms")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    first_seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    outcomes = watch_all(count, first_seed)
    print(f"{count} series a kind, seeds from {first_seed}")
    print_scores(outcomes)
    print_kinds(outcomes)
    print_cost()


if __name__ == "__main__":
    main()
