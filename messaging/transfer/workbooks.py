"""XLSX files, read with caution: they are archives, which may unpack to more than memory holds."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import openpyxl
from django.utils.translation import gettext as _
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils.exceptions import InvalidFileException

from messaging.transfer.cells import MAX_COLUMNS, Unreadable
from portal.csv_lines import safe

MAX_UNPACKED = 64 * 1024 * 1024
MAX_MEMBERS = 500
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # in XML
# What openpyxl raises for archives that are no workbooks, and zipfile for encrypted ones. What is no XML is a
# SyntaxError, whether Python's parser reads it or lxml.
_DAMAGED = (
    *(KeyError, ValueError, TypeError, IndexError, AttributeError, OSError, RuntimeError, EOFError),
    SyntaxError,
)


def read(content: bytes) -> Iterator[list[str]]:
    """The rows of the first sheet, as texts. Raises Unreadable."""
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


def write(rows: Iterable[Sequence[str]]) -> IO[bytes]:
    """An XLSX file, whose cells are all texts; to be closed by the caller."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Patchbay")
    for row in rows:
        sheet.append([_cell(sheet, text) for text in row])
    file: IO[bytes] = SpooledTemporaryFile(1024 * 1024)  # noqa: SIM115 (the caller closes it)
    book.save(file)
    file.seek(0)
    return file


def _cell(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", safe(text)))
    cell.data_type = "s"  # otherwise a text that begins with = is a formula
    return cell
