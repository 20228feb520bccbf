"""The figures of each contestant in each round, their medians and ratios."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

# In the order of the report. Rates are better when higher, costs when lower.
RATES = {
    "out": "out",
    "slow_out": "out, provider takes 50 ms",
    "batches": "out in batches of 100",
    "in": "in",
    "reports": "delivery reports",
    "backlog": "backlog",
    "slow_backlog": "backlog, provider takes 50 ms",
}
COSTS = {
    "p50": "latency p50",
    "p99": "latency p99",
    "cpu_out": "CPU, out",
    "cpu_batches": "CPU, batches",
    "cpu_in": "CPU, in",
    "cpu_reports": "CPU, reports",
    "idle": "CPU, idle",
    "memory": "memory",
}


@dataclass
class Results:
    """Figures by contestant, name and round; those that a contestant cannot provide are absent."""

    rounds: defaultdict[str, defaultdict[str, dict[int, float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )

    def add(self, contestant: str, number: int, figures: dict[str, float]) -> None:
        """Adds figures of a round."""
        for figure, value in figures.items():
            self.rounds[contestant][figure][number] = value

    def median(self, contestant: str, figure: str) -> float | None:
        """Over the rounds that have the figure, or None."""
        values = self._of(contestant, figure).values()
        return statistics.median(values) if values else None

    def ratios(self, mine: tuple[str, str], theirs: tuple[str, str]) -> list[float]:
        """One contestant's figure divided by another's, for each round that has both."""
        own, other = self._of(*mine), self._of(*theirs)
        return [own[number] / other[number] for number in sorted(own.keys() & other.keys()) if other[number]]

    def _of(self, contestant: str, figure: str) -> dict[int, float]:
        return self.rounds.get(contestant, {}).get(figure, {})
