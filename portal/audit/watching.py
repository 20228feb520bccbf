"""Records the rows of watched models that are saved or deleted outside the forms of the administration.

The administration watches each model that it lets people change, and the models of its inlines. Flows that
record more than a changed row do so themselves, inside `covered`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Model
from django.db.models.signals import post_save, pre_delete, pre_save

from portal.audit import recording
from portal.audit.changes import EMPTY, snapshot, tracked
from portal.models.audit_entries import Action

_covered: ContextVar[bool] = ContextVar("audit_covered", default=False)
_watched: set[type[Model]] = set()


def watch(model: type[Model]) -> None:
    """Has each row that is added, changed or deleted recorded; statements on many rows are not."""
    _watched.add(model)
    pre_save.connect(_before_saving, sender=model, dispatch_uid="audit")
    post_save.connect(_after_saving, sender=model, dispatch_uid="audit")
    pre_delete.connect(_before_deleting, sender=model, dispatch_uid="audit")


def watched() -> frozenset[type[Model]]:
    """All models whose rows are recorded."""
    return frozenset(_watched)


@contextmanager
def covered() -> Iterator[None]:
    """For a flow that records by itself what it saves and deletes meanwhile."""
    token = _covered.set(True)
    try:
        yield
    finally:
        _covered.reset(token)


def _before_saving(
    sender: type[Model], instance: Any, raw: bool, update_fields: Iterable[str] | None, **more: Any
) -> None:
    instance._audit_before = None
    if raw or instance._state.adding or _covered.get():
        return
    names = {field.name for field in tracked(sender)}
    if update_fields is not None and not names.intersection(update_fields):
        return
    rehashed = update_fields is not None and set(update_fields) == {"password"}
    if rehashed and issubclass(sender, AbstractBaseUser) and instance._password is None:
        return  # Django stores the same password, hashed with the current parameters.
    stored = sender._base_manager.filter(pk=instance.pk).first()
    instance._audit_before = snapshot(stored) if stored is not None else None


def _after_saving(sender: type[Model], instance: Any, created: bool, raw: bool, **more: Any) -> None:
    before = EMPTY if created else instance._audit_before
    if raw or before is None or _covered.get():
        return
    recording.record_change(instance, before, snapshot(sender._base_manager.get(pk=instance.pk)))


def _before_deleting(sender: type[Model], instance: Any, **more: Any) -> None:
    if not _covered.get():
        recording.record(Action.DELETED, instance)
