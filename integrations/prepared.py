"""What an integration sends with, kept in the process for as long as nothing of it has changed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from integrations.language.document import Template
from integrations.models import Integration, PropertyValues
from integrations.properties import secrets_of, values_of
from integrations.redact import Redactor
from portal import process
from portal.database import sql

logger = logging.getLogger(__name__)

KEPT = 4096


@dataclass(frozen=True, slots=True)
class PreparedIntegration:
    """An integration with its compiled document, its values in the clear, and what hides them.

    `credentials` is the row of values that the service's limits count for: whoever inherits shares it.
    """

    integration: Integration
    compiled: Template
    values: dict[str, Any]
    redactor: Redactor
    credentials: int


class _Cache:
    """What integrations send with, as of a stamp that tells whether anything has changed since."""

    def __init__(self) -> None:
        self.kept: dict[int, tuple[tuple[Any, ...], PreparedIntegration]] = {}


def prepare(keys: Iterable[int]) -> dict[int, PreparedIntegration]:
    """The services of integrations by their key, in one query while none has changed; another process may
    have changed them. One that cannot be read (a secret under a lost key) is logged and left out.
    """
    wanted = set(keys)
    if not wanted:
        return {}
    stamps, cache = _stamps(wanted), process.get(_Cache).kept
    found, stale = {}, []
    for key, stamp in stamps.items():
        kept = cache.get(key)
        if kept is not None and kept[0] == stamp:
            found[key] = kept[1]
        else:
            stale.append(key)
    for key, service in _read(stale).items() if stale else ():
        if len(cache) >= KEPT:
            cache.clear()
        cache[key] = stamps[key], service
        found[key] = service
    return found


def _stamps(keys: Iterable[int]) -> dict[int, tuple[Any, ...]]:
    """What tells whether anything has changed; revisions never do, and every change of values is dated."""
    with connection.cursor() as cursor:
        cursor.execute(_stamps_statement(), [sql.array(keys)])
        return {key: tuple(stamp) for key, *stamp in cursor.fetchall()}


@cache
def _stamps_statement() -> str:
    """Asked for each batch, where the ORM would take longer to write it than the database to answer."""
    return f"""
        SELECT integration.id, integration.created_at, integration.enabled,
            COALESCE(integration.revision_id, template.published_id), own.changed_at, inherited.changed_at,
            token.fence,
            token.granted_at IS NOT NULL AND (token.expires_at IS NULL OR token.expires_at > {sql.now()})
        FROM integrations_integration AS integration
        JOIN integrations_template AS template ON template.id = integration.template_id
        JOIN portal_organization AS organization ON organization.id = integration.organization_id
        LEFT JOIN integrations_propertyvalues AS own ON own.integration_id = integration.id
        LEFT JOIN integrations_propertyvalues AS inherited
            ON inherited.account_id = organization.account_id
            AND inherited.template_id = integration.template_id
        LEFT JOIN integrations_accesstoken AS token ON token.integration_id = integration.id
        WHERE {sql.among("integration.id")}
    """  # noqa: S608 (constants)


def _read(keys: list[int]) -> dict[int, PreparedIntegration]:
    try:
        return _services(keys)
    except (OperationalError, InterfaceError):
        raise  # the database is away
    except Exception:
        if len(keys) > 1:
            return {key: service for one in keys for key, service in _read([one]).items()}
        logger.exception("What integration %d sends with cannot be read.", keys[0])
        return {}


def _services(keys: list[int]) -> dict[int, PreparedIntegration]:
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
        found[item.pk] = PreparedIntegration(item, item.compiled, values[item.pk], redactor, credentials)
    return found
