"""What limits tables in files, in whatever form they come."""

from __future__ import annotations

MAX_COLUMNS = 50


class Unreadable(Exception):
    """A file that is no table; the text says what to try."""
