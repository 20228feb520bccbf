"""What an integration sends with, kept in the process for as long as nothing of it has changed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now

from integrations.language.document import Template
from integrations.models import Integration, PropertyValues
from integrations.properties import secrets_of, values_of
from integrations.redact import Redactor

logger = logging.getLogger(__name__)

KEPT = 4096


@dataclass(frozen=True, slots=True)
class Service:
    """An integration with its compiled document, its values in the clear, and what hides them.

    `credentials` is the row of values that the service's limits count for: whoever inherits shares it.
    """

    integration: Integration
    compiled: Template
    values: dict[str, Any]
    redactor: Redactor
    credentials: int


_kept: dict[int, tuple[tuple[Any, ...], Service]] = {}


def ready(keys: Iterable[int]) -> dict[int, Service]:
    """The services of integrations by their key, in one query while none has changed; another process may
    have changed them. One that cannot be read (a secret under a lost key) is logged and left out.
    """
    wanted = set(keys)
    if not wanted:
        return {}
    stamps = _stamps(wanted)
    found, stale = {}, []
    for key, stamp in stamps.items():
        kept = _kept.get(key)
        if kept is not None and kept[0] == stamp:
            found[key] = kept[1]
        else:
            stale.append(key)
    for key, service in _read(stale).items() if stale else ():
        if len(_kept) >= KEPT:
            _kept.clear()
        _kept[key] = stamps[key], service
        found[key] = service
    return found


def _stamps(keys: Iterable[int]) -> dict[int, tuple[Any, ...]]:
    """What tells whether anything has changed; revisions never do, and every change of values is dated."""
    of_account = PropertyValues.objects.filter(
        account=OuterRef("organization__account"), template=OuterRef("template")
    )
    good = Q(access_token__expires_at__isnull=True) | Q(access_token__expires_at__gt=Now())
    rows = (
        Integration.objects.filter(pk__in=keys)
        .annotate(
            shown=Coalesce("revision", "template__published"),
            inherited=Subquery(of_account.values("changed_at")[:1]),
            good=Q(access_token__granted_at__isnull=False) & good,
        )
        .values_list(
            "pk", "created_at", "enabled", "shown", "values_row__changed_at", "inherited",
            "access_token__fence", "good",
        )
    )  # fmt: skip
    return {key: tuple(stamp) for key, *stamp in rows}


def _read(keys: list[int]) -> dict[int, Service]:
    try:
        return _services(keys)
    except (OperationalError, InterfaceError):
        raise  # the database is away
    except Exception:
        if len(keys) > 1:
            return {key: service for one in keys for key, service in _read([one]).items()}
        logger.exception("What integration %d sends with cannot be read.", keys[0])
        return {}


def _services(keys: list[int]) -> dict[int, Service]:
    integrations = list(Integration.objects.ready().filter(pk__in=keys))
    values = values_of(integrations)
    accounts = {
        (account, template): key
        for key, account, template in PropertyValues.objects.filter(
            account__in={item.organization.account_id for item in integrations}
        ).values_list("pk", "account", "template")
    }
    found = {}
    for item in integrations:
        credentials = accounts.get((item.organization.account_id, item.template_id))
        if credentials is None or secrets_of(item, item.own_values):
            credentials = PropertyValues.objects.get_or_create(integration=item)[0].pk
        redactor = Redactor(secrets_of(item, values[item.pk]))
        found[item.pk] = Service(item, item.compiled, values[item.pk], redactor, credentials)
    return found
