"""Figures, ratios and targets as Markdown tables."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks import servers, targets
from benchmarks.contestants import FORMS, Entry
from benchmarks.results import COSTS, RATES, Results

NONE = "–"
MARKS = ("<!-- measured -->", "<!-- end -->")
HEAD = [
    "", "out /s, provider takes 0 / 50 ms", "out /s in batches of 100", "in /s", "reports /s",
    "backlog /s, 0 / 50 ms", "CPU s per 1,000 out / batches / in / reports",
    "latency p50 / p99 at 50/s", "commits per message out", "idle, of a core", "memory",
]  # fmt: skip
PACKAGES = ("django", "djangorestframework", "celery", "aiohttp", "granian", "psycopg")


def whole(results: Results, entries: Mapping[str, Entry], messages: int, rounds: int) -> str:
    """Everything that belongs on a page."""
    told = f"Medians; rounds: {rounds}, messages for each figure: {messages:,}. {machine()}."
    parts = [_table(HEAD, [_row(results, key, entries[key].name) for key in results.rounds])]
    pairs = _pairs(results)
    if pairs:
        head = ["ratio: median (range)", *(f"{mine} / {theirs}" for mine, theirs in pairs)]
        parts.append(_table(head, _ratios(results, pairs)))
    if reached := targets.table(results):
        parts.append(_table(["target", "limit", "measured", ""], reached))
    return "\n\n".join([*parts, told, ""])


def each_round(results: Results) -> str:
    """All figures and ratios, round by round, as plain lines."""
    lines = [
        f"{key} {figure}: " + ", ".join(f"{value:.4g}" for _, value in sorted(rounds.items()))
        for key, figures in results.rounds.items()
        for figure, rounds in figures.items()
    ]
    for mine, theirs in _pairs(results):
        for figure in (*RATES, *COSTS):
            if ratios := results.ratios((mine, figure), (theirs, figure)):
                lines.append(f"{mine} / {theirs} {figure}: " + ", ".join(f"{found:.2f}" for found in ratios))
    return "\n".join(lines)


def write(page: Path, shown: str) -> None:
    """Replaces what is between the two marks of a page."""
    before, _, rest = page.read_text().partition(MARKS[0])
    page.write_text(f"{before}{MARKS[0]}\n\n{shown}\n{MARKS[1]}{rest.partition(MARKS[1])[2]}")


def machine() -> str:
    """The machine and the versions of what ran on it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "unknown")
    cores, memory = len(os.sched_getaffinity(0)), psutil.virtual_memory().total / 2**30
    versions = [f"Python {platform.python_version()}", servers.postgresql_version()]
    versions += [f"{name} {version(name)}" for name in PACKAGES]
    return f"{cores} cores of {model}, {memory:.0f} GiB; {', '.join(filter(None, versions))}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _row(results: Results, key: str, name: str) -> list[str]:
    def cell(form: str, *figures: str, unit: str = "") -> str:
        found = [results.median(key, figure) for figure in figures]
        shown = [NONE if value is None else f"{value:{form}}" for value in found]
        return NONE if set(shown) == {NONE} else " / ".join(shown) + unit

    return [
        name,
        cell(",.0f", "out", "slow_out"),
        cell(",.0f", "batches"),
        cell(",.0f", "in"),
        cell(",.0f", "reports"),
        cell(",.0f", "backlog", "slow_backlog"),
        cell(".2f", "cpu_out", "cpu_batches", "cpu_in", "cpu_reports"),
        cell(".1f", "p50", "p99", unit=" ms"),
        cell(".1f", "commits"),
        cell(".1%", "idle"),
        cell(".0f", "memory", unit=" MiB"),
    ]


def _pairs(results: Results) -> list[tuple[str, str]]:
    """Which contestants are compared: with yardsticks, with the older version, large with empty tables."""
    wanted = [("patchbay", key) for key in ("glue", "naive", "tuned", "kannel")]
    wanted += [(form, f"before-{form}") for form in FORMS]
    wanted += [(f"large-{form}", form) for form in FORMS]
    return [(mine, theirs) for mine, theirs in wanted if {mine, theirs} <= results.rounds.keys()]


def _ratios(results: Results, pairs: Sequence[tuple[str, str]]) -> list[list[str]]:
    rows = []
    for figure, words in (RATES | COSTS).items():
        cells = [_ratio(results.ratios((mine, figure), (theirs, figure))) for mine, theirs in pairs]
        if set(cells) != {NONE}:
            rows.append([words, *cells])
    return rows


def _ratio(found: Sequence[float]) -> str:
    if not found:
        return NONE
    return f"{statistics.median(found):.2f} × ({min(found):.2f} to {max(found):.2f})"
