"""Encryption of files with a passphrase in the format of age (https://age-encryption.org/v1).

What is written here opens with `age --decrypt`, and the other way round.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import io
import os
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from portal.backup.problems import Problem

MAGIC = b"age-encryption.org/v1\n"
CHUNK = 64 * 1024
_TAG = 16
_WORK = 17  # 2**17 rounds of scrypt: 128 MiB and half a second for each guess
_MOST_WORK = 20  # a file may ask for a GiB and no more


class EncryptingWriter(io.RawIOBase):
    """Writes to `target` what is written here, encrypted with the passphrase; `close` completes it."""

    def __init__(self, target: IO[bytes], passphrase: str) -> None:
        file_key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
        wrapped = ChaCha20Poly1305(_wrap_key(passphrase, salt, _WORK)).encrypt(bytes(12), file_key, None)
        header = MAGIC + b"-> scrypt %b %d\n%b\n---" % (_encoded(salt), _WORK, _encoded(wrapped))
        target.write(header + b" " + _encoded(_mac(file_key, header)) + b"\n" + nonce)
        self._target, self._cipher = target, ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
        self._buffer, self._count = bytearray(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._buffer += data
        while len(self._buffer) > CHUNK:  # the last chunk, which may be full, is marked as such
            self._seal(bytes(self._buffer[:CHUNK]), last=False)
            del self._buffer[:CHUNK]
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._seal(bytes(self._buffer), last=True)
        super().close()

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._target.write(self._cipher.encrypt(_nonce(self._count, last), chunk, None))
        self._count += 1


class DecryptingReader(io.RawIOBase):
    """Reads what an EncryptingWriter or age has written.

    Raises Problem for a wrong passphrase or a broken file.
    """

    def __init__(self, source: IO[bytes], passphrase: str) -> None:
        file_key = _file_key(source, passphrase)
        nonce = source.read(16)
        self._source, self._cipher = source, ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
        self._ahead, self._clear, self._count, self._ended = source.read(CHUNK + _TAG), b"", 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._clear and not self._ended:
            self._clear = self._next()
        part = self._clear[: len(buffer)]
        buffer[: len(part)] = part
        self._clear = self._clear[len(part) :]
        return len(part)

    def _next(self) -> bytes:
        chunk, self._ahead = self._ahead, self._source.read(CHUNK + _TAG)
        self._ended = not self._ahead
        try:
            clear = self._cipher.decrypt(_nonce(self._count, self._ended), chunk, None)
        except InvalidTag:
            raise Problem("The file is broken: it was changed, or its end is missing.") from None
        self._count += 1
        return clear


def _file_key(source: IO[bytes], passphrase: str) -> bytes:
    lines = [source.readline(200) for _line in range(4)]
    header = b"".join(lines[:3]) + b"---"
    try:
        kind, encoded, work = lines[1].removeprefix(b"-> ").split()
        salt, wrapped, given = _decoded(encoded), _decoded(lines[2]), _decoded(lines[3].removeprefix(b"--- "))
        if (len(salt), len(wrapped), len(given)) != (16, 32, 32):
            raise ValueError
        if lines[0] != MAGIC or kind != b"scrypt" or not work.isdigit() or int(work) > _MOST_WORK:
            raise Problem("The file is encrypted, but not with a passphrase as Patchbay does it.")
        cipher = ChaCha20Poly1305(_wrap_key(passphrase, salt, int(work)))
        file_key = cipher.decrypt(bytes(12), wrapped, None)
    except InvalidTag:
        raise Problem("The passphrase is not that of the backup.") from None
    except (ValueError, binascii.Error):
        raise Problem("The file is broken: its first lines cannot be read.") from None
    if not hmac.compare_digest(_mac(file_key, header), given):
        raise Problem("The file is broken: its first lines were changed.")
    return file_key


def _wrap_key(passphrase: str, salt: bytes, work: int) -> bytes:
    return hashlib.scrypt(
        passphrase.encode(),
        salt=b"age-encryption.org/v1/scrypt" + salt,
        n=2**work,
        r=8,
        p=1,
        maxmem=2**work * 8 * 128 + 2**20,
        dklen=32,
    )


def _derived(file_key: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, purpose).derive(file_key)


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derived(file_key, b"", b"header"), header, "sha256")


def _nonce(count: int, last: bool) -> bytes:
    return count.to_bytes(11, "big") + (b"\1" if last else b"\0")


def _encoded(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    text = text.strip()
    return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
