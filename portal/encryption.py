"""Encryption at rest of JSON and bytes: the first of a list of keys encrypts, and all of them decrypt."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class WrongKey(Exception):
    """A stored value that none of PATCHBAY_ENCRYPTION_KEYS decrypts."""


def encrypt(value: bytes) -> bytes:
    """The value, encrypted with the first key."""
    return _fernet(tuple(settings.ENCRYPTION_KEYS)).encrypt(value)


def decrypt(token: bytes) -> bytes:
    """The value that `encrypt` was given, decrypted with whichever key fits. Raises WrongKey."""
    try:
        return _fernet(tuple(settings.ENCRYPTION_KEYS)).decrypt(token)
    except InvalidToken:
        raise WrongKey(
            "A stored secret cannot be decrypted with PATCHBAY_ENCRYPTION_KEYS. "
            "Was a key removed from the list?"
        ) from None


@lru_cache(maxsize=4)
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


class EncryptedBinaryField(Secret, models.BinaryField):  # type: ignore[type-arg]
    """Bytes, encrypted in the database; it cannot be searched."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else encrypt(bytes(value))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> bytes | None:
        return None if value is None else decrypt(bytes(value))


class EncryptedJSONField(Secret, models.BinaryField):  # type: ignore[type-arg]
    """A JSON value, encrypted in the database; it cannot be searched."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else encrypt(json.dumps(value, ensure_ascii=False).encode())

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else json.loads(decrypt(bytes(value)))
