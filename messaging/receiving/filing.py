"""In, second step: events that were kept become messages, statuses and files to fetch, in batches."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Sequence, Set

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from integrations.events import InboundMessage, StatusUpdate, from_json
from messaging import numbers, wake
from messaging.database import bulk, locks
from messaging.models import Attachment, Contact, Conversation, Message, Number, WebhookEvent
from messaging.receiving import joining, reports
from messaging.rules import autoreply, optout, sticky
from messaging.statuses import Status

logger = logging.getLogger(__name__)

BATCH = 200
GATHER_SECONDS = 0.1
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
            _file_all()
            while _file(joining.overdue(), late=True):
                pass
        finally:
            _running.release()


def _file_all() -> None:
    while found := file_batch():
        if found < BATCH:
            # What comes meanwhile is filed in one batch, at a fraction of what batches of one would cost.
            time.sleep(GATHER_SECONDS)


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
        # One batch at a time, whoever files it: the messages of a conversation keep the order of arrival.
        locks.hold(locks.FILING)
        events = list(which.select_for_update().order_by("pk")[:BATCH])
        if not events:
            return 0
        # One object for all events of a number; with a join each would get its own.
        found = Number.objects.in_bulk({event.number_id for event in events} - {None})
        said = [(event, from_json(event.payload)) for event in events]
        for event in events:
            event.number = found.get(event.number_id or 0)
            event.state = State.DONE
        arrived = [(event, what) for event, what in said if isinstance(what, InboundMessage)]
        whole, parts = joining.join(arrived, late=late)
        _file_messages(whole)
        messages = {event.part_of: event.message for event, _ in whole if event.part_of}
        for event in parts:
            event.message = messages.get(event.part_of)
        told = [(event, what) for event, what in said if isinstance(what, StatusUpdate)]
        reports.file(told)
        changed = {event.pk: event for event in [*events, *parts]}
        bulk.update(list(changed.values()), "state", "reason", "message", "part_of")
    reports.second_look([(event, what) for event, what in told if event.state == State.ORPHAN])
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
    messages = [
        Message(
            uuid=event.message_uuid,
            organization_id=number.organization_id,
            conversation=conversations[number.pk, address],
            integration_id=event.integration_id,
            direction=Message.Direction.IN,
            text=what.text,
            automatic=optout.understood(event, what.text),
            status=Status.DELIVERED,
            queue_state=Message.Queue.DONE,
            expires_at=timezone.now(),
        )
        for event, what, number, address in senders
    ]
    for message, (pk,) in zip(messages, bulk.insert(messages, "id"), strict=True):
        message.pk = pk
    files = []
    for message, (event, what, _number, _address) in zip(messages, senders, strict=True):
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
    bulk.insert(files)
    autoreply.answer([event for event, *_ in senders])
    last = Message.objects.filter(conversation=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    talked = Conversation.objects.filter(pk__in={message.conversation_id for message in messages})
    talked.update(last_message=Subquery(last), last_at=Now())
    if files:
        wake.after_commit("fetch_media")


def _conversations(
    senders: Sequence[tuple[WebhookEvent, InboundMessage, Number, str]],
) -> dict[tuple[int, str], Conversation]:
    """The conversation of each number and address; what is missing is made."""
    wanted = {(number.pk, address): number for _event, _what, number, address in senders}
    found = _existing(wanted)
    if missing := wanted.keys() - found.keys():
        names = {
            (number.organization_id, address): what.sender_name[:120] for _, what, number, address in senders
        }
        contacts = _contacts({(wanted[pair].organization_id, pair[1]) for pair in missing}, names)
        Conversation.objects.bulk_create(
            [
                Conversation(
                    organization_id=wanted[pair].organization_id,
                    number_id=pair[0],
                    contact=contacts[wanted[pair].organization_id, pair[1]],
                )
                for pair in missing
            ],
            ignore_conflicts=True,
        )
        found = _existing(wanted)
    return found


def _existing(wanted: Collection[tuple[int, str]]) -> dict[tuple[int, str], Conversation]:
    """Locked in order, so that what follows from their state (automatic answers) follows once."""
    rows = Conversation.objects.filter(
        number__in={number for number, _ in wanted}, contact__address__in={address for _, address in wanted}
    )
    locked = rows.select_related("contact").select_for_update(of=("self",), no_key=True)
    return {(item.number_id, item.contact.address): item for item in locked.order_by("pk")}


def _contacts(
    wanted: Set[tuple[int, str]], names: dict[tuple[int, str], str]
) -> dict[tuple[int, str], Contact]:
    """The contact of each organization and address; what is missing is made."""

    def there() -> dict[tuple[int, str], Contact]:
        rows = Contact.objects.filter(
            organization__in={org for org, _ in wanted}, address__in={address for _, address in wanted}
        )
        return {(item.organization_id, item.address): item for item in rows}

    found = there()
    if missing := wanted - found.keys():
        Contact.objects.bulk_create(
            [
                Contact(organization_id=org, address=address, name=names[org, address])
                for org, address in missing
            ],
            ignore_conflicts=True,
        )
        found = there()
    return found
