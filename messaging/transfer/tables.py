"""Tables in files: CSV and XLSX, read with caution and written so that spreadsheets run no formulas."""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import openpyxl
from django.utils.translation import gettext as _
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils.exceptions import InvalidFileException

MAX_BYTES = 5 * 1024 * 1024  # of a file
MAX_ROWS = 10_000
MAX_COLUMNS = 50
MAX_CELL = 5000  # characters
MAX_UNPACKED = 64 * 1024 * 1024  # of an XLSX file, which is a ZIP archive
MAX_MEMBERS = 500
# Texts with these beginnings, some in full width, are formulas for spreadsheets, which may call programs.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_NUMBER = re.compile(r"\+[0-9]+")  # a phone number, which calculates nothing
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class Unreadable(Exception):
    """A file that is no table; the text says what to try."""


def read(content: bytes) -> list[list[str]]:
    """The rows of a CSV or XLSX file, with the header, without the empty rows at the end.

    Raises Unreadable, also if there are more than MAX_ROWS rows after the header.
    """
    rows = _xlsx(content) if content.startswith(b"PK") else _csv(_decoded(content))
    found = []
    for row in islice(rows, MAX_ROWS + 1000):  # some of them may be empty
        if len(row) > MAX_COLUMNS and any(row[MAX_COLUMNS:]):
            raise Unreadable(_("The file has more than %(most)d columns.") % {"most": MAX_COLUMNS})
        found.append([_plain(cell) for cell in row[:MAX_COLUMNS]])
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


def safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula; `read` gives the same text back."""
    if _NUMBER.fullmatch(text):
        return text
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def csv_lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a CSV file, in UTF-8 with the mark by which spreadsheets know it."""
    writer: Any = csv.writer(_Echo())
    mark = "\ufeff"
    for row in rows:
        yield mark + writer.writerow([safe(cell) for cell in row])
        mark = ""


def xlsx(rows: Iterable[Sequence[str]]) -> IO[bytes]:
    """An XLSX file, whose cells are all texts; to be closed by the caller."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Patchbay")
    for row in rows:
        sheet.append([_cell(sheet, text) for text in row])
    file: IO[bytes] = SpooledTemporaryFile(1024 * 1024)  # noqa: SIM115 (the caller closes it)
    book.save(file)
    file.seek(0)
    return file


class _Echo:
    """A file that returns what is written to it."""

    def write(self, text: str) -> str:
        return text


def _cell(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", safe(text)))
    cell.data_type = "s"  # otherwise a text that begins with = is a formula
    return cell


_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # in XML


def _plain(cell: str) -> str:
    text = cell.strip()
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text


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


def _xlsx(content: bytes) -> Iterator[list[str]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            # Reading never gives more than these sizes, so they may be believed.
            if len(members) > MAX_MEMBERS or sum(each.file_size for each in members) > MAX_UNPACKED:
                raise Unreadable(
                    _("The file unpacks to more than %(most)d MB. Save the table alone, as CSV or XLSX.")
                    % {"most": MAX_UNPACKED // 1024 // 1024}
                )
            for member in members:
                with archive.open(member) as file:
                    if member.filename.endswith((".xml", ".rels")) and b"<!DOCTYPE" in file.read(4096):
                        raise Unreadable(_("The XLSX file has parts that spreadsheets do not write."))
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheet: Any = book.worksheets[0]
        sheet.reset_dimensions()  # they may be wrong
        for row in sheet.iter_rows(values_only=True, max_col=MAX_COLUMNS + 1):
            yield [_text(value) for value in row]
    except Unreadable:
        raise
    except (zipfile.BadZipFile, zlib.error, InvalidFileException, *_DAMAGED) as error:
        raise Unreadable(
            _("The XLSX file is damaged or protected (%(problem)s). Save it again, or as CSV.")
            % {"problem": type(error).__name__}
        ) from None


# What openpyxl raises for archives that are no workbooks, and zipfile for encrypted ones. What is no XML is a
# SyntaxError, whether Python's parser reads it or lxml.
_DAMAGED = (
    *(KeyError, ValueError, TypeError, IndexError, AttributeError, OSError, RuntimeError, EOFError),
    SyntaxError,
)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date):
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    return str(value)
