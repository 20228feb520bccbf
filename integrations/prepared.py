"""Integrations prepared for sending, cached in the process until something in them changes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from django.utils.translation import gettext as _

from integrations import origins, responses
from integrations.events import Fault, HttpResponse, Outcome
from integrations.language.document import Template
from integrations.models import Integration, PropertyValues
from integrations.origins import Ask
from integrations.properties import ACCESS_TOKEN, Credentials, credentials_of
from integrations.redact import Redactor
from portal import process
from portal.database import sql

logger = logging.getLogger(__name__)

CACHE_SIZE = 4096


@dataclass(frozen=True, slots=True)
class PreparedIntegration:
    """An integration with its compiled template, its credentials, and a redactor for its secrets.

    `credentials` is the key of the PropertyValues that the provider's rate limits apply to; organizations
    that inherit their values share it. `asks` must be answered before messages are sent.
    """

    integration: Integration
    compiled: Template
    sends_with: Credentials
    redactor: Redactor
    credentials: int
    asks: tuple[Ask, ...]

    @property
    def values(self) -> dict[str, Any]:
        """What the template's shapes may read."""
        return self.sends_with.values

    def read(self, method: str, variables: Mapping[str, Any], answer: HttpResponse | Fault) -> Outcome:
        """What an answer means, fit to be stored: a provider may repeat the secrets that were sent to it."""
        outcome = responses.read(self.compiled, method, self.values, variables, answer)
        hide = self.redactor
        return replace(
            outcome,
            messageid=_storable(outcome.messageid)[:200],
            code=_storable(hide.text(outcome.code))[:60],
            text=_storable(hide.text(outcome.text))[:500],
        )

    @property
    def no_access(self) -> str:
        """Why nothing can be sent, if that needs an access token which there is not; else ""."""
        if self.compiled.grant is None or ACCESS_TOKEN in self.values:
            return ""
        return _("%(provider)s has issued no access token. Check that it is connected.") % {
            "provider": self.integration.template.name
        }


def _storable(shown: str) -> str:
    """PostgreSQL refuses U+0000."""
    return shown.replace("\0", "\ufffd")


class _Cache:
    """What integrations send with, as of a stamp that tells whether anything has changed since."""

    def __init__(self) -> None:
        self.kept: dict[int, tuple[tuple[Any, ...], PreparedIntegration]] = {}


def prepare(keys: Iterable[int]) -> dict[int, PreparedIntegration]:
    """The integrations by their key, in one query as long as no process has changed them.

    An integration that cannot be read (a secret whose encryption key is lost) is logged and left out.
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
    for key, read in _read(stale).items() if stale else ():
        if len(cache) >= CACHE_SIZE:
            cache.clear()
        cache[key] = stamps[key], read
        found[key] = read
    return found


def _stamps(keys: Iterable[int]) -> dict[int, tuple[Any, ...]]:
    """A stamp for each integration, which changes with it: revisions are immutable, and values are dated."""
    with connection.cursor() as cursor:
        cursor.execute(_stamps_statement(), [sql.array(keys)])
        return {key: tuple(stamp) for key, *stamp in cursor.fetchall()}


@cache
def _stamps_statement() -> str:
    """The query for stamps, which runs for each batch: the ORM would need longer than the database."""
    return f"""
        SELECT integration.id, integration.created_at, integration.enabled,
            COALESCE(integration.revision_id, template.published_id), own.changed_at, inherited.changed_at,
            organization.domain, token.fence,
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
        return _prepared(keys)
    except (OperationalError, InterfaceError):
        raise  # the database is unavailable
    except Exception:
        if len(keys) > 1:
            return {key: read for one in keys for key, read in _read([one]).items()}
        logger.exception("Integration %d cannot be read.", keys[0])
        return {}


def _prepared(keys: list[int]) -> dict[int, PreparedIntegration]:
    integrations = list(Integration.objects.ready().filter(pk__in=keys))
    found_for = credentials_of(integrations)
    accounts = {
        (account, template): key
        for key, account, template in PropertyValues.objects.filter(
            account__in={item.organization.account_id for item in integrations}
        ).values_list("pk", "account", "template")
    }
    found = {}
    for item in integrations:
        own = found_for[item.pk]
        credentials = accounts.get((item.organization.account_id, item.template_id))
        if credentials is None or own.holders.keys() - own.inherited - {ACCESS_TOKEN}:
            row = getattr(item, "values_row", None)
            credentials = (row or PropertyValues.objects.get_or_create(integration=item)[0]).pk
        asks = tuple(origins.blocking(item.compiled, own, origins.fixed_for(item)))
        found[item.pk] = PreparedIntegration(item, item.compiled, own, own.redactor(), credentials, asks)
    return found
