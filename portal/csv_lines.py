"""Tables as CSV, line by line, as spreadsheets read them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any


class _Echo:
    """A file that returns what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterable[Sequence[str]], safe: Callable[[str], str]) -> Iterator[str]:
    """The lines of a CSV file, in UTF-8 with the mark by which spreadsheets know it.

    `safe` changes each cell so that no spreadsheet takes it for a formula.
    """
    writer: Any = csv.writer(_Echo())
    mark = "\ufeff"
    for row in rows:
        yield mark + writer.writerow([safe(cell) for cell in row])
        mark = ""
