"""Search by words, as people type them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

LONGEST = 100  # characters


def found(search: str, names: Iterable[str]) -> bool:
    """Whether each word of a search is part of one of the names, whatever its accents and case."""
    plain = [_plain(name) for name in names]
    return all(any(word in name for name in plain) for word in _plain(search).split())


def _plain(words: str) -> str:
    parts = unicodedata.normalize("NFKD", words)
    return "".join(part for part in parts if not unicodedata.combining(part)).casefold()
