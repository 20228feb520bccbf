"""The file of a backup: a tar of files, compressed, perhaps encrypted, with a digest of all at its end."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from portal.backup.age import MAGIC, DecryptingReader, EncryptingWriter
from portal.backup.problems import Problem

END = "end.json"
FOLDERS = ("database", "media", "secrets")
MANIFEST = "manifest.json"
_LEVEL = 3  # of compression: a third of the time of the default, at a tenth more bytes


class Writer:
    """Adds files to an archive; `archive.writing` completes it."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar, self._digest, self.members = tar, hashlib.sha256(), 0

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """Adds `size` bytes of a file. Raises OSError if it has fewer, or cannot be read."""
        self._add(name, _Digesting(file, self._digest), size)

    def add_json(self, name: str, value: Any) -> None:
        """Adds a value as a small JSON file."""
        body = json.dumps(value, indent=1, sort_keys=True).encode()
        self.add(name, io.BytesIO(body), len(body))

    def finish(self) -> None:
        """Adds the digest of all that was added."""
        end = {"members": self.members, "sha256": self._digest.hexdigest()}
        body = json.dumps(end).encode()
        self._add(END, io.BytesIO(body), len(body))

    def _add(self, name: str, file: Any, size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        if name != END:
            self._digest.update(f"{name}\0{size}\0".encode())
            self.members += 1
        self._tar.addfile(info, file)


@contextmanager
def writing(path: Path, passphrase: str = "") -> Iterator[Writer]:
    """Writes an archive, readable by its owner only. Raises OSError, such as for a full disk."""
    with ExitStack() as stack:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        target: Any = stack.enter_context(os.fdopen(descriptor, "wb"))
        if passphrase:
            target = stack.enter_context(EncryptingWriter(target, passphrase))
        target = stack.enter_context(gzip.GzipFile(mode="wb", compresslevel=_LEVEL, fileobj=target))
        writer = Writer(stack.enter_context(tarfile.open(mode="w|", fileobj=target)))
        yield writer
        writer.finish()
    with path.open("rb") as file:
        os.fsync(file.fileno())


def members(path: Path, passphrase: str = "") -> Iterator[tuple[str, int, IO[bytes]]]:
    """The name, size and content of each file, in order; each is to be read before the next is asked for.

    Raises Problem if the archive is not what `writing` has written, at the latest after the last file, and if
    a name leads out of its folder; and OSError if the file cannot be read.
    """
    digest, count, end = hashlib.sha256(), 0, None
    with path.open("rb") as file, _in_words():
        unpacked = _opened(file, passphrase)
        with tarfile.open(mode="r|", fileobj=unpacked) as tar:
            for info in tar:
                if end is not None or not info.isfile():
                    raise Problem(f"The file is broken: {info.name!r} does not belong there.")
                content: Any = tar.extractfile(info)
                if info.name == END:
                    end = parsed(content, 1000)
                    continue
                _check_name(info.name)
                digest.update(f"{info.name}\0{info.size}\0".encode())
                count += 1
                digesting = _Digesting(content, digest)
                yield info.name, info.size, digesting  # type: ignore[misc]
                _read_to_the_end(digesting)
        _read_to_the_end(unpacked)  # where the sums of gzip and of age are
    if end != {"members": count, "sha256": digest.hexdigest()}:
        raise Problem("The file is broken: its content was changed, or its end is missing.")


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError):
        raise Problem("The file is broken: it is no backup, or its end is missing.") from None


def _read_to_the_end(file: Any) -> None:
    while file.read(1 << 20):
        pass


def _opened(file: IO[bytes], passphrase: str) -> Any:
    head = file.read(len(MAGIC))
    file.seek(0)
    if head == MAGIC and not passphrase:
        raise Problem("The backup is encrypted: give its passphrase with --passphrase-file.")
    if head != MAGIC and passphrase:
        raise Problem("The backup is not encrypted: leave --passphrase-file out.")
    source: Any = io.BufferedReader(DecryptingReader(file, passphrase), 1 << 16) if passphrase else file
    return gzip.GzipFile(mode="rb", fileobj=source)


def parsed(content: IO[bytes], most: int) -> Any:
    """The JSON of a member of at most so many bytes. Raises Problem."""
    try:
        return json.loads(content.read(most))
    except (ValueError, RecursionError):
        raise Problem("The file is broken: a part of it is no JSON.") from None


def _check_name(name: str) -> None:
    parts = PurePosixPath(name).parts
    inside = len(parts) > 1 and parts[0] in FOLDERS and ".." not in parts and "/".join(parts) == name
    if name != MANIFEST and (not inside or "\\" in name or not name.isprintable()):
        raise Problem(f"The file is broken: {name!r} is no name of a file in a backup.")


class _Digesting:
    """A file of which everything that is read goes into a digest."""

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self._file, self._digest = file, digest

    def read(self, size: int = -1) -> bytes:
        with _in_words():
            data = self._file.read(size)
        self._digest.update(data)
        return data
