"""The encryption keys of a database: whether a process has them, which are needed, and their rotation."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, models, transaction
from django.db.models import BinaryField, Value
from django.db.models.functions import Cast

from portal import encryption
from portal.account import second_factors
from portal.encryption import EncryptedField, WrongKey
from portal.models import KeyCheck

logger = logging.getLogger(__name__)

BATCH = 25  # rows, of which each may hold a megabyte
ROUNDS = 20  # for rows that somebody else is changing, a second apart
SHOWN = 10  # unreadable rows that are named
_CHECKED = b"patchbay"
_Row = tuple[Any, ...]  # the primary key, and the tokens in the order of the fields


@dataclass(frozen=True)
class EncryptedModel:
    """A model with encrypted fields."""

    model: type[models.Model]
    fields: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.model._meta.label_lower

    def rows(self, keys: Sequence[Any] | None = None) -> Iterator[list[_Row]]:
        """All rows or those with these primary keys, in batches, as they are stored: nothing is decrypted."""
        query = self._stored().order_by("pk")
        if keys is not None:
            query = query.filter(pk__in=keys)
        last: _Row | None = None
        while True:
            found = query if last is None else query.filter(pk__gt=last[0])
            batch = list(found.values_list("pk", *(f"stored_{name}" for name in self.fields))[:BATCH])
            if not batch:
                return
            yield [
                (key, *(None if token is None else bytes(token) for token in rest)) for key, *rest in batch
            ]
            last = batch[-1]

    def replace(self, old: _Row, new: Sequence[bytes | None]) -> bool:
        """Stores new tokens if the old ones are still there; returns whether they were."""
        unchanged = {
            f"stored_{name}": token for name, token in zip(self.fields, old[1:], strict=True) if token
        }
        changed = {
            name: Value(token, output_field=BinaryField())
            for name, token in zip(self.fields, new, strict=True)
            if token
        }
        return bool(self._stored().filter(pk=old[0], **unchanged).update(**changed))

    def give_up(self, keys: Sequence[Any]) -> None:
        """Deletes these rows, or empties their fields if the model says in WITHOUT_KEY what they become."""
        rows = self.model._base_manager.filter(pk__in=keys)
        if (emptied := getattr(self.model, "WITHOUT_KEY", None)) is not None:
            rows.update(**emptied)
            return
        # A row that is deleted may be read before; this is nothing, as bytes and as JSON.
        nothing = Value(encryption.encrypt(b"{}"), output_field=BinaryField())
        rows.update(**dict.fromkeys(self.fields, nothing))
        rows.delete()

    def free(self, keys: Sequence[Any]) -> set[Any]:
        """Locks those of these rows that nobody else has locked, until the transaction ends."""
        rows = self.model._base_manager.filter(pk__in=keys).select_for_update(skip_locked=True, no_key=True)
        return set(rows.values_list("pk", flat=True))

    def _stored(self) -> models.QuerySet[Any]:
        stored: dict[str, Any] = {f"stored_{name}": Cast(name, BinaryField()) for name in self.fields}
        rows: models.QuerySet[Any] = self.model._base_manager.annotate(**stored)
        return rows


@dataclass(frozen=True)
class _SecondFactors(EncryptedModel):
    """The secrets that django-allauth keeps within a JSON field."""

    def rows(self, keys: Sequence[Any] | None = None) -> Iterator[list[_Row]]:
        found = Authenticator.objects.order_by("pk")
        if keys is not None:
            found = found.filter(pk__in=keys)
        rows = found.iterator(BATCH)
        while batch := list(islice(rows, BATCH)):
            yield [self._row(item) for item in batch]

    def replace(self, old: _Row, new: Sequence[bytes | None]) -> bool:
        item = Authenticator.objects.get(pk=old[0])  # locked by `free`
        if self._row(item) != old:
            return False
        item.data |= {name: token.decode() for name, token in zip(self.fields, new, strict=True) if token}
        return bool(Authenticator.objects.filter(pk=item.pk).update(data=item.data))

    def give_up(self, keys: Sequence[Any]) -> None:
        Authenticator.objects.filter(pk__in=keys).delete()

    def _row(self, item: Any) -> _Row:
        found = (str(item.data.get(name, "")) for name in self.fields)
        return (
            item.pk,
            *(text.encode() if text.startswith(second_factors.TOKEN) else None for text in found),
        )


def encrypted_models() -> list[EncryptedModel]:
    """Every model with an encrypted field, found in Django's registry; the check of the keys is the last."""
    found: list[EncryptedModel] = [_SecondFactors(Authenticator, second_factors.NAMES)]
    for model in apps.get_models(include_auto_created=True):
        names = tuple(
            field.attname for field in model._meta.local_concrete_fields if isinstance(field, EncryptedField)
        )
        if names and model._meta.managed and not model._meta.proxy:
            found.append(EncryptedModel(model, names))
    return sorted(found, key=lambda item: item.model is KeyCheck)


def require() -> None:
    """Raises ImproperlyConfigured if the keys are not those of the database, as far as it answers."""
    try:
        if KeyCheck._meta.db_table in connection.introspection.table_names():
            list(KeyCheck.objects.all())
    except DatabaseError as error:
        logger.warning("The encryption keys are not checked, since the database does not answer: %s", error)
    except WrongKey:
        raise ImproperlyConfigured(_wrong()) from None


