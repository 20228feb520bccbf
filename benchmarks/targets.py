"""The targets for Patchbay's figures, and whether a run reaches them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.results import COSTS, RATES, Results

FLAT = 0.1


@dataclass(frozen=True)
class Target:
    """A limit for a figure, or for its ratio to the other figure that is given as `beside`."""

    words: str
    contestant: str
    figure: str
    limit: float
    beside: tuple[str, str] | None = None
    at_most: bool = False

    def measured(self, results: Results) -> float | None:
        """The median over the rounds, or None if it was not measured."""
        if self.beside is None:
            return results.median(self.contestant, self.figure)
        ratios = results.ratios((self.contestant, self.figure), self.beside)
        return statistics.median(ratios) if ratios else None

    def is_reached(self, measured: float) -> bool:
        return measured <= self.limit if self.at_most else measured >= self.limit

    def shown(self, value: float) -> str:
        """A value with its unit."""
        if self.beside is not None:
            return f"{value:.2f} ×"
        unit = {"p50": f"{value:.1f} ms", "p99": f"{value:.1f} ms", "idle": f"{value:.1%}"}
        return unit.get(self.figure, f"{value:.0f} MiB")


def _beside(words: str, contestant: str, figure: str, limit: float, other: str, theirs: str = "") -> Target:
    return Target(words, contestant, figure, limit, (other, theirs or figure))


def _at_most(words: str, contestant: str, figure: str, limit: float) -> Target:
    return Target(words, contestant, figure, limit, at_most=True)


OLDER = "compared with the older version"
TARGETS = [
    _beside("out, compared with naive", "patchbay", "out", 6, "naive"),
    _beside("out, compared with glue", "patchbay", "out", 1.5, "glue"),
    _beside(f"out, {OLDER}", "patchbay", "out", 0.6, "before-patchbay"),
    _beside(f"batches of 100, {OLDER} one by one", "patchbay", "batches", 1.2, "before-patchbay", "out"),
    _beside("in, compared with naive", "patchbay", "in", 2, "naive"),
    _beside(f"in, {OLDER}", "patchbay", "in", 0.7, "before-patchbay"),
    _beside(f"one process: out, {OLDER}", "embedded", "out", 0.4, "before-embedded"),
    _beside(f"one process: in, {OLDER}", "embedded", "in", 0.4, "before-embedded"),
    _at_most("one process: memory", "embedded", "memory", 150),
    _beside(f"backlog, {OLDER}", "patchbay", "backlog", 0.95, "before-patchbay"),
    _beside("out at 50 ms, compared with 0 ms", "patchbay", "slow_out", 0.9, "patchbay", "out"),
    _at_most("latency p50", "patchbay", "p50", 15),
    _at_most("latency p99", "patchbay", "p99", 40),
    _at_most("one process: latency p50", "embedded", "p50", 15),
    _at_most("one process: latency p99", "embedded", "p99", 40),
    _at_most("idle", "patchbay", "idle", 0.01),
    _at_most("one process: idle", "embedded", "idle", 0.02),
]


def all_of_them() -> Iterator[Target]:
    """The targets above, and one for each figure with large tables: within a tenth of the empty ones."""
    yield from TARGETS
    for form, words, idle in (("patchbay", "", 0.01), ("embedded", "one process: ", 0.02)):
        large = f"large-{form}"
        for figure, named in RATES.items():
            yield _beside(f"{words}{named}, large tables compared with empty", large, figure, 1 - FLAT, form)
        for figure in ("p50", "p99", "memory"):
            told = f"{words}{COSTS[figure]}, large tables compared with empty"
            yield Target(told, large, figure, 1 + FLAT, (form, figure), at_most=True)
        # Too close to nothing for a ratio.
        yield _at_most(f"{words}idle, large tables", large, "idle", idle)


def table(results: Results) -> list[list[str]]:
    """For each target that was measured: words, limit, value and verdict."""
    rows = []
    for target in all_of_them():
        measured = target.measured(results)
        if measured is not None:
            limit = f"{'≤' if target.at_most else '≥'} {target.shown(target.limit)}"
            verdict = "reached" if target.is_reached(measured) else "**missed**"
            rows.append([target.words, limit, target.shown(measured), verdict])
    return rows
