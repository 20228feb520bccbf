"""Erases a contact: texts, files, traces and raw webhooks, in small steps, with a protocol of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import phonenumbers
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messaging import numbers, retention, wakeups
from messaging.models import Contact, Conversation, Erasure, Message, OptOut, WebhookEvent, WebhookRequest
from messaging.models.erasures import fingerprint, masked
from messaging.statuses import EventState, QueueState, Status
from messaging.wakeups import Task
from portal import audit
from portal.models import Organization, User

BATCH = 200
# National numbers that are shorter than this are found in texts by chance.
SHORTEST_NATIONAL = 6


def start(
    organization: Organization, given: str, user: User | None, *, with_opt_outs: bool = False
) -> Erasure:
    """Requests an erasure, which a task carries out. Raises ValueError for what is no number or name."""
    address = numbers.parse(given).number
    with transaction.atomic():
        row = Erasure.objects.create(
            organization=organization,
            requested_by=user,
            requester=user.email if user else _("the command line"),
            address=address,
            masked=masked(address),
            fingerprint=fingerprint(address),
            with_opt_outs=with_opt_outs,
        )
        wakeups.after_commit(Task.ERASE)
    return row


def drain() -> None:
    """Carries out what was requested. What cannot be finished now is tried again."""
    for row in (
        Erasure.objects.filter(finished_at=None)
        .select_related("organization__account", "requested_by")
        .order_by("pk")
    ):
        carry_out(row)


def carry_out(row: Erasure) -> bool:
    """Whether the contact is erased; if not, a message to it is being sent at this moment.

    It may be repeated, from the beginning, until it is finished: the counts go on.
    """
    address, organization = row.address, row.organization
    counts = Counter(row.counts)
    _cancel(organization, address)
    counts += _webhooks(organization, address)
    for counted in retention.delete_messages(
        _messages(organization, address).filter(queue_state=QueueState.DONE)
    ):
        counts += counted
        Erasure.objects.filter(pk=row.pk).update(counts=counts)
    if _messages(organization, address).exists():
        Erasure.objects.filter(pk=row.pk).update(counts=counts)
        return False
    with transaction.atomic():
        conversations = Conversation.objects.filter(organization=organization, contact__address=address)
        counts["conversations"] += conversations.count()
        conversations.delete()
        Contact.objects.filter(organization=organization, address=address).delete()
        if row.with_opt_outs:
            found = OptOut.objects.filter(organization=organization, address=address)
            counts["opt-outs"] += found.delete()[0]
        row.counts, row.address, row.finished_at = dict(counts), "", timezone.now()
        Erasure.objects.filter(pk=row.pk).update(counts=row.counts, address="", finished_at=row.finished_at)
        audit.record(audit.Action.ERASED, row, actor=row.requested_by, name=row.masked)
    return True


def _messages(organization: Organization, address: str) -> QuerySet[Message]:
    return Message.objects.filter(
        organization=organization,
        conversation__contact__organization=organization,
        conversation__contact__address=address,
    )


def _cancel(organization: Organization, address: str) -> None:
    """What waits is not sent any more."""
    waiting = _messages(organization, address).filter(queue_state=QueueState.WAITING)
    keys = list(waiting.values_list("pk", flat=True))
    Message.objects.filter(pk__in=keys, queue_state=QueueState.WAITING).update(
        queue_state=QueueState.DONE, status=Status.FAILED, status_text=_("The contact was erased.")
    )


def _webhooks(organization: Organization, address: str) -> Counter[str]:
    """Empties the raw requests that mention the contact, and their events, which still tell repeats apart.

    Those of the account that no organization is known for are searched, too.
    """
    counts: Counter[str] = Counter()
    pattern = _pattern(address)
    for batch in _requests(organization):
        found = [
            item
            for item in batch
            if pattern.search(f"{bytes(item.query)!r} {bytes(item.body)!r} {item.headers} {item.reason}")
        ]
        events = [
            event
            for event in WebhookEvent.objects.filter(request__in=batch)
            if event.organization_id in (None, organization.pk) and pattern.search(str(event.payload))
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
        counts["webhooks"] += len(found)
        counts["events"] += len(events)
    return counts


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


def _requests(organization: Organization) -> Iterator[list[WebhookRequest]]:
    """In batches, the latest first."""
    rows = WebhookRequest.objects.filter(
        Q(organization=organization) | Q(organization=None, account=organization.account)
    ).order_by("-pk")
    last = None
    while batch := list((rows if last is None else rows.filter(pk__lt=last))[:BATCH]):
        last = batch[-1].pk
        yield batch


def _pattern(address: str) -> re.Pattern[str]:
    """Finds a number however it is spelled: with or without the country, spaces, dashes and brackets."""
    if not address.startswith("+"):
        return re.compile(rf"(?<![A-Za-z0-9]){re.escape(address)}(?![A-Za-z0-9])")
    national = phonenumbers.national_significant_number(phonenumbers.parse(address))
    digits = national if len(national) >= SHORTEST_NATIONAL else address[1:]
    return re.compile(r"(?:[ ().\-/]|%20|%28|%29|\+){0,3}".join(digits) + r"(?!\d)")


def check(given: str) -> None:
    """Raises ValidationError for what is no number or name."""
    try:
        numbers.parse(given)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def fingerprint_of(given: str) -> str:
    """The fingerprint of a phone number, or "" for anything else."""
    try:
        parsed = numbers.parse(given)
    except ValueError:
        return ""
    return fingerprint(parsed.number) if parsed.kind == numbers.Kind.E164 else ""


def in_words(counts: Mapping[str, int]) -> list[str]:
    """What was erased, such as "12 messages"."""
    words = {
        "messages": ngettext("%(count)d message", "%(count)d messages", counts.get("messages", 0)),
        "files": ngettext("%(count)d file", "%(count)d files", counts.get("files", 0)),
        "attempts": ngettext(
            "%(count)d delivery attempt", "%(count)d delivery attempts", counts.get("attempts", 0)
        ),
        "webhooks": ngettext(
            "the content of %(count)d webhook",
            "the content of %(count)d webhooks",
            counts.get("webhooks", 0),
        ),
        "events": ngettext("%(count)d event", "%(count)d events", counts.get("events", 0)),
        "conversations": ngettext(
            "%(count)d conversation", "%(count)d conversations", counts.get("conversations", 0)
        ),
        "opt-outs": ngettext("%(count)d opt-out", "%(count)d opt-outs", counts.get("opt-outs", 0)),
    }
    return [words[name] % {"count": counts[name]} for name in words if counts.get(name)]
