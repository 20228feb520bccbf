"""Encryption in the format of age: what age has written opens, and nothing that was changed does."""

from __future__ import annotations

import base64
import io

import pytest

from portal.backup.age import CHUNK, DecryptingReader, EncryptingWriter
from portal.backup.problems import Problem

PASSPHRASE = "correct horse"
# `age --passphrase` 1.1.1 of "made by age\n".
BY_AGE = base64.b64decode(
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBWbFcxUTI0M0JWVXJpQlFZOTB3bTdnIDE4ClI3VzZuTTI0UWVSR2xQclc3Z3RSbkN1"
    "UEZSZWFTRXgrN2VJYUM4dDlTUkEKLS0tIGIvNkxvcFhOVHc2N3VCUUVaWmZtOHZ4QjJhTUo1OVVJbHV3V0FtcDNnWXcKAzDoesQZmQ/n7htw"
    "iAF/OgdNj+xrAe6PU2DEvBPr3/iLapn2PyFG3QkTlkY="
)


@pytest.fixture(scope="module")
def encrypted() -> bytes:
    """Two full chunks."""
    return encrypt(bytes(2 * CHUNK))


def encrypt(content: bytes) -> bytes:
    target = io.BytesIO()
    with EncryptingWriter(target, PASSPHRASE) as writer:
        writer.write(content)
    return target.getvalue()


def decrypt(content: bytes, passphrase: str = PASSPHRASE) -> bytes:
    return io.BufferedReader(DecryptingReader(io.BytesIO(content), passphrase)).read()


def test_what_age_has_written_opens() -> None:
    assert decrypt(BY_AGE) == b"made by age\n"


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_every_size_comes_back(size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    assert decrypt(encrypt(content)) == content


def test_it_is_not_twice_the_same() -> None:
    assert encrypt(b"same") != encrypt(b"same")


def test_another_passphrase_is_told_from_a_broken_file() -> None:
    with pytest.raises(Problem, match=r"The passphrase is not that of the backup\."):
        decrypt(BY_AGE, "correct horses")


@pytest.mark.parametrize("left", [0, 10, 60, 150, -CHUNK - 16, -1])
def test_a_file_whose_end_is_missing_is_broken(encrypted: bytes, left: int) -> None:
    with pytest.raises(Problem, match="The file is"):
        decrypt(encrypted[:left])


@pytest.mark.parametrize("place", [3, 30, 50, 90, 150, 170, CHUNK, -1])
def test_a_file_that_was_changed_is_broken(encrypted: bytes, place: int) -> None:
    changed = bytearray(encrypted)
    changed[place] ^= 1
    with pytest.raises(Problem):
        decrypt(bytes(changed))


def test_chunks_that_change_places_are_broken(encrypted: bytes) -> None:
    whole = CHUNK + 16
    head, first, second = encrypted[: -2 * whole], encrypted[-2 * whole : -whole], encrypted[-whole:]
    with pytest.raises(Problem, match="The file is broken"):
        decrypt(head + second + first)


@pytest.mark.parametrize("work", [b"21", b"99999999999", b"-1", b"x"])
def test_a_file_cannot_ask_for_all_memory(work: bytes) -> None:
    with pytest.raises(Problem):
        decrypt(BY_AGE.replace(b" 18\n", b" %b\n" % work))
