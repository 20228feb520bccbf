"""In, second step: stored events become messages, statuses and media to fetch, in batches."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence, Set

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from integrations.events import InboundMessage, StatusUpdate, from_json
from integrations.senders import sender
from messaging import wakeups
from messaging.drain import Drain
from messaging.inbound import concatenation, delivery_reports
from messaging.models import Attachment, Contact, Conversation, Message, Number, WebhookEvent
from messaging.notices import arrivals
from messaging.rules import autoreply, optout, stickiness, teamwork
from messaging.statuses import AttachmentState, Direction, EventState, QueueState, Status
from messaging.wakeups import Task
from portal import metrics, process, tracing
from portal.database import bulk, locks

logger = logging.getLogger(__name__)

BATCH = 200
_LOCK = locks.key_of("messaging.file_events")
GATHER_SECONDS = 0.1
MAX_FILES = 30


class _Filing(Drain):
    """The filing of this process."""

    task = Task.FILE_EVENTS

    def work(self) -> None:
        self.look()
        while not self.stopped and (found := file_batch()):
            if found < BATCH:
                # What arrives meanwhile is filed in one batch, at a fraction of the cost of batches of one.
                time.sleep(GATHER_SECONDS)
            self.look()
        while not self.stopped and _file(concatenation.overdue(), late=True):
            pass


def drain() -> None:
    """Files all events that wait. One drain works in each process; another call makes it look again."""
    process.get(_Filing).run()


def file_batch() -> int:
    """Files the oldest waiting events in one transaction; returns how many there were.

    If one of them makes the batch fail, each is filed alone, and that one is set aside with the reason.
    """
    try:
        return _file(_waiting())
    except (OperationalError, InterfaceError):
        raise  # the database is away: all of them wait
    except Exception:
        logger.exception("A batch of webhook events could not be filed; each is tried alone.")
    done = 0
    for pk in list(_waiting().order_by("pk").values_list("pk", flat=True)[:BATCH]):
        try:
            done += _file(_waiting().filter(pk=pk))
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            logger.exception("Webhook event %s could not be filed.", pk)
            WebhookEvent.objects.filter(pk=pk).update(
                state=EventState.FAILED, reason=f"{type(error).__name__}: {error}"[:500]
            )
            done += 1
    return done


def _waiting() -> QuerySet[WebhookEvent]:
    return WebhookEvent.objects.filter(state=EventState.WAITING)


def _file(which: QuerySet[WebhookEvent], *, late: bool = False) -> int:
    with tracing.span("webhook.file"), transaction.atomic():
        # One batch at a time in all processes: the messages of a conversation keep the order of arrival.
        locks.hold(_LOCK)
        events = list(which.select_for_update().order_by("pk")[:BATCH])
        if not events:
            return 0
        tracing.note("patchbay.event_ids", [event.pk for event in events])
        # One object for all events of a number; with a join each would get its own.
        found = Number.objects.in_bulk({event.number_id for event in events} - {None})
        said = [(event, from_json(event.payload)) for event in events]
        for event in events:
            event.number = found.get(event.number_id or 0)
            event.state = EventState.DONE
        arrived = [(event, what) for event, what in said if isinstance(what, InboundMessage)]
        whole, parts = concatenation.join(arrived, late=late)
        _file_messages(whole)
        for event, text in parts:
            event.message = text.message
        told = [(event, what) for event, what in said if isinstance(what, StatusUpdate)]
        delivery_reports.file(told)
        changed = {event.pk: event for event in [*events, *(event for event, _ in parts)]}
        bulk.update(list(changed.values()), "state", "reason", "message", "part_of")
    now = timezone.now()
    for event in events:
        if event.state == EventState.DONE:
            seconds = max(0.0, (now - event.created_at).total_seconds())
            metrics.FILED_SECONDS.labels(event.type).observe(seconds)
    delivery_reports.release([(event, what) for event, what in told if event.state == EventState.ORPHAN])
    return len(events)


def _file_messages(arrived: Sequence[tuple[WebhookEvent, InboundMessage]]) -> None:
    if not arrived:
        return
    senders = _senders(arrived)
    conversations = _conversations(senders)
    stickiness.on_received([(event, conversations[number.pk, who]) for event, _, number, who in senders])
    Contact.objects.name_those_without(
        {
            conversations[number.pk, who].contact: what.sender_name[:120]
            for _, what, number, who in senders
            if what.sender_name
        }
    )
    messages = [
        Message(
            uuid=event.message_uuid,
            organization_id=number.organization_id,
            conversation=conversations[number.pk, address],
            integration_id=event.integration_id,
            direction=Direction.IN,
            text=what.text,
            automatic=optout.understood(event, what.text),
            status=Status.DELIVERED,
            queue_state=QueueState.DONE,
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
                state=AttachmentState.WAITING,
                with_auth=what.media_auth,
            )
            for place, url in enumerate(what.urls[:MAX_FILES])
        ]
    bulk.insert(files)
    arrivals.note(messages)
    autoreply.reply([event for event, *_ in senders])
    last = Message.objects.filter(conversation=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    talked = Conversation.objects.filter(pk__in={message.conversation_id for message in messages})
    talked.update(last_message=Subquery(last), last_at=Now())
    teamwork.on_received(messages)
    if files:
        wakeups.after_commit(Task.FETCH_MEDIA)


def _senders(
    arrived: Sequence[tuple[WebhookEvent, InboundMessage]],
) -> list[tuple[WebhookEvent, InboundMessage, Number, str]]:
    """Each message with its number and the contact's address."""
    written = []
    for event, what in arrived:
        assert event.number is not None
        written.append((event, what, event.number, sender(what.sender, event.number.country)))
    known = Contact.objects.known_as((number.organization_id, address) for *_, number, address in written)
    return [
        (event, what, number, known[number.organization_id, address])
        for event, what, number, address in written
    ]


def _conversations(
    senders: Sequence[tuple[WebhookEvent, InboundMessage, Number, str]],
) -> dict[tuple[int, str], Conversation]:
    """The conversation of each number and address; missing ones are created."""
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
    """Locked in order, so that what follows from their state (automatic replies) follows once."""
    rows = Conversation.objects.filter(
        number__in={number for number, _ in wanted}, contact__address__in={address for _, address in wanted}
    )
    locked = rows.select_related("contact").select_for_update(of=("self",), no_key=True)
    return {(item.number_id, item.contact.address): item for item in locked.order_by("pk")}


def _contacts(
    wanted: Set[tuple[int, str]], names: dict[tuple[int, str], str]
) -> dict[tuple[int, str], Contact]:
    """The contact of each organization and address; missing ones are created."""

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
