"""In, second step: events that were kept become messages, statuses and files to fetch, in batches."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from integrations.events import InboundMessage, StatusUpdate, from_json
from messaging import autoreply, joining, numbers, optout, queue, sticky, wake
from messaging.models import (
    Attachment,
    Contact,
    Conversation,
    DeliveryAttempt,
    Message,
    Number,
    WebhookEvent,
)
from messaging.statuses import RANKS, Status, of_parts

logger = logging.getLogger(__name__)

BATCH = 100
MAX_FILES = 30
State = WebhookEvent.State

_running = threading.Lock()
_again = threading.Event()


def drain() -> None:
    """Files all events that wait. One drain works in a process; another call makes it look again."""
    _again.set()
    while _again.is_set():
        if not _running.acquire(blocking=False):
            return
        try:
            _again.clear()
            while file_batch():
                pass
            while _file(joining.overdue(), late=True):
                pass
        finally:
            _running.release()


def file_batch() -> int:
    """Files the oldest waiting events in one transaction; returns how many there were.

    If one of them spoils the batch, each is filed alone, and the one is set aside with the reason.
    """
    try:
        return _file(_waiting())
    except (OperationalError, InterfaceError):
        raise  # the database is away: all of them wait
    except Exception:
        logger.exception("A batch of webhook events could not be filed at once; each is tried alone.")
    done = 0
    for pk in list(_waiting().order_by("pk").values_list("pk", flat=True)[:BATCH]):
        try:
            done += _file(_waiting().filter(pk=pk))
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            logger.exception("Webhook event %s could not be filed.", pk)
            WebhookEvent.objects.filter(pk=pk).update(
                state=State.FAILED, reason=f"{type(error).__name__}: {error}"[:500]
            )
            done += 1
    return done


def _waiting() -> QuerySet[WebhookEvent]:
    return WebhookEvent.objects.filter(state=State.WAITING)


def _file(which: QuerySet[WebhookEvent], *, late: bool = False) -> int:
    with transaction.atomic():
        events = list(
            which.select_for_update(skip_locked=True, of=("self",))
            .select_related("number", "request")
            .order_by("pk")[:BATCH]
        )
        if not events:
            return 0
        said = [(event, from_json(event.payload)) for event in events]
        for event in events:
            event.state = State.DONE
        arrived = [(event, what) for event, what in said if isinstance(what, InboundMessage)]
        whole, parts = joining.join(arrived, late=late)
        _file_messages(whole)
        messages = {event.part_of: event.message for event, _ in whole if event.part_of}
        for event in parts:
            event.message = messages.get(event.part_of)
        _file_statuses([(event, what) for event, what in said if isinstance(what, StatusUpdate)])
        changed = {event.pk: event for event in [*events, *parts]}
        WebhookEvent.objects.bulk_update(changed.values(), ["state", "reason", "message", "part_of"])
    return len(events)


def _file_messages(arrived: Sequence[tuple[WebhookEvent, InboundMessage]]) -> None:
    senders: list[tuple[WebhookEvent, InboundMessage, Number, str]] = []
    for event, what in arrived:
        assert event.number is not None
        try:
            address = numbers.parse(what.sender, event.number.country).number
        except ValueError as error:
            event.state, event.reason = State.FAILED, str(error)[:500]
        else:
            senders.append((event, what, event.number, address))
    if not senders:
        return
    conversations = _conversations(senders)
    sticky.answered([(event, conversations[number.pk, who]) for event, _, number, who in senders])
    messages, files = [], []
    for event, what, number, address in senders:
        message = Message(
            uuid=event.message_uuid,
            organization_id=number.organization_id,
            conversation=conversations[number.pk, address],
            direction=Message.Direction.IN,
            text=what.text,
            automatic=optout.understood(event, what.text),
            status=Status.DELIVERED,
            queue_state=Message.Queue.DONE,
            expires_at=timezone.now(),
        )
        messages.append(message)
        event.message = message
        files += [
            Attachment(
                message=message,
                position=place,
                source_url=url,
                state=Attachment.State.WAITING,
                with_auth=what.media_auth,
            )
            for place, url in enumerate(what.urls[:MAX_FILES])
        ]
    Message.objects.bulk_create(messages)
    Attachment.objects.bulk_create(files)
    replies = autoreply.answer([event for event, *_ in senders])
    for message in [*messages, *replies]:
        message.conversation.last_message = message
    latest = {message.conversation_id: message.conversation for message in messages}
    Conversation.objects.bulk_update(latest.values(), ["last_message"])
    Conversation.objects.filter(pk__in=latest).update(last_at=Now())
    if files:
        wake.after_commit("fetch_media")


def _conversations(
    senders: Sequence[tuple[WebhookEvent, InboundMessage, Number, str]],
) -> dict[tuple[int, str], Conversation]:
    """The conversation of each number and address; what is missing is made."""
    named = {
        (number.organization_id, address): what.sender_name[:120] for _, what, number, address in senders
    }
    contacts = {(item.organization_id, item.address): item for item in _contacts(named)}
    if missing := named.keys() - contacts.keys():
        Contact.objects.bulk_create(
            [
                Contact(organization_id=org, address=address, name=named[org, address])
                for org, address in missing
            ],
            ignore_conflicts=True,
        )
        contacts = {(item.organization_id, item.address): item for item in _contacts(named)}
    wanted = {
        (number.pk, contacts[number.organization_id, address].pk): (number, address)
        for _event, _what, number, address in senders
    }
    found = {(item.number_id, item.contact_id): item for item in _existing(wanted)}
    if lacking := wanted.keys() - found.keys():
        Conversation.objects.bulk_create(
            [
                Conversation(
                    organization_id=wanted[pair][0].organization_id, number_id=pair[0], contact_id=pair[1]
                )
                for pair in lacking
            ],
            ignore_conflicts=True,
        )
        found = {(item.number_id, item.contact_id): item for item in _existing(wanted)}
    return {(wanted[pair][0].pk, wanted[pair][1]): found[pair] for pair in wanted}


def _contacts(named: dict[tuple[int, str], str]) -> list[Contact]:
    rows = Contact.objects.filter(
        organization__in={org for org, _ in named}, address__in={address for _, address in named}
    )
    return list(rows)


def _existing(wanted: dict[tuple[int, int], Any]) -> list[Conversation]:
    """Locked in order, so that what follows from their state (automatic answers) follows once."""
    rows = Conversation.objects.filter(
        number__in={number for number, _ in wanted}, contact__in={contact for _, contact in wanted}
    )
    locked = rows.select_related("contact").select_for_update(of=("self",), no_key=True)
    return list(locked.order_by("pk"))


def _file_statuses(said: Sequence[tuple[WebhookEvent, StatusUpdate]]) -> None:
    if not said:
        return
    attempts = _attempts(said)
    ours = _ours(said)
    risen: dict[int, tuple[DeliveryAttempt, Status]] = {}
    changes: dict[int, queue.Change] = {}
    for event, what in said:
        attempt = attempts.get(event.pk)
        message_id = attempt.message_id if attempt else ours.get(event.pk)
        if message_id is None:
            event.state = State.ORPHAN
            continue
        event.message_id = message_id
        status = RANKS.get(what.status)
        if status is None:
            continue
        if attempt is not None and status > max(attempt.status, risen.get(attempt.pk, (attempt, -1))[1]):
            risen[attempt.pk] = attempt, status
        if attempt is None or attempt.parts == 1:
            change = queue.Change(message_id, 0, 0, status, what.code[:60], what.text[:500])
            if message_id not in changes or changes[message_id].status < status:
                changes[message_id] = change
    for status in {status for _, status in risen.values()}:
        keys = [pk for pk, (_, new) in risen.items() if new == status]
        DeliveryAttempt.objects.filter(pk__in=keys, status__lt=status).update(status=status)
    for change in _of_several_parts({item.message_id for item, _ in risen.values() if item.parts > 1}):
        changes[change.id] = change
    queue.advance(list(changes.values()))


def _attempts(said: Sequence[tuple[WebhookEvent, StatusUpdate]]) -> dict[int, DeliveryAttempt]:
    """The latest request that each event is about, by the service's id, within its integration or account."""
    ids = {event.provider_id for event, _ in said} - {""}
    rows = DeliveryAttempt.objects.filter(provider_id__in=ids) if ids else DeliveryAttempt.objects.none()
    by_id: dict[str, list[DeliveryAttempt]] = {}
    for attempt in rows.select_related("integration", "organization").order_by("-pk"):
        by_id.setdefault(attempt.provider_id, []).append(attempt)
    found = {}
    for event, _what in said:
        for attempt in by_id.get(event.provider_id, []):
            integration = attempt.integration
            if integration is None:
                continue
            same = (
                integration.template_id == event.request.template_id
                and attempt.organization.account_id == event.request.account_id
            )
            if event.integration_id == attempt.integration_id or (event.integration_id is None and same):
                found[event.pk] = attempt
                break
    return found


