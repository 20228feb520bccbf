"""Encryption at rest of JSON and bytes: the first of a list of keys encrypts, and all of them decrypt."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

logger = logging.getLogger(__name__)


class WrongKey(Exception):
    """A stored value that none of PATCHBAY_ENCRYPTION_KEYS decrypts."""


def listed() -> list[str]:
    """The keys of PATCHBAY_ENCRYPTION_KEYS."""
    return list(settings.ENCRYPTION_KEYS)


def decrypts(token: bytes, keys: Sequence[str]) -> bool:
    """Whether one of the keys decrypts a stored value."""
    return any(_opens(key, token) for key in keys)


def fingerprint(key: str) -> str:
    """Eight characters that tell a key from others in what people read; they say nothing about the key."""
    return hashlib.sha256(key.strip().encode()).hexdigest()[:8]


def encrypt(value: bytes) -> bytes:
    """The value, encrypted with the first key."""
    return _fernet(tuple(listed())).encrypt(value)


def decrypt(token: bytes) -> bytes:
    """The value that `encrypt` was given, decrypted with whichever key fits. Raises WrongKey."""
    try:
        return _fernet(tuple(listed())).decrypt(token)
    except InvalidToken:
        raise WrongKey(
            "A stored secret cannot be decrypted with PATCHBAY_ENCRYPTION_KEYS. "
            "Was a key removed from the list?"
        ) from None


def rotated(token: bytes) -> bytes:
    """The same value, encrypted with the first key. Raises InvalidToken if no key decrypts it."""
    return _fernet(tuple(listed())).rotate(token)


def place_of_key(token: bytes) -> int | None:
    """The place in the list, from 0, of the first key that decrypts a stored value; None if none does."""
    return next((place for place, key in enumerate(listed()) if _opens(key, token)), None)


def _opens(key: str, token: bytes) -> bool:
    try:
        _fernet((key,)).decrypt(token)
    except InvalidToken:
        return False
    return True


@lru_cache(maxsize=16)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key.strip()) for key in keys])


class Secret:
    """Marks the fields whose values are never shown, neither on pages nor in the audit."""


class SecretCharField(Secret, models.CharField):  # type: ignore[type-arg]
    """A short text that is never shown, such as the hash of a password."""

    def deconstruct(self) -> Any:
        # As a CharField, which it is for the database.
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class EncryptedField(Secret, models.BinaryField):  # type: ignore[type-arg]
    """What is encrypted in the database; it cannot be searched. `portal.keys` finds each by itself."""


class EncryptedBinaryField(EncryptedField):
    """Bytes, encrypted in the database."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else encrypt(bytes(value))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> bytes | None:
        return None if value is None else decrypt(bytes(value))


class EncryptedJSONField(EncryptedField):
    """A JSON value, encrypted in the database. Raises WrongKey when it is read and no key decrypts it.

    With `may_be_lost`, it is logged and None instead, so that one such row keeps nobody from the others. It
    must not be null, so that nobody stores that None in its place.
    """

    def __init__(self, *args: Any, may_be_lost: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.may_be_lost = may_be_lost

    def get_prep_value(self, value: Any) -> Any:
        return (
            None
            if value is None
            else encrypt(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        )

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value is None:
            return None
        try:
            return json.loads(decrypt(bytes(value)))
        except WrongKey:
            if not self.may_be_lost:
                raise
            logger.warning("%s: a row cannot be decrypted. See manage.py check_keys.", self)
            return None
