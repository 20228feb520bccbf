"""What was measured: the figures of each contestant in each round, their medians and their ratios."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

# What is compared, in the order of the report. A rate is better when it is higher, a cost when it is lower.
RATES = {
    "out": "out",
    "slow_out": "out, provider takes 50 ms",
    "batches": "out in batches of 100",
    "in": "in",
    "reports": "delivery reports",
    "backlog": "queued → out",
    "slow_backlog": "queued → out, provider takes 50 ms",
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
    """By contestant and figure: what each round gave. What one cannot do, or failed at, is not there."""

    rounds: defaultdict[str, defaultdict[str, dict[int, float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )

    def add(self, contestant: str, number: int, figures: dict[str, float]) -> None:
        """Adds what a round has given."""
        for figure, value in figures.items():
            self.rounds[contestant][figure][number] = value

    def median(self, contestant: str, figure: str) -> float | None:
        """Of the rounds that gave the figure."""
        values = self._of(contestant, figure).values()
        return statistics.median(values) if values else None

    def ratios(self, mine: tuple[str, str], theirs: tuple[str, str]) -> list[float]:
        """A contestant's figure over another one's, in each round that has both."""
        own, other = self._of(*mine), self._of(*theirs)
        return [own[number] / other[number] for number in sorted(own.keys() & other.keys()) if other[number]]

    def _of(self, contestant: str, figure: str) -> dict[int, float]:
        return self.rounds.get(contestant, {}).get(figure, {})
