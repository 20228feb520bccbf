"""Tables as CSV, line by line, as spreadsheets read them, and cells that they do not calculate."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

# Texts with these beginnings, some in full width, are formulas for spreadsheets, which may call programs.
_FORMULA = "=+\\-@\uff1d\uff0b\uff0d\uff20"
# A spreadsheet that separates by something else than the comma ends cells there, and at the end of a line:
# quotes hold a cell together only where a cell begins for it.
_END = r";\t\r\n"
_BEGINS = rf"""\A(?=['"]*[{_FORMULA}\t\r\n])|(?<=[{_END}])(?=['"]*[{_FORMULA}])"""
_NUMBER = rf"\+[0-9]+(?:[{_END}]|\Z)"  # a phone number, which calculates nothing
_UNSAFE = re.compile(rf"(?!{_NUMBER})(?:{_BEGINS})")
_SAFE = re.compile(_BEGINS.replace("(?=", "'(?="))


class _Echo:
    """A file that returns what is written to it."""

    def write(self, text: str) -> str:
        return text


def safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula, nor a part of it; `plain` gives the same text back."""
    return _UNSAFE.sub("'", text)


def plain(cell: str) -> str:
    """The text of a cell that `safe` may have written."""
    return _SAFE.sub("", cell.strip())


def csv_lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a CSV file with safe cells, in UTF-8 with the mark by which spreadsheets know it."""
    writer: Any = csv.writer(_Echo())
    mark = "\ufeff"
    for row in rows:
        yield mark + writer.writerow([safe(cell) for cell in row])
        mark = ""
