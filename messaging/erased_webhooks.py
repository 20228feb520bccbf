"""Empties the webhooks of a contact who is erased: what providers said of them, as it came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from typing import Any
from urllib.parse import unquote_plus

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from integrations.language import phones
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
    pattern = numbers.pattern(address)
    for batch in _requests(organization, whole_account=whole_account):
        events = [
            event
            for event in WebhookEvent.objects.filter(request__in=batch).select_related(
                "message__conversation"
            )
            if event.organization_id in (None, organization.pk)
            and _is_about(event, address, contacts)
            and event.payload != _emptied(event.payload)
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
        for event in events:
            event.payload, event.provider_id, event.state = _emptied(event.payload), "", EventState.DONE
        with transaction.atomic():
            WebhookRequest.objects.bulk_update(
                found, ["query", "headers", "body", "answer_body", "answer_headers", "tried", "reason"]
            )
            WebhookEvent.objects.bulk_update(events, ["payload", "provider_id", "state"])
            # What fits no event is described by what it says.
            unfit = WebhookEvent.objects.filter(request__in=found, type=UNFIT)
            unfit.update(reason="", state=EventState.DONE)
        yield Counter(webhooks=len(found), events=len(events))


def _is_about(event: WebhookEvent, address: str, contacts: Set[int]) -> bool:
    """Whether the contact has sent it, or it is about a message of the contact or of a group of theirs."""
    if event.payload.get("sender") in phones.ways(address):
        return True
    return event.message is not None and event.message.conversation.contact_id in contacts


def _text_of(item: WebhookRequest) -> str:
    """What the request says, as it came and decoded; its headers are the provider's."""
    raw = (bytes(item.query) + b" " + bytes(item.body)).decode("utf-8", "replace")
    return f"{raw} {unquote_plus(raw)} {item.reason}"


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
