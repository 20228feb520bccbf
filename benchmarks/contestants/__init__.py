"""The contestants, by their keys."""

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
    """How a contestant is called and made; `missing` says why it cannot take part, or nothing."""

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
    """Both forms of Patchbay at another commit, whose files are in `tree`."""
    return {
        "before-patchbay": Entry(
            f"{commit}, PostgreSQL + Redis", partial(Separate, tree=tree), servers.missing
        ),
        "before-embedded": Entry(f"{commit}, one process on SQLite", partial(Embedded, tree=tree), _nothing),
    }


def large(senders: int) -> dict[str, Entry]:
    """Both forms with large tables, of whose organizations this many send and receive in turn."""
    return {
        "large-patchbay": Entry(
            "Patchbay, PostgreSQL + Redis, large tables",
            partial(LargeSeparate, senders=senders),
            servers.missing,
        ),
        "large-embedded": Entry(
            "Patchbay, one process, large tables", partial(LargeEmbedded, senders=senders), _nothing
        ),
    }
