"""Tables in files: CSV and XLSX, read with caution and written so that spreadsheets run no formulas."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import IO

from django.utils.translation import gettext as _

from messaging.transfer.cells import MAX_CELL, MAX_COLUMNS, MAX_ROWS, Unreadable, bounded
from portal.csv_lines import plain

MAX_BYTES = 5 * 1024 * 1024  # of a file
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read(content: bytes) -> list[list[str]]:
    """The rows of a CSV or XLSX file, with the header, without the empty rows at the end.

    Raises Unreadable, also if there are more than MAX_ROWS rows after the header.
    """
    rows = _workbooks().read(content) if content.startswith(b"PK") else _csv(_decoded(content))
    found = []
    for row in bounded(rows):
        if len(row) > MAX_COLUMNS and any(row[MAX_COLUMNS:]):
            raise Unreadable(_("The file has more than %(most)d columns.") % {"most": MAX_COLUMNS})
        found.append([plain(cell) for cell in row[:MAX_COLUMNS]])
        while found[-1] and not found[-1][-1]:
            found[-1].pop()
        if any(len(cell) > MAX_CELL for cell in found[-1]):
            raise Unreadable(
                _("Row %(row)d has a cell with more than %(most)d characters.")
                % {"row": len(found), "most": MAX_CELL}
            )
    while found and not any(found[-1]):
        found.pop()
    if len(found) > MAX_ROWS + 1:
        raise Unreadable(
            _("The file has more than %(most)d rows. Split it, and import its parts one after the other.")
            % {"most": MAX_ROWS}
        )
    return found


def xlsx(rows: Iterable[Sequence[str]]) -> IO[bytes]:
    """An XLSX file, whose cells are all texts; to be closed by the caller."""
    file: IO[bytes] = _workbooks().write(rows)
    return file


def _workbooks() -> ModuleType:
    """What reads and writes workbooks. Loading openpyxl takes long, and most processes never need it."""
    from messaging.transfer import workbooks

    return workbooks


def _decoded(content: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\x00" in content[:200]:
        encoding = "utf-16-le" if content[1:2] == b"\x00" else "utf-16-be"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        raise Unreadable(
            _("The file is neither a table in UTF-8 nor an XLSX file. In Excel, save it as “CSV UTF-8”.")
        )
    return text


def _csv(text: str) -> Iterator[list[str]]:
    first, _end, rest = text.partition("\n")
    if found := re.fullmatch(r"sep=(.)\s*", first):  # Excel's own way to name it
        separator, text = found[1], rest
    else:
        separator = max(";,\t", key=first.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    except csv.Error as error:
        raise Unreadable(
            _("The file is no table: %(problem)s. Export it again as CSV or XLSX.") % {"problem": error}
        ) from None
