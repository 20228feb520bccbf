"""What limits tables in files, in whatever form they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

MAX_COLUMNS = 50
MAX_CELL = 5000  # characters
MAX_ROWS = 10_000
READ_SECONDS = 90  # for a workbook, whatever else the machine does
MAX_READ = MAX_ROWS + 1000  # some of them may be empty


def bounded(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """Those that are read: MAX_READ, and the first one below that is not empty, so that none is dropped."""
    given = iter(rows)
    yield from islice(given, MAX_READ)
    yield from islice(filter(any, given), 1)


class Unreadable(Exception):
    """A file that is no table; the text says what to try."""
