"""Which integrations wait for an administrator, who must confirm where a secret goes or enter it again."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce, Now

from integrations import origins
from integrations.confirming import Answers, allow, confirm_each
from integrations.language.document import Template as Compiled
from integrations.models import Integration, PropertyValues, Template
from integrations.origins import Ask
from integrations.properties import Credentials, combined, credentials_of, store
from integrations.signals import credentials_changed
from portal.batches import batches
from portal.encryption import WrongKey
from portal.models import User

logger = logging.getLogger(__name__)


def asks_of(integration: Integration) -> list[Ask]:
    """What the integration's administrators must answer."""
    credentials = credentials_of([integration])[integration.pk]
    return origins.asks_of(integration.compiled, credentials, origins.fixed_for(integration))


def review(keys: Iterable[int]) -> None:
    """Holds the integrations that need an answer and has people told; lets the others go on."""
    for batch in batches(sorted(set(keys))):
        _review_readable(batch)


def review_template(template: Template) -> None:
    """Reviews all integrations that use another revision from now on."""
    review(Integration.objects.filter(template=template).values_list("pk", flat=True))


def confirm(integration: Integration, answers: Answers, user: User, *, for_account: bool) -> int:
    """Lets secrets go where the integration asks for it, and goes on at once; returns how many.

    `for_account`: the user may answer for the account's values.
    """
    given = confirm_each({integration.pk: answers}, user, for_account=for_account)
    affected = Integration.objects.filter(pk=integration.pk)
    if any(ask.inherited for ask in given):
        affected = Integration.objects.filter(
            organization__account=integration.organization.account_id, template=integration.template_id
        )
    if given:
        review(affected.values_list("pk", flat=True))
    return len(given)


def enter(integration: Integration, values: Mapping[str, Any], user: User | None = None) -> None:
    """Stores the organization's values for somebody who knows where they go, and confirms all of that.

    It is for programs that set up an integration as a whole. Pages confirm only what they have named.
    """
    with transaction.atomic():
        row = store(integration, values)
        trust(row, integration, credentials_of([integration])[integration.pk], user)


def trust(
    row: PropertyValues, integration: Integration, credentials: Credentials, user: User | None = None
) -> None:
    """Confirms for the secrets of a row all origins that they reach through the integration now."""
    found = origins.asks_of(integration.compiled, credentials, origins.fixed_for(integration))
    reached: dict[str, set[str]] = {}
    for ask in found:
        if ask.origin and credentials.holders[ask.label] == row.pk:
            reached.setdefault(ask.label, set()).add(ask.origin)
    if reached:
        allow({row.pk: reached}, user)


def adopt() -> None:
    """Takes over the values of version 0.1: what their secrets reach today is confirmed, so nothing is held.

    Each row is changed once, in a transaction of its own, while the portal works.
    """
    waiting = PropertyValues.objects.filter(secret_origins__isnull=True)
    for pk in list(waiting.order_by("pk").values_list("pk", flat=True)):
        try:
            with transaction.atomic():
                row = waiting.select_for_update().filter(pk=pk).first()
                if row is not None:
                    _adopt(row)
        except Exception:  # a secret whose encryption key is lost must not hold up the others
            logger.exception("The values %d could not be read.", pk)


def _adopt(row: PropertyValues) -> None:
    through = Integration.objects.ready()
    if row.integration_id is not None:
        users = list(through.filter(pk=row.integration_id))
    else:
        users = list(through.filter(organization__account=row.account_id, template=row.template_id))
    compiled = _compiled(row, users)
    row.secret_origins = {}
    if compiled is not None:
        secret = {item.label for item in compiled.properties if item.secret}
        row.secret_origins = {label: {} for label in secret & row.values.keys()}
        if row.account_id is not None:  # organizations that will inherit it
            for ask in origins.asks_of(compiled, combined(compiled, None, row), {}):
                if ask.origin:
                    row.confirm(ask.label, {ask.origin}, None)
    row.save(update_fields=["secret_origins", "changed_at"])
    for item in users:
        trust(row, item, credentials_of([item])[item.pk])


def _compiled(row: PropertyValues, users: list[Integration]) -> Compiled | None:
    if users:
        return users[0].compiled
    published = row.template.published if row.template is not None else None
    return published.compiled if published is not None else None


def _review_readable(keys: list[int]) -> None:
    """Reviews those whose values can be read: what no key decrypts holds up none of the others."""
    try:
        _review(keys)
    except WrongKey:
        if len(keys) == 1:
            logger.exception("The values of integration %d could not be read.", keys[0])
        else:
            for key in keys:
                _review_readable([key])


def _review(keys: list[int]) -> None:
    with transaction.atomic():
        rows = list(
            Integration.objects.ready()
            .select_for_update(of=("self",), no_key=True)  # webhooks, which refer to them, do not wait
            .filter(pk__in=keys)
            .order_by("pk")
        )
        released = []
        changes: dict[tuple[str, bool], list[int]] = defaultdict(list)
        for row, credentials in _readable(rows):
            fixed = origins.fixed_for(row)
            asks = origins.asks_of(row.compiled, credentials, fixed)
            reason = " ".join(ask.sentence(row.template) for ask in asks)
            # What blocks messages is among what is asked, and mostly nothing is.
            holds = bool(asks) and bool(origins.blocking(row.compiled, credentials, fixed))
            if (reason, holds) == (row.held_reason, row.holds_messages):
                continue
            if row.held_reason:
                released.append(row.pk)
            changes[reason, holds].append(row.pk)
        for (reason, holds), pks in changes.items():
            Integration.objects.filter(pk__in=pks).update(
                held_reason=reason,
                held_since=Coalesce("held_since", Now()) if reason else None,
                holds_messages=holds,
                tell_at=Now(),
            )
        if released:
            credentials_changed.send(sender=None, integration_ids=released)


def _readable(rows: list[Integration]) -> list[tuple[Integration, Credentials]]:
    """The rows with their credentials; one that cannot be read is left out, and logged when it is used."""
    try:
        found = credentials_of(rows)
        return [(row, found[row.pk]) for row in rows]
    except Exception:
        if len(rows) > 1:
            return [pair for row in rows for pair in _readable([row])]
        return []