def remember() -> None:
    """Stores the check value, at the first start with these keys. Raises ImproperlyConfigured like `require`.

    A database of a version without a check value is asked whether its rows can be decrypted.
    """
    require()
    if KeyCheck.objects.exists():
        return
    for item in encrypted_models():
        for row in next(item.rows(), []):
            if not _readable(row):
                raise ImproperlyConfigured(_wrong())
    KeyCheck.objects.get_or_create(pk=1, defaults={"value": _CHECKED})


def check_value() -> bytes | None:
    """The check value as it is stored, which only this database's keys decrypt; None if there is none."""
    check = EncryptedModel(KeyCheck, ("value",))
    if KeyCheck._meta.db_table not in connection.introspection.table_names():
        return None
    return next((token for batch in check.rows() for _key, token in batch), None)


def _wrong() -> str:
    return (
        "This database was encrypted with a key that is not in PATCHBAY_ENCRYPTION_KEYS. Put that key back "
        "into the list, or use the database that belongs to the keys. If the key is lost, see "
        "docs/how-to/rotate-the-keys.md#if-a-key-is-missing."
    )


@dataclass
class Needed:
    """How many rows of which model need which key, by its place in the list, and which no key decrypts."""

    rows: Counter[tuple[int, str]] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def by(self, place: int) -> dict[str, int]:
        """The number of rows that need one key, by model."""
        return {name: count for (key, name), count in sorted(self.rows.items()) if key == place}


def needed() -> Needed:
    """Tries the keys on all that is encrypted; reads everything, and changes nothing."""
    found = Needed()
    for item in encrypted_models():
        for batch in item.rows():
            for row in batch:
                places = {encryption.place_of_key(token) for token in row[1:] if token is not None}
                found.rows.update((place, item.name) for place in places if place is not None)
                if None in places:
                    found.unreadable[item.name] += 1
                    found.examples += [f"{item.name} {row[0]}"][: SHOWN - len(found.examples)]
    return found


def give_up_unreadable() -> Counter[str]:
    """Deletes or empties all that no key of the list decrypts; returns how many rows of each model.

    Afterwards the keys are those of the database. It may be interrupted and repeated.
    """
    given_up: Counter[str] = Counter()
    # The events of a webhook before the webhook; and the check last, without which no process starts.
    *others, check = encrypted_models()
    for item in (*reversed(others), check):
        for batch in item.rows():
            lost = [row[0] for row in batch if not _readable(row)]
            if lost:
                with transaction.atomic():
                    item.give_up(lost)
                given_up[item.name] += len(lost)
    remember()
    return given_up


def _readable(row: _Row) -> bool:
    return all(token is None or encryption.place_of_key(token) is not None for token in row[1:])


@dataclass
class Rotation:
    """What a rotation has done: rows changed, rows that no key decrypts, rows that were always locked."""

    changed: int = 0
    unreadable: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)


def rotate(progress: Callable[[str, int, int], None]) -> Rotation:
    """Encrypts with the first key whatever another key has encrypted, on a running system, in small batches.

    Rows are read without a lock, and changed only if they are still what was read: what is written meanwhile
    is kept. A rotation that was interrupted is continued by the next, which skips what is done. `progress` is
    called with the name of a model, the rows that were looked at, and all rows.
    """
    result = Rotation(changed=_encrypt_second_factors())
    for item in encrypted_models():
        total, seen = item.model._base_manager.count(), 0
        progress(item.name, 0, total)
        again: list[Any] = []
        for batch in item.rows():
            again += _rotate(item, batch, result)
            seen += len(batch)
            progress(item.name, seen, max(total, seen))
        for _round in range(ROUNDS):
            if not again:
                break
            time.sleep(1)
            again = [key for batch in item.rows(again) for key in _rotate(item, batch, result)]
        result.locked += [f"{item.name} {key}" for key in again]
    return result


def _encrypt_second_factors() -> int:
    """Encrypts what version 0.1 has stored plain; returns how many rows that were."""
    count = 0
    for item in Authenticator.objects.order_by("pk"):
        plain = {name: text for name in second_factors.NAMES if (text := str(item.data.get(name, "")))}
        plain = {name: text for name, text in plain.items() if not text.startswith(second_factors.TOKEN)}
        if plain:
            made = {name: encryption.encrypt(text.encode()).decode() for name, text in plain.items()}
            same = Authenticator.objects.filter(pk=item.pk, data=item.data)
            count += same.update(data=item.data | made)
    return count


def _rotate(item: EncryptedModel, batch: Sequence[_Row], result: Rotation) -> list[Any]:
    """Rotates a batch; returns the keys of the rows that somebody else was changing."""
    wanted = {}
    for row in batch:
        places = [encryption.place_of_key(token) for token in row[1:] if token is not None]
        if None in places:
            result.unreadable.append(f"{item.name} {row[0]}")
        elif any(places):
            wanted[row[0]] = row, [None if token is None else encryption.rotated(token) for token in row[1:]]
    if not wanted:
        return []
    with transaction.atomic():
        # Whoever holds locks, as this does, must not wait for others: two could wait for each other.
        free = item.free(list(wanted))
        changed = {key for key, (old, new) in wanted.items() if key in free and item.replace(old, new)}
    result.changed += len(changed)
    return [key for key in wanted if key not in changed]
