"""Those who are compared, by their keys, and what they are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import servers
from benchmarks.contestants import kannel
from benchmarks.contestants.base import Contestant
from benchmarks.contestants.kannel import Kannel
from benchmarks.contestants.patchbay import Embedded, LargeEmbedded, LargeSeparate, Separate
from benchmarks.contestants.yardsticks import Glue, Naive, Tuned
from benchmarks.provider_process import ProviderProcess


@dataclass(frozen=True)
class Entry:
    """A contestant that can be made. `missing` says why it cannot take part; empty: it can."""

    name: str
    make: Callable[[Path, ProviderProcess, str], Contestant]
    missing: Callable[[], str]


def _nothing() -> str:
    return ""


ALWAYS = {
    "patchbay": Entry("Patchbay, PostgreSQL + Redis", Separate, servers.missing),
    "embedded": Entry("Patchbay, one process on SQLite", Embedded, _nothing),
    "glue": Entry("glue: Flask + requests + INSERT", Glue, servers.missing),
    "naive": Entry("naive: Django + DRF + a Celery task each", Naive, servers.missing),
    "tuned": Entry("tuned: the same with all connections kept", Tuned, servers.missing),
    "kannel": Entry("Kannel, durable store", Kannel, kannel.missing),
}
FORMS = ("patchbay", "embedded")


def before(commit: str, tree: Path) -> dict[str, Entry]:
    """Both forms of Patchbay as they were at a commit, whose files are in `tree`."""
    return {
        "before-patchbay": Entry(
            f"{commit}, PostgreSQL + Redis", partial(Separate, tree=tree), servers.missing
        ),
        "before-embedded": Entry(f"{commit}, one process on SQLite", partial(Embedded, tree=tree), _nothing),
    }


LARGE = {
    "large-patchbay": Entry("Patchbay, PostgreSQL + Redis, large tables", LargeSeparate, servers.missing),
    "large-embedded": Entry("Patchbay, one process, large tables", LargeEmbedded, _nothing),
}
