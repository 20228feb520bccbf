"""Notes what receivers are to be told of, in the transaction in which it happens.

Where nobody wants to be told it costs one look at the short table of receivers for each batch of texts that
arrive; for statuses it costs nothing of its own, since the statement that changes them says whether somebody
wants them (`messaging/engine/queue.py`). Otherwise all rows of a batch are written by one statement.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from django.db.models import QuerySet
from django.utils import timezone

from integrations.language.dates import iso_text
from messaging import wakeups
from messaging.models import Alert, Contact, EventKind, Message, OutgoingEvent, Receiver
from messaging.statuses import Direction, Status
from messaging.wakeups import Task
from portal.database import bulk

# The others are steps on the way, of which the next one is told.
TOLD = (Status.UNKNOWN, Status.SENT, Status.FAILED, Status.DELIVERED, Status.READ, Status.CANCELED)


@dataclass(frozen=True)
class Arrival:
    """A message that has arrived: from whom, to which number, in which group, with how many files."""

    message: Message
    sender: str
    to: str
    members: Sequence[str]
    files: int


@dataclass(frozen=True)
class _Event:
    """What has happened; `uuid` is the same whenever it is noted again."""

    uuid: UUID
    kind: EventKind
    at: datetime
    data: dict[str, Any]
    message: int | None = None

    def to(self, receiver: Receiver) -> OutgoingEvent:
        """Its row for a receiver."""
        said = {"id": str(self.uuid), "type": self.kind, "timestamp": moment(self.at), "data": self.data}
        return OutgoingEvent(
            receiver_id=receiver.pk,
            uuid=self.uuid,
            kind=self.kind,
            message_id=self.message,
            payload=json.dumps(said, ensure_ascii=False),
            expires_at=timezone.now() + OutgoingEvent.TRIED_FOR,
        )


class _Status(NamedTuple):
    """What is told of a message's status, in the order of `_COLUMNS`."""

    pk: int
    uuid: UUID
    organization: int
    status: int
    code: str
    reason: str
    text: str
    send_at: datetime | None
    created_at: datetime
    changed_at: datetime
    number: str
    contact: int
    address: str
    is_group: bool


_COLUMNS = (
    *(
        "pk",
        "uuid",
        "organization",
        "status",
        "status_code",
        "status_text",
        "text",
        "send_at",
        "created_at",
        "changed_at",
    ),
    *("conversation__number__number", "conversation__contact"),
    *("conversation__contact__address", "conversation__contact__is_group"),
)


def note_arrivals(arrivals: Sequence[Arrival]) -> None:
    """Notes messages that have just been stored."""
    organizations = {arrival.message.organization_id for arrival in arrivals}
    wanting = _by_organization(Receiver.objects.filter(organization__in=organizations, received=True))
    events = []
    for arrival in arrivals:
        message = arrival.message
        for receiver in wanting.get(message.organization_id, ()):
            data = {
                "id": str(message.uuid),
                "organization": receiver.organization and receiver.organization.domain,
                "from": arrival.sender,
                "to": arrival.to,
                "members": list(arrival.members),
                "text": message.text,
                "files": arrival.files,
                "created_at": moment(message.created_at),
            }
            kind = EventKind.MESSAGE_RECEIVED
            event = _Event(uuid5(message.uuid, kind), kind, message.created_at, data, message.pk)
            events.append(event.to(receiver))
    _write(events)


def note_statuses(keys: Collection[int]) -> None:
    """Notes the statuses that messages have got, in the transaction that gave them; each is noted once."""
    if not keys:
        return
    # As plain values: models of all that is joined took four times as long.
    rows = Message.objects.filter(pk__in=keys, direction=Direction.OUT, status__in=TOLD).order_by("pk")
    found = [_Status(*row) for row in rows.values_list(*_COLUMNS)]
    organizations = {status.organization for status in found}
    wanting = _by_organization(Receiver.objects.filter(organization__in=organizations, statuses=True))
    members = Contact.objects.members_of({status.contact for status in found if status.is_group})
    kind, events = EventKind.MESSAGE_STATUS, []
    for told in found:
        name = Status(told.status).name.lower()
        for receiver in wanting.get(told.organization, ()):
            data = {
                "id": str(told.uuid),
                "organization": receiver.organization and receiver.organization.domain,
                "status": name,
                "status_code": told.code or None,
                "status_text": told.reason or None,
                "from": told.number,
                "to": told.address,
                "members": members.get(told.contact, []),
                "text": told.text,
                "send_at": told.send_at and moment(told.send_at),
                "created_at": moment(told.created_at),
                "changed_at": moment(told.changed_at),
            }
            event = _Event(uuid5(told.uuid, f"{kind} {name}"), kind, told.changed_at, data, told.pk)
            events.append(event.to(receiver))
    _write(events)


def note_alerts(alerts: Iterable[tuple[Alert, str, str]]) -> None:
    """Notes that alerts have begun, have another reason, or are over; as often as it is called, once.

    Each comes with a title that says it in one line, and the URL where one can do something about it.
    """
    told = list(alerts)
    receivers = list(Receiver.objects.of_alerts({alert.account_id for alert, *_said in told}))
    _write(
        _alert_event(*each).to(receiver)
        for each in told
        for receiver in receivers
        if receiver.account_id == each[0].account_id
        and receiver.organization_id in (None, each[0].organization_id)
    )


def _alert_event(alert: Alert, title: str, url: str) -> _Event:
    organization, integration = alert.organization, alert.integration
    kind = EventKind.ALERT_RAISED if alert.over_at is None else EventKind.ALERT_OVER
    began = moment(alert.began_at)
    at = alert.over_at or alert.began_at
    data = {
        "id": str(uuid5(NAMESPACE_URL, f"patchbay alert {alert.account.accountid} {alert.pk} {began}")),
        "kind": alert.kind,
        "account": alert.account.accountid,
        "organization": organization and organization.domain,
        "provider": integration and integration.template.name,
        "title": title,
        "reason": alert.reason or None,
        "url": url,
        "began_at": began,
        "over_at": alert.over_at and moment(alert.over_at),
    }
    uuid = uuid5(UUID(str(data["id"])), f"{kind} {moment(at)} {alert.reason}")
    return _Event(uuid, kind, at, data)


def note_test(receiver: Receiver) -> None:
    """Notes an event that says nothing, for a receiver that is being set up."""
    data = {"text": "This is a test. Your program can tell it by its type."}
    _write([_Event(uuid4(), EventKind.TEST, timezone.now(), data).to(receiver)])


def moment(at: datetime) -> str:
    """A time in UTC, to the millisecond, as the REST API writes it."""
    return iso_text(at, "milliseconds")


def _by_organization(receivers: QuerySet[Receiver]) -> dict[int | None, list[Receiver]]:
    found: dict[int | None, list[Receiver]] = defaultdict(list)
    for receiver in receivers.filter(enabled=True).select_related("organization"):
        found[receiver.organization_id].append(receiver)
    return found


def _write(events: Iterable[OutgoingEvent]) -> None:
    rows = list(events)
    if rows:
        bulk.insert(rows, ignore_conflicts=True)
        wakeups.after_commit(Task.DELIVER_EVENTS)
