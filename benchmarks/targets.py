"""What Patchbay promises itself of these figures, and whether a run has reached it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.results import COSTS, RATES, Results

FLAT = 0.1


@dataclass(frozen=True)
class Target:
    """A limit for a contestant's figure, or for its ratio to the figure `beside` it."""

    words: str
    contestant: str
    figure: str
    limit: float
    beside: tuple[str, str] | None = None
    at_most: bool = False

    def measured(self, results: Results) -> float | None:
        """The median of the rounds; None where there is nothing to compare."""
        if self.beside is None:
            return results.median(self.contestant, self.figure)
        ratios = results.ratios((self.contestant, self.figure), self.beside)
        return statistics.median(ratios) if ratios else None

    def is_reached(self, measured: float) -> bool:
        return measured <= self.limit if self.at_most else measured >= self.limit

    def shown(self, value: float) -> str:
        """A value as it is written for people."""
        if self.beside is not None:
            return f"{value:.2f} ×"
        unit = {"p50": f"{value:.1f} ms", "p99": f"{value:.1f} ms", "idle": f"{value:.1%}"}
        return unit.get(self.figure, f"{value:.0f} MiB")


def _beside(words: str, contestant: str, figure: str, limit: float, other: str, theirs: str = "") -> Target:
    return Target(words, contestant, figure, limit, (other, theirs or figure))


def _at_most(words: str, contestant: str, figure: str, limit: float) -> Target:
    return Target(words, contestant, figure, limit, at_most=True)


TARGETS = [
    _beside("out beside naive", "patchbay", "out", 6, "naive"),
    _beside("out beside glue", "patchbay", "out", 1.5, "glue"),
    _beside("out beside before", "patchbay", "out", 0.6, "before-patchbay"),
    _beside("batches of 100 beside single ones before", "patchbay", "batches", 1.2, "before-patchbay", "out"),
    _beside("in beside naive", "patchbay", "in", 2, "naive"),
    _beside("in beside before", "patchbay", "in", 0.7, "before-patchbay"),
    _beside("one process: out beside before", "embedded", "out", 0.4, "before-embedded"),
    _beside("one process: in beside before", "embedded", "in", 0.4, "before-embedded"),
    _at_most("one process: memory", "embedded", "memory", 150),
    _beside("queued → out beside before", "patchbay", "backlog", 0.95, "before-patchbay"),
    _beside("out at 50 ms beside 0 ms", "patchbay", "slow_out", 0.9, "patchbay", "out"),
    _at_most("latency p50", "patchbay", "p50", 15),
    _at_most("latency p99", "patchbay", "p99", 40),
    _at_most("one process: latency p50", "embedded", "p50", 15),
    _at_most("one process: latency p99", "embedded", "p99", 40),
    _at_most("idle", "patchbay", "idle", 0.01),
    _at_most("one process: idle", "embedded", "idle", 0.02),
]


def all_of_them() -> Iterator[Target]:
    """The targets above, and that large tables change nothing by more than a tenth."""
    yield from TARGETS
    for form, words in (("patchbay", ""), ("embedded", "one process: ")):
        for figure, named in RATES.items():
            yield _beside(
                f"{words}{named}, large tables beside empty", f"large-{form}", figure, 1 - FLAT, form
            )
        for figure in ("p50", "p99", "idle", "memory"):
            told = f"{words}{COSTS[figure]}, large tables beside empty"
            yield Target(told, f"large-{form}", figure, 1 + FLAT, (form, figure), at_most=True)


def table(results: Results) -> list[list[str]]:
    """Rows of what was to be reached, what was measured, and whether it does."""
    rows = []
    for target in all_of_them():
        measured = target.measured(results)
        if measured is not None:
            limit = f"{'≤' if target.at_most else '≥'} {target.shown(target.limit)}"
            verdict = "reached" if target.is_reached(measured) else "**missed**"
            rows.append([target.words, limit, target.shown(measured), verdict])
    return rows
