"""Makes a backup of a running Patchbay."""

from __future__ import annotations

import base64
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.core.files.storage import default_storage
from django.db import DatabaseError
from django.utils import timezone

from portal import __version__, encryption, keys
from portal.backup import archive, files
from portal.backup.problems import Problem
from portal.database import copies

FORMAT = 1


@dataclass(frozen=True)
class Backup:
    """A backup that was made, and how many files of which kind it has."""

    path: Path
    made_at: datetime
    size: int
    media: int
    secrets: int


def create(path: Path, *, passphrase: str = "", with_keys: bool = False, with_media: bool = True) -> Backup:
    """Writes a new file with the database, as it is at one moment, the media, and perhaps the keys.

    Everything else goes on meanwhile. Raises Problem, or OSError, such as for a full disk; then there is no
    file.
    """
    if path.exists():
        raise Problem(f"{path} exists already. A backup replaces nothing.")
    if with_keys and not passphrase:
        raise Problem("A backup with the keys must be encrypted: give a passphrase with --passphrase-file.")
    secrets = files.secrets() if with_keys else {}
    if with_keys and not secrets:
        raise Problem("The keys are settings of yours, and not in the data folder: keep them yourself.")
    check = keys.check_value()
    if check is None:
        raise Problem("There is nothing to back up: the database is empty. `manage.py install` fills it.")
    made_at, kept = timezone.now(), 0
    with tempfile.TemporaryDirectory(prefix=".patchbay-backup-", dir=path.parent) as name:
        # The database first: a file that it names is there already, and what comes later is not missed.
        database, written = Path(name) / "database", Path(name) / "backup"
        try:
            copies.write(database)
        except DatabaseError as error:
            raise Problem(f"The database cannot be copied: {error}") from error
        with archive.writing(written, passphrase) as writer:
            manifest = {
                "format": FORMAT,
                "version": __version__,
                "made_at": made_at.isoformat(),
                "database": copies.kind(),
                "migrations": copies.migrations(),
                "media": with_media,
                "check": base64.b64encode(check).decode(),
                "keys": [encryption.fingerprint(key) for key in encryption.listed()],
            }
            writer.add_json(archive.MANIFEST, manifest)
            for file in sorted(database.iterdir()):
                with file.open("rb") as content:
                    writer.add(f"database/{file.name}", content, file.stat().st_size)
                file.unlink()
            for secret, value in secrets.items():
                writer.add_json(f"secrets/{secret}", value)
            for found in files.media(default_storage) if with_media else ():
                kept += _add_media(writer, found)
        size = written.stat().st_size
        written.rename(path)
    return Backup(path, made_at, size, kept, len(secrets))


def _add_media(writer: archive.Writer, name: str) -> bool:
    """Adds a file, unless it was deleted meanwhile, as old files are."""
    with suppress(FileNotFoundError), default_storage.open(name, "rb") as content:
        writer.add(f"media/{name}", content, default_storage.size(name))
        return True
    return False
