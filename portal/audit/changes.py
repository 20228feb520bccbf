"""What may be shown of a row, decided by the class of each field, and the difference between two times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.utils.translation import gettext as _

from portal.encryption import Secret
from portal.models.audit_entries import Change

MAX_TEXT = 300  # characters of a value
MAX_LISTED = 10  # items of a list; of longer ones only what was added and removed

# The classes whose values are shown. Of any other class, an entry only says that the value changed.
SHOWN = (
    models.BooleanField,
    models.CharField,
    models.DateField,
    models.DecimalField,
    models.DurationField,
    models.FileField,
    models.FloatField,
    models.ForeignKey,
    models.GenericIPAddressField,
    models.IntegerField,
    models.TextField,
    models.UUIDField,
)


@dataclass(frozen=True)
class Value:
    """A value to be compared, and what may be shown of it; None if it may not be shown."""

    raw: Any
    text: str | None


@dataclass(frozen=True)
class Snapshot:
    """A row at one time: its values, its lists by label, and the rows that belong to it by label and key."""

    values: Mapping[str, Value]
    lists: Mapping[str, frozenset[str]]
    parts: Mapping[tuple[str, Any], tuple[str, Mapping[str, Value]]]


EMPTY = Snapshot({}, {}, {})


def tracked(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """The fields that people can change, and those with encrypted values."""
    fields = cast("list[models.Field[Any, Any]]", model._meta.concrete_fields)
    return [
        field
        for field in fields
        if (field.editable or isinstance(field, models.BinaryField))
        and not field.primary_key
        and not (issubclass(model, AbstractBaseUser) and field.name == "last_login")
    ]


def is_shown(field: models.Field[Any, Any]) -> bool:
    """Whether values of the field may be shown."""
    return isinstance(field, SHOWN) and not isinstance(field, Secret)


def snapshot(row: models.Model, parts: Iterable[type[models.Model]] = ()) -> Snapshot:
    """A row as it is now, with its many-to-many lists and the rows of `parts`, which point to it.

    The number of queries depends on the number of fields and parts, not on that of rows.
    """
    lists = {
        str(field.verbose_name): frozenset(map(str, getattr(row, field.name).all()))
        for field in row._meta.many_to_many
    }
    found = {}
    for model in parts:
        link = _link(model, row)
        label = str(model._meta.verbose_name)
        related = [f.name for f in tracked(model) if isinstance(f, models.ForeignKey) and f is not link]
        for part in model._base_manager.filter(**{link.name: row}).select_related(*related):
            found[label, part.pk] = str(part), _values(part, link)
    return Snapshot(_values(row), lists, found)


def difference(before: Snapshot, after: Snapshot) -> dict[str, Change]:
    """What changed, by label, as it may be shown; secrets and unknown classes without their values."""
    found = _differing("", before.values, after.values)
    for label in {**before.lists, **after.lists}:
        old, new = before.lists.get(label, frozenset()), after.lists.get(label, frozenset())
        if old != new:
            if max(len(old), len(new)) > MAX_LISTED:
                old, new = old - new, new - old
            found[label] = _listed(old), _listed(new)
    for label, key in {**before.parts, **after.parts}:
        name, values = before.parts.get((label, key), ("", {}))
        new_name, new_values = after.parts.get((label, key), ("", {}))
        if not new_values:
            found[f"{label} {name}"] = _summary(values), ""
        elif not values:
            found[f"{label} {new_name}"] = "", _summary(new_values)
        else:
            found.update(_differing(f"{label} {name}: ", values, new_values))
    return found


def labels(names: Iterable[str]) -> dict[str, Change]:
    """Values that changed, by their labels alone: all that an entry ever says about property values."""
    return dict.fromkeys(names)


def differing_labels(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Change]:
    """The labels of the values that differ, without the values."""
    return labels(label for label in {**before, **after} if before.get(label) != after.get(label))


def _values(row: models.Model, link: Any = None) -> dict[str, Value]:
    return {
        str(field.verbose_name): _value(row, field) for field in tracked(row._meta.model) if field is not link
    }


def _value(row: models.Model, field: models.Field[Any, Any]) -> Value:
    raw = getattr(row, field.attname)
    return Value(raw, _text(row, field, raw) if is_shown(field) else None)


def _text(row: models.Model, field: models.Field[Any, Any], raw: Any) -> str:
    if raw is None or raw == "":
        return ""
    if isinstance(field, models.ForeignKey):
        return str(getattr(row, field.name))[:MAX_TEXT]
    if isinstance(raw, bool):
        return _("yes") if raw else _("no")
    if field.choices:
        return str(getattr(row, f"get_{field.name}_display")())
    text = str(raw)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _differing(prefix: str, before: Mapping[str, Value], after: Mapping[str, Value]) -> dict[str, Change]:
    nothing = Value(None, "")
    found: dict[str, Change] = {}
    for label in {**before, **after}:
        old, new = before.get(label, nothing), after.get(label, nothing)
        if old.raw == new.raw or (not old.text and new.text == ""):
            continue
        if old.text is None or new.text is None:
            found[prefix + label] = None
        else:
            found[prefix + label] = old.text, new.text
    return found


def _listed(items: Iterable[str]) -> str:
    found = sorted(items)
    more = f", … ({len(found)})" if len(found) > MAX_LISTED else ""
    return ", ".join(found[:MAX_LISTED]) + more


def _summary(values: Mapping[str, Value]) -> str:
    text = ", ".join(f"{label}: {value.text}" for label, value in values.items() if value.text)
    return text or "–"


def _link(model: type[models.Model], row: models.Model) -> models.ForeignKey[Any, Any]:
    """The foreign key of a part to its row."""
    for field in model._meta.concrete_fields:
        if isinstance(field, models.ForeignKey) and isinstance(row, field.related_model):
            return field
    raise LookupError(f"{model.__name__} does not point to {type(row).__name__}.")


def filters(query: str) -> dict[str, Change]:
    """The filters of a list that somebody exported, without the words of a search.

    These may be a contact's name or number, which would outlive its erasure here.
    """
    given = parse_qsl(query, keep_blank_values=True)
    said = [
        f"{name}=…" if name == SEARCH_VAR and value else urlencode([(name, value)]) for name, value in given
    ]
    return {_("filters"): ("", "&".join(said)[:200])} if said else {}
