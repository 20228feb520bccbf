"""Empties the webhooks of a contact who is erased: what providers said of them, as it came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Set
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from integrations.decoded import decoded
from integrations.language import phones
from integrations.senders import sender
from messaging import numbers
from messaging.models import WebhookEvent, WebhookRequest
from messaging.statuses import UNFIT, EventState
from portal.models import Organization

BATCH = 20  # requests, each of up to a megabyte


def empty(
    organization: Organization, address: str, contacts: Set[int], *, whole_account: bool
) -> Iterator[Counter[str]]:
    """Empties the contact's events, which still tell repeats apart, and the requests that they came in.

    `contacts` are the keys of the contact and of the groups that it is a member of. Yields how many were
    emptied, batch by batch.

    A phone number is also searched for in all other requests of the organization; and in those of the account
    of which nobody knows whose they are, if an admin of the account has asked for it.
    """
    pattern, ways = numbers.pattern(address), phones.ways(address)
    for batch in _requests(organization, whole_account=whole_account):
        events = [
            event
            for event in WebhookEvent.objects.filter(request__in=batch).select_related(
                "message__conversation", "number"
            )
            if event.organization_id in (None, organization.pk) and _erased_from(event, ways, contacts)
        ]
        mine = {event.request_id for event in events}
        found = [
            item
            for item in batch
            if (item.query or item.body)
            and (item.pk in mine or (pattern is not None and pattern.search(_text_of(item))))
        ]
        for item in found:
            item.query, item.headers, item.body = b"", {}, b""
            item.answer_body, item.answer_headers, item.tried = "", {}, []
            item.reason = _("Its content was erased at the request of a contact.")
        with transaction.atomic():
            WebhookRequest.objects.bulk_update(
                found, ["query", "headers", "body", "answer_body", "answer_headers", "tried", "reason"]
            )
            WebhookEvent.objects.bulk_update(events, ["payload", "provider_id", "state"])
            # What fits no event is described by what it says.
            unfit = WebhookEvent.objects.filter(request__in=found, type=UNFIT)
            unfit.update(reason="", state=EventState.DONE)
        yield Counter(webhooks=len(found), events=len(events))


def _erased_from(event: WebhookEvent, ways: Collection[str], contacts: Set[int]) -> bool:
    """Whether the event told of the contact, who is not in it any more.

    What they have sent, and what is about a message of theirs or of their groups, is emptied.
    """
    before, country = event.payload, event.number.country if event.number else ""

    def names(given: str) -> bool:
        return bool(given) and sender(given, country) in ways

    message = event.message
    if names(before.get("sender", "")) or (message and message.conversation.contact_id in contacts):
        event.payload = _emptied(before)
        if event.payload != before:
            event.provider_id, event.state = "", EventState.DONE
    else:  # others have written to them, too
        lists = {name: before[name] for name in ("recipients", "members") if name in before}
        left = {name: [each for each in given if not names(each)] for name, given in lists.items()}
        event.payload = {**before, **left}
    return bool(event.payload != before)


def _text_of(item: WebhookRequest) -> str:
    """What the request says, as it came and decoded; its headers are the provider's."""
    raw = (bytes(item.query) + b" " + bytes(item.body)).decode("utf-8", "replace")
    return f"{decoded(raw)} {item.reason}"


def _emptied(payload: dict[str, Any]) -> dict[str, Any]:
    """An event of the same kind that says nothing."""
    kept = ("kind", "type", "status")
    return {
        name: value
        if name in kept
        else []
        if isinstance(value, list)
        else ""
        if isinstance(value, str)
        else value
        for name, value in payload.items()
    }


def _requests(organization: Organization, *, whole_account: bool) -> Iterator[list[WebhookRequest]]:
    """In batches, the latest first."""
    whose = Q(organization=organization)
    whose |= Q(organization=None, about=organization)
    if whole_account:
        whose |= Q(organization=None, account=organization.account)
    rows = WebhookRequest.objects.filter(whose).order_by("-pk")
    last = None
    while batch := list((rows if last is None else rows.filter(pk__lt=last))[:BATCH]):
        last = batch[-1].pk
        yield batch
