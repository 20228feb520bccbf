"""What limits tables in files, in whatever form they come."""

from __future__ import annotations

MAX_COLUMNS = 50
MAX_CELL = 5000  # characters
MAX_ROWS = 10_000
READ_SECONDS = 90  # for a workbook, whatever else the machine does
MAX_READ = MAX_ROWS + 1000  # some of them may be empty


class Unreadable(Exception):
    """A file that is no table; the text says what to try."""
