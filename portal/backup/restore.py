"""Restores a backup into an empty installation."""

from __future__ import annotations

import base64
import secrets as random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError

from portal import __version__, encryption, environment
from portal.backup import archive, files
from portal.backup.create import FORMAT
from portal.backup.problems import Problem
from portal.database import copies
from portal.models import Account, User
from portal.serve import locked
from portal.signals import restoring

MOST_JSON = 1024 * 1024


@dataclass
class Restored:
    """What was restored, and sentences about what became of it."""

    version: str
    made_at: datetime
    media: int = 0
    secrets: int = 0
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Manifest:
    version: str
    made_at: datetime
    database: str
    migrations: list[tuple[str, str]]
    media: bool
    check: bytes
    keys: list[str]


def restore(path: Path, *, passphrase: str = "", send_queued: bool = False) -> Restored:
    """Puts a backup in the place of an empty database and an empty media folder.

    The whole file is checked before anything is written, and the database is the last that is put in place.
    Messages that waited are held, unless `send_queued`: those that receive the signal `restoring` say what
    that means. Raises Problem, or OSError, such as for a full disk; then everything is as it was.
    """
    manifest, secrets = _checked(path, passphrase)
    folder = environment.prepare_data_folder()
    with nullcontext() if settings.DATABASE_URL else locked(folder):
        _require_empty(manifest)
        result = Restored(manifest.version, manifest.made_at)
        with tempfile.TemporaryDirectory(prefix=".patchbay-restore-", dir=folder) as name:
            copy = Path(name)
            with _storing() as put:
                for member, _size, content in archive.members(path, passphrase):
                    kind, _, rest = member.partition("/")
                    if kind == "database":
                        _write(copy / Path(rest).name, content)
                    elif kind == "media":
                        put(rest, content)
                        result.media += 1
                try:
                    with copies.restoring(copy, manifest.migrations):
                        for _receiver, said in restoring.send(
                            sender=None, made_at=manifest.made_at, send_queued=send_queued
                        ):
                            result.said.append(str(said))
                        result.secrets = _write_secrets(secrets)
                except (DatabaseError, KeyError, FileNotFoundError, ValueError) as error:
                    raise Problem(f"The database of the backup cannot be put in place: {error}") from error
    return result


def _checked(path: Path, passphrase: str) -> tuple[_Manifest, dict[str, str]]:
    """Reads the whole file once. Raises Problem if it is broken, or cannot be restored here."""
    manifest, secrets = None, {}
    for name, _size, content in archive.members(path, passphrase):
        if manifest is None:
            manifest = _manifest(name, content)
        elif name.startswith("secrets/"):
            secrets[Path(name).name] = str(archive.parsed(content, MOST_JSON))
    if manifest is None:
        raise Problem("The file is broken: it is empty.")
    _require_keys(manifest, secrets)
    return manifest, secrets


def _manifest(name: str, content: IO[bytes]) -> _Manifest:
    found: dict[str, Any] = archive.parsed(content, MOST_JSON) if name == archive.MANIFEST else {}
    try:
        newer = found["format"] > FORMAT or copies.unknown([(app, item) for app, item in found["migrations"]])
        if newer:
            raise Problem(
                f"The backup was made by Patchbay {found['version']}, which is newer than this one "
                f"({__version__}). Restore it with that version."
            )
        manifest = _Manifest(
            found["version"],
            datetime.fromisoformat(found["made_at"]),
            found["database"],
            [(app, item) for app, item in found["migrations"]],
            found["media"],
            base64.b64decode(found["check"]),
            found["keys"],
        )
    except (KeyError, TypeError, ValueError):
        raise Problem("The file is broken: it does not begin as a backup does.") from None
    if manifest.database != copies.kind():
        raise Problem(
            f"The backup has a database of {manifest.database}, and this Patchbay uses {copies.kind()}. "
            "Restore it where DATABASE_URL is as it was."
        )
    return manifest


def _require_keys(manifest: _Manifest, secrets: dict[str, str]) -> None:
    listed = encryption.listed()
    if "encryption_keys" in secrets and not environment.read("PATCHBAY_ENCRYPTION_KEYS"):
        listed = secrets["encryption_keys"].split(",")
    if not encryption.decrypts(manifest.check, listed):
        raise Problem(
            "PATCHBAY_ENCRYPTION_KEYS has not the keys of this backup, without which its credentials cannot "
            f"be read: {', '.join(manifest.keys)} (the first eight digits of their SHA-256). Put them into "
            "the setting, or into secrets/encryption_keys in the data folder."
        )


def _require_empty(manifest: _Manifest) -> None:
    if User._meta.db_table in copies.tables() and (User.objects.exists() or Account.objects.exists()):
        raise Problem(
            "The database is in use: it has users or accounts. A backup is restored into an empty one: "
            "choose another folder with --data, or another database with DATABASE_URL."
        )
    if manifest.media and next(files.media(default_storage), None) is not None:
        raise Problem(
            "The media folder is not empty. A backup is restored into an empty one: move what is in it away, "
            "or choose another with PATCHBAY_MEDIA."
        )


@contextmanager
def _storing() -> Iterator[Callable[[str, IO[bytes]], None]]:
    """Stores files; if the block fails, those are deleted again."""
    stored: list[str] = []

    def put(name: str, content: IO[bytes]) -> None:
        stored.append(default_storage.get_available_name(name))  # first: a full disk leaves a part of it
        default_storage.save(stored[-1], ContentFile(content.read()))
        if stored[-1] != name:
            raise Problem(f"The media folder has a file {name} already.")

    try:
        yield put
    except BaseException:
        for name in stored:
            default_storage.delete(name)
        raise


def _write(path: Path, content: IO[bytes]) -> None:
    with path.open("wb") as file:
        while data := content.read(1 << 20):
            file.write(data)


def _write_secrets(secrets: dict[str, str]) -> int:
    """Puts the keys of the backup in the place of those that were generated here, and encrypted nothing."""
    folder = files.secrets_folder()
    for name, value in secrets.items():
        folder.mkdir(mode=0o700, exist_ok=True)
        temporary = folder / f".{random.token_hex(4)}"
        temporary.touch(mode=0o600)
        temporary.write_text(value)
        temporary.replace(folder / name)
    return len(secrets)
