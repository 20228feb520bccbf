"""In, second step: stored events become messages, statuses and media to fetch, in batches."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from integrations.events import InboundMessage, StatusUpdate, from_json
from integrations.senders import sender
from messaging import wakeups
from messaging.drain import Drain
from messaging.groups import Group, contacts_of
from messaging.inbound import concatenation, delivery_reports, groups
from messaging.models import Attachment, Contact, Conversation, Message, Number, WebhookEvent
from messaging.notices import arrivals
from messaging.receivers import outbox
from messaging.rules import autoreply, optout, stickiness, teamwork
from messaging.statuses import AttachmentState, Direction, EventState, QueueState, Status
from messaging.wakeups import Task
from portal import metrics, process, tracing
from portal.database import bulk, locks, sql

logger = logging.getLogger(__name__)

BATCH = 200
_LOCK = locks.key_of("messaging.file_events")
GATHER_SECONDS = 0.1
MAX_FILES = 30


@dataclass(frozen=True)
class _Arrived:
    """A message with our number, the address of its sender, and the group that it is for, if there is one."""

    event: WebhookEvent
    what: InboundMessage
    number: Number
    sender: str
    group: Group | None

    @property
    def conversation(self) -> tuple[int, str]:
        """The number and the address of the conversation that it belongs to."""
        return self.number.pk, self.group.address if self.group else self.sender

    @property
    def who(self) -> tuple[int, str]:
        """The organization and the address of its sender."""
        return self.number.organization_id, self.sender


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
    items = _arrived(arrived)
    conversations = _conversations(items)
    stickiness.on_received([(item.event, conversations[item.conversation]) for item in items])
    members = Contact.objects.by_address({item.who for item in items if item.group})
    Contact.objects.name_those_without(
        {
            members[item.who]
            if item.group
            else conversations[item.conversation].contact: item.what.sender_name[:120]
            for item in items
            if item.what.sender_name
        }
    )
    messages = [
        Message(
            uuid=item.event.message_uuid,
            organization_id=item.number.organization_id,
            conversation=conversations[item.conversation],
            integration_id=item.event.integration_id,
            direction=Direction.IN,
            sender=members[item.who] if item.group else None,
            text=item.what.text,
            automatic=optout.understood(item.event, item.what.text),
            status=Status.DELIVERED,
            queue_state=QueueState.DONE,
            expires_at=timezone.now(),
        )
        for item in items
    ]
    for message, (pk, stored_at) in zip(messages, bulk.insert(messages, "id", "created_at"), strict=True):
        message.pk, message.created_at = pk, sql.moment(stored_at)
    files = []
    for message, item in zip(messages, items, strict=True):
        item.event.message = message
        files += [
            Attachment(
                message=message,
                position=place,
                source_url=url,
                state=AttachmentState.WAITING,
                with_auth=item.what.media_auth,
            )
            for place, url in enumerate(item.what.urls[:MAX_FILES])
        ]
    bulk.insert(files)
    arrivals.note(messages)
    outbox.note_arrivals(
        [
            outbox.Arrival(
                message,
                sender=item.sender,
                to=item.number.number,
                members=item.group.members if item.group else (),
                files=len(item.what.urls[:MAX_FILES]),
            )
            for message, item in zip(messages, items, strict=True)
        ]
    )
    autoreply.reply([item.event for item in items])
    last = Message.objects.filter(conversation=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    talked = Conversation.objects.filter(pk__in={message.conversation_id for message in messages})
    talked.update(last_message=Subquery(last), last_at=Now())
    teamwork.on_received(messages)
    if files:
        wakeups.after_commit(Task.FETCH_MEDIA)


def _arrived(arrived: Sequence[tuple[WebhookEvent, InboundMessage]]) -> list[_Arrived]:
    written = []
    for event, what in arrived:
        assert event.number is not None
        written.append((what, event.number, sender(what.sender, event.number.country)))
    together = groups.members_of(written)
    known = Contact.objects.known_as(
        (number.organization_id, address)
        for (_, number, who), members in zip(written, together, strict=True)
        for address in (who, *members)
    )
    blocked = groups.blocked(
        {
            (number.organization_id, known[number.organization_id, who])
            for (_, number, who), members in zip(written, together, strict=True)
            if members
        }
    )
    found = []
    for (event, _), (what, number, who), members in zip(arrived, written, together, strict=True):
        key, address = number.organization_id, known[number.organization_id, who]
        in_group = members and (key, address) not in blocked
        group = Group.of(key, (known[key, each] for each in members)) if in_group else None
        found.append(_Arrived(event, what, number, address, group))
    return found


def _conversations(items: Sequence[_Arrived]) -> dict[tuple[int, str], Conversation]:
    """The conversation of each number and address; missing ones are created."""
    wanted = {item.conversation: item.number for item in items}
    found = _existing(wanted)
    if missing := wanted.keys() - found.keys():
        names = {item.who: item.what.sender_name[:120] for item in items if not item.group}
        new = {item.conversation: item.group for item in items if item.group and item.conversation in missing}
        people = {(wanted[pair].organization_id, pair[1]) for pair in missing - new.keys()}
        people |= {(group.organization_id, each) for group in new.values() for each in group.members}
        contacts = Contact.objects.get_or_make(people, names)
        contacts |= contacts_of(new.values(), contacts)
        bulk.insert(
            [
                Conversation(
                    organization_id=wanted[pair].organization_id,
                    number_id=pair[0],
                    contact=contacts[wanted[pair].organization_id, pair[1]],
                )
                for pair in sorted(missing)
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
