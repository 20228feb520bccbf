"""What tells whether a process has the encryption keys of this database."""

from __future__ import annotations

from django.db import models

from portal.encryption import EncryptedBinaryField


class KeyCheck(models.Model):
    """One row, whose value a process can decrypt if it has the keys of this database: see `portal.keys`."""

    value = EncryptedBinaryField()

    def __str__(self) -> str:
        return "Check of the encryption keys"
