"""Cells of tables in files, written so that spreadsheets run no formulas."""

from __future__ import annotations

import re

MAX_COLUMNS = 50
# Texts with these beginnings, some in full width, are formulas for spreadsheets, which may call programs.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_NUMBER = re.compile(r"\+[0-9]+")  # a phone number, which calculates nothing


class Unreadable(Exception):
    """A file that is no table; the text says what to try."""


def safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula; `plain` gives the same text back."""
    if _NUMBER.fullmatch(text):
        return text
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def plain(cell: str) -> str:
    """The text of a cell that `safe` may have written."""
    text = cell.strip()
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text
