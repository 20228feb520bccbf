"""Whose webhook is it? The numbers and message ids in the request say so, where the URL names an account.

What is looked up here comes from requests that nobody has verified: it only says whose keys to try.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_plus

from django.db.models import Q

from integrations import properties
from integrations.events import Consent, InboundMessage, InboundRequest
from integrations.models import Integration
from integrations.received import Received
from messaging import numbers
from messaging.models import DeliveryAttempt, Message, Number
from messaging.statuses import Direction
from messaging.webhooks.cache import Cache
from messaging.webhooks.owners import Owner
from portal import process

# Rows that are looked at for the message ids of one request.
MOST_ATTEMPTS = 20_000
# Different groups of digits in a request that are looked up as numbers.
MOST_DIGITS = 100
MOST_COUNTRIES = 5
_DIGITS = (
    re.compile(r"[0-9]{3,15}(?![0-9])", re.ASCII),
    re.compile(r"[0-9](?:[ ().\-/]{0,3}[0-9]){5,14}", re.ASCII),
)


def values_of(integrations: Collection[Integration]) -> dict[int, dict[str, Any]]:
    """The property values that each integration works with, by its key."""
    by_key = {("values", item.pk): item for item in integrations}

    def load(missing: Iterable[tuple[str, int]]) -> dict[tuple[str, int], dict[str, Any]]:
        found = properties.values_of(by_key[key] for key in missing)
        return {("values", pk): values for pk, values in found.items()}

    return {pk: values for (_, pk), values in process.get(Cache).get_many(by_key, load).items()}


def digest_of(owner: Owner, request: InboundRequest) -> str:
    """A digest of the request, by which identical ones are known."""
    whose = f"{owner.account.pk} {owner.template.pk} {request.method} {request.path} {request.query}\n"
    return hashlib.sha256(whose.encode("utf-8", "replace") + request.body).hexdigest()


def recipients_of(received: Received) -> set[str]:
    """The recipients of messages and opt-outs, as the provider wrote them."""
    return {
        recipient
        for event in received.events
        if isinstance(event, InboundMessage | Consent)
        for recipient in event.recipients
    }


def numbers_named(owner: Owner, recipients: Collection[str]) -> dict[str, list[Number]]:
    """Our active numbers that each recipient may mean, by E.164 or by the number's inbound spelling."""

    def load(missing: Iterable[tuple[str, int, str]]) -> dict[tuple[str, int, str], list[Number]]:
        spelled = {key: numbers.spellings(key[-1]) for key in missing}
        wanted = set().union(*spelled.values())
        found: dict[tuple[str, int, str], list[Number]] = defaultdict(list)
        candidates = Number.objects.filter(
            Q(number__in=wanted) | Q(spelling__in=wanted), account=owner.account, active=True
        ).exclude(kind=numbers.Kind.NAME)
        for number in candidates:
            for key, ways in spelled.items():
                if number.number in ways or number.spelling in ways:
                    found[key].append(number)
        return found

    keys = [("named", owner.account.pk, given) for given in recipients]
    return {given: found for (*_, given), found in process.get(Cache).get_many(keys, load).items()}


def only_numbers(integrations: Collection[Integration]) -> dict[int, str]:
    """The number of each integration that has exactly one, by the integration's key."""

    def load(missing: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
        active = Number.objects.filter(integration__in=[key for _, key in missing], active=True)
        found: dict[int, list[str]] = defaultdict(list)
        for key, number in active.values_list("integration", "number"):
            found[key or 0].append(number)
        return {("only number", key): has[0] for key, has in found.items() if len(has) == 1}

    keys = [("only number", item.pk) for item in integrations]
    return {key: found for (_, key), found in process.get(Cache).get_many(keys, load).items()}


def only_named(owner: Owner, request: InboundRequest) -> int | None:
    """The key of the only organization of the account whose phone numbers stand in a request; else None.

    Any number of another organization, also one that is not active, or a short code, makes it None; and so do
    more digits than are looked up. For showing a request to who is not the account's admin.
    """
    said = f"{request.path} {request.query} ".encode("utf-8", "replace") + request.body
    text = unquote_plus(said.decode("utf-8", "replace"))
    found = {re.sub(r"\D", "", each) for way in _DIGITS for each in way.findall(text)}
    if not found or len(found) > MOST_DIGITS:
        return None
    ours = Number.objects.filter(account=owner.account)
    wanted = {way for each in found for way in (each, f"+{each.lstrip('0')}")}
    for country in ours.order_by("country").values_list("country", flat=True).distinct()[:MOST_COUNTRIES]:
        for each in found:
            with suppress(ValueError):
                wanted.add(numbers.recipient(each, country))
    rows = list(
        ours.filter(Q(number__in=wanted) | Q(spelling__in=wanted)).values_list("organization", "kind")
    )
    organizations = {organization for organization, _ in rows}
    whole = any(kind == numbers.Kind.E164 for _, kind in rows)
    return organizations.pop() if len(organizations) == 1 and whole else None


def organizations_of_ids(
    owner: Owner, messageids: Collection[str], uuids: Collection[str]
) -> dict[str, set[int]]:
    """By id, the provider's or ours: keys of the organizations that sent messages with it."""
    found: dict[str, set[int]] = defaultdict(set)
    if messageids:
        attempts = DeliveryAttempt.objects.filter(
            ~Q(provider_id=""),  # as the index says, or SQLite does not use it
            provider_id__in=messageids,
            integration__template=owner.template,
            organization__account=owner.account,
        )
        pairs = attempts.order_by().values_list("provider_id", "organization").distinct()
        for messageid, organization in pairs[:MOST_ATTEMPTS]:
            found[messageid].add(organization)
    if uuids:
        messages = Message.objects.filter(
            uuid__in=uuids, direction=Direction.OUT, organization__account=owner.account
        )
        for uuid, organization in messages.values_list("uuid", "organization"):
            found[str(uuid)].add(organization)
    return found
