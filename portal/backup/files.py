"""What a backup has besides the database: media, through Django's storage, and the data folder's keys."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from django.core.files.storage import Storage

from portal import environment


def media(storage: Storage, folder: str = "") -> Iterator[str]:
    """The names of all files in a storage, whatever folders they are in."""
    try:
        folders, names = storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in sorted(names):
        yield posixpath.join(folder, name)
    for name in sorted(folders):
        yield from media(storage, posixpath.join(folder, name))


def secrets() -> dict[str, str]:
    """The secrets that Patchbay has generated and keeps in the data folder, by the name of their file."""
    folder = secrets_folder()
    return {path.name: path.read_text() for path in sorted(folder.glob("*")) if path.is_file()}


def secrets_folder() -> Path:
    return environment.data_folder() / "secrets"
