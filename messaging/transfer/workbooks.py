"""XLSX files: written here, and read by a process of its own that has limits (`unpacking`)."""

from __future__ import annotations

import json
import os
import re
import subprocess  # nosec B404 # for a module of ours, without a shell
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import openpyxl
from django.utils.translation import gettext as _
from openpyxl.cell import WriteOnlyCell

from messaging.transfer.cells import READ_SECONDS, Unreadable
from messaging.transfer.unpacking import MAX_UNPACKED
from portal.csv_lines import safe

ROOT = Path(__file__).resolve().parent.parent.parent
_COMMAND = [sys.executable, "-W", "ignore", "-m", "messaging.transfer.unpacking"]
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # in XML


def read(content: bytes) -> Iterator[list[str]]:
    """The rows of the first sheet, as texts. Raises Unreadable."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as made:
        given.write(content)
        given.seek(0)
        if problem := _unpack(given, made):
            raise Unreadable(_reason(problem))
        made.seek(0)
        for line in made:
            yield json.loads(line)


def _unpack(given: IO[bytes], made: IO[bytes]) -> str:
    """Has the rows written; returns why there are none, in a word, or ""."""
    with subprocess.Popen(  # nosec B603 # a module of ours
        _COMMAND, stdin=given, stdout=made, stderr=subprocess.PIPE, cwd=ROOT, env=_environment()
    ) as child:
        try:
            said = child.communicate(timeout=READ_SECONDS)[1]
        except subprocess.TimeoutExpired:
            child.kill()
            return "memory"
    # Its limits end it without a word.
    return said.decode(errors="replace").split("\n")[-2] if child.returncode == 0 else "memory"


def _environment() -> dict[str, str]:
    """What Python needs, and no secret."""
    names = ("PATH", "LANG", "LD_LIBRARY_PATH", "TMPDIR")
    return {name: os.environ[name] for name in names if name in os.environ}


def _reason(word: str) -> str:
    if word == "unpacked":
        return _("The file unpacks to more than %(most)d MB. Save the table alone, as CSV or XLSX.") % {
            "most": MAX_UNPACKED // 1024 // 1024
        }
    if word == "memory":
        return _("The XLSX file takes too much time or memory to be read. Save the table alone, as CSV.")
    if word == "parts":
        return _("The XLSX file has parts that spreadsheets do not write.")
    return _("The XLSX file is damaged or protected (%(problem)s). Save it again, or as CSV.") % {
        "problem": word
    }


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