def _ours(said: Sequence[tuple[WebhookEvent, StatusUpdate]]) -> dict[int, int]:
    """The message that each event is about, by our own id, within the account of its request."""
    uuids = {what.message_uuid for _, what in said} - {""}
    if not uuids:
        return {}
    rows = Message.objects.filter(uuid__in=uuids, direction=Message.Direction.OUT)
    known = {
        str(uuid): (pk, account)
        for uuid, pk, account in rows.values_list("uuid", "pk", "organization__account")
    }
    return {
        event.pk: known[what.message_uuid][0]
        for event, what in said
        if what.message_uuid in known and known[what.message_uuid][1] == event.request.account_id
    }


def _of_several_parts(messages: set[int]) -> list[queue.Change]:
    """The status of messages that went out as several requests, all of them sent."""
    if not messages:
        return []
    parts: dict[int, dict[int, DeliveryAttempt]] = {}
    for attempt in DeliveryAttempt.objects.filter(message__in=messages, result="sent").order_by("pk"):
        parts.setdefault(attempt.message_id, {})[attempt.part] = attempt
    changes = []
    for pk, sent in parts.items():
        statuses = [Status(attempt.status) for attempt in sent.values()]
        whole = len(sent) == next(iter(sent.values())).parts
        if whole or Status.FAILED in statuses:
            changes.append(queue.Change(pk, 0, 0, of_parts(statuses)))
    return changes
