"""Writes audit entries, in the transaction of what they tell about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import models
from django.db.models import Count

from portal.audit import origin
from portal.audit.changes import EMPTY, Snapshot, difference
from portal.models import Account, Organization, User
from portal.models.audit_entries import Action, AuditEntry, Change

Scope = tuple[int | None, int | None]
NAME = 400  # characters


def record(
    action: Action,
    row: models.Model | None = None,
    changes: Mapping[str, Change] | None = None,
    *,
    actor: User | None = None,
    name: str = "",
    scope: Scope | None = None,
) -> AuditEntry:
    """Records what the current user, program or command did to a row.

    `changes` come from the functions of `portal.audit.changes`, which know what may be shown. `name` replaces
    the row's text, and `scope`, an account's and an organization's key, the ones found from the row. `actor`
    is for somebody who is not signed in yet. Call it in the transaction of the change.
    """
    account, organization = scope if scope is not None else scope_of(row) if row is not None else (None, None)
    entry = AuditEntry(
        **_origin(actor),
        action=action,
        kind=kind_of(row._meta.model) if row is not None else "",
        object_id=str(row.pk or "") if row is not None else "",
        name=(name or _name(row))[:NAME],
        account_id=account,
        organization_id=organization,
        changes=dict(changes or {}),
    )
    entry.save(force_insert=True)
    return entry


def record_change(row: models.Model, before: Snapshot, after: Snapshot) -> AuditEntry | None:
    """Records a row that was added (`before` is EMPTY) or changed; nothing if it looks as before."""
    changes = difference(before, after)
    if before is EMPTY:
        return record(Action.ADDED, row, changes)
    if not changes:
        return None
    action = Action.CHANGED
    if isinstance(row, User) and set(changes) == {str(User._meta.get_field("password").verbose_name)}:
        # Nobody but the owner of the link in an email sets a password without being signed in.
        action = Action.PASSWORD_RESET if origin.current().anonymous else Action.PASSWORD_CHANGED
    return record(action, row, changes)


def record_each(
    action: Action,
    rows: Iterable[models.Model],
    actor: User | None = None,
    changes: Mapping[str, Change] | None = None,
) -> None:
    """Records what was done to each of several rows, in one statement beside those that read the rows.

    `changes` are the same for all.
    """
    shared = _origin(actor)
    entries = []
    for row in rows:
        account, organization = scope_of(row)
        entries.append(
            AuditEntry(
                **shared,
                action=action,
                kind=kind_of(row._meta.model),
                object_id=str(row.pk),
                name=_name(row)[:NAME],
                account_id=account,
                organization_id=organization,
                changes=dict(changes or {}),
            )
        )
    AuditEntry.objects.bulk_create(entries)


def record_rows(
    rows: Iterable[tuple[Action, models.Model, Mapping[str, Change], Scope | None]],
    actor: User,
    name: Callable[[Any], str] | None = None,
) -> None:
    """Records what a task did in the name of somebody to several rows, in one statement.

    Each row comes with its changes and, unless it can be found from the row, its scope. `name` says how the
    entries call a row that its text would give away.
    """
    shared = _origin(actor)
    entries = []
    for action, row, changes, scope in rows:
        account, organization = scope or scope_of(row)
        entries.append(
            AuditEntry(
                **shared,
                action=action,
                kind=kind_of(row._meta.model),
                object_id=str(row.pk),
                name=(name or _name)(row)[:NAME],
                account_id=account,
                organization_id=organization,
                changes=dict(changes),
            )
        )
    AuditEntry.objects.bulk_create(entries)


def record_many(
    action: Action, rows: models.QuerySet[Any], *, account: str = "organization__account"
) -> None:
    """Records what was done to several rows at once: one entry, with the count, for each organization.

    `account` is the lookup from a row to its account. Takes two statements, whatever the number of rows.
    """
    counts = rows.order_by().values(account, "organization").annotate(rows=Count("pk"))
    shared = _origin(None)
    AuditEntry.objects.bulk_create(
        AuditEntry(
            **shared,
            action=action,
            kind=kind_of(rows.model),
            account_id=each[account],
            organization_id=each["organization"],
            count=each["rows"],
        )
        for each in counts
    )


def scope_of(row: models.Model) -> Scope:
    """The keys of the account and the organization to which a row belongs.

    A user belongs to where all of their roles are: to an organization, to an account, or to neither. Another
    row belongs to its organization or account, or to those of what it points to.
    """
    if isinstance(row, Organization):
        return row.account_id, row.pk
    if isinstance(row, Account):
        return row.pk, None
    if isinstance(row, User):
        roles = list(row.memberships.values_list("account", "organization")[:50])
        accounts, organizations = {role[0] for role in roles}, {role[1] for role in roles}
        alone = accounts.pop() if len(accounts) == 1 else None
        return alone, organizations.pop() if alone and len(organizations) == 1 else None
    links = [field for field in row._meta.concrete_fields if isinstance(field, models.ForeignKey)]
    tenants = [field for field in links if field.related_model in (Organization, Account)]
    for field in sorted(tenants, key=lambda field: field.related_model is Account):
        if getattr(row, field.attname) is not None:
            return scope_of(getattr(row, field.name))
    for field in links if not tenants else ():
        target = getattr(row, field.name)
        if target is not None and (found := scope_of(target)) != (None, None):
            return found
    return None, None


def kind_of(model: type[models.Model]) -> str:
    """How entries name a model; a proxy is the model that it stands for."""
    return (model._meta.concrete_model or model)._meta.label_lower


def _origin(actor: User | None) -> dict[str, Any]:
    found = origin.current(actor)
    return {
        "actor": found.actor,
        "who": found.who[:NAME],
        "token": found.token,
        "address": found.address,
        "request_id": found.request_id,
    }


def _name(row: models.Model | None) -> str:
    return origin.name_of(row) if isinstance(row, User) else str(row or "")
