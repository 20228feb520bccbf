"""Reads one XLSX file in a process of its own: `python -m messaging.transfer.unpacking`, by `workbooks`.

These files are archives of XML: some kilobytes unpack to more than memory holds, or take minutes, so this
process has limits, and ends with its file. The file is its standard input; its standard output, a file too,
gets the rows, each a JSON list of texts in a line. The last line on standard error is empty, or says in a
word why there are no (further) rows. Django is not needed here.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime
from typing import IO, Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from messaging.transfer.cells import MAX_CELL, MAX_COLUMNS, bounded

# The limits of the process. A table with all rows and columns that are read takes about a fifth of the
# memory, and half of the time on a slow machine.
MEMORY_BYTES = 192 * 1024 * 1024
CPU_SECONDS = 60
MAX_WRITTEN = 128 * 1024 * 1024
MAX_UNPACKED = 64 * 1024 * 1024
MAX_MEMBERS = 500
# What openpyxl raises for archives that are no workbooks, and zipfile for encrypted ones. What is no XML is a
# SyntaxError, whether Python's parser reads it or lxml.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, InvalidFileException, SyntaxError),
    *(KeyError, ValueError, TypeError, IndexError, AttributeError, OSError, RuntimeError, EOFError),
)

# By which number each of these parsers says that it has no memory left.
_NO_MEMORY = {"lxml.etree": 2, "xml.etree.ElementTree": 1}


class UnpackingError(Exception):
    """Why it is not read, in a word that `workbooks` explains."""


def rows(source: IO[bytes]) -> Iterator[list[str]]:
    """The rows of the first sheet, as texts. Raises UnpackingError, and whatever openpyxl raises."""
    with zipfile.ZipFile(source) as archive:
        members = archive.infolist()
        # Reading never gives more than these sizes, so they may be believed.
        if len(members) > MAX_MEMBERS or sum(each.file_size for each in members) > MAX_UNPACKED:
            raise UnpackingError("unpacked")
        for member in members:
            with archive.open(member) as file:
                if member.filename.endswith((".xml", ".rels")) and b"<!DOCTYPE" in file.read(4096):
                    raise UnpackingError("parts")
    book = openpyxl.load_workbook(source, read_only=True, data_only=True, keep_links=False)
    sheet: Any = book.worksheets[0]
    sheet.reset_dimensions()  # they may be wrong
    for row in sheet.iter_rows(values_only=True, max_col=MAX_COLUMNS + 1):
        yield [_text(value) for value in row]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date):
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    return str(value)[: MAX_CELL + 1]


def _is_too_large(error: Exception) -> bool:
    """Whether what is raised means that a limit of the process was met."""
    if isinstance(error, SyntaxError):
        return bool(getattr(error, "code", None) == _NO_MEMORY.get(type(error).__module__, -1))
    return isinstance(error, OSError) and error.errno == errno.EFBIG


def main() -> None:
    """Answers one request."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_WRITTEN, MAX_WRITTEN))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    said = ""
    try:
        with os.fdopen(0, "rb") as source, os.fdopen(1, "w", encoding="utf-8") as out:
            for row in bounded(rows(source)):
                out.write(f"{json.dumps(row)}\n")
    except UnpackingError as error:
        said = str(error)
    except MemoryError:
        said = "memory"
    except _DAMAGED as error:
        said = "memory" if _is_too_large(error) else type(error).__name__
    sys.stderr.write(f"\n{said}\n")


if __name__ == "__main__":
    main()
