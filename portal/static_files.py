"""Static files whose URLs change with their content, so that browsers may keep them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage

from portal import process

DIGITS = 12


class _Digests:
    """The digests of files that this process has named, each with the file's state when it was read."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[float, str]] = {}


class DigestStorage(StaticFilesStorage):
    """Adds `?v=` and the beginning of the SHA-256 to the URL of each file; they need no collecting."""

    def url(self, name: str | None, *args: Any, **kwargs: Any) -> str:
        url: str = super().url(name)
        digest = _digest(name) if name and not {"?", "#"} & set(name) else ""
        return f"{url}?v={digest}" if digest else url


def _digest(name: str) -> str:
    """The beginning of the file's digest; empty if it is no file."""
    known = process.get(_Digests).known
    if name in known and not settings.DEBUG:
        return known[name][1]
    found = finders.find(name)
    if not isinstance(found, str) or not (path := Path(found)).is_file():
        return ""
    changed = path.stat().st_mtime
    if name not in known or known[name][0] != changed:
        known[name] = changed, hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]
    return known[name][1]
