"""Delivery reports: each finds its request and moves it, and its message, forward.

A report may arrive before the response that gives its id; it waits as an orphan until that is recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from integrations.events import StatusUpdate, from_json
from messaging import wakeups
from messaging.engine import queue
from messaging.inbound import proofs
from messaging.models import DeliveryAttempt, Message, WebhookEvent, WebhookRequest
from messaging.statuses import OF_REPORT, Direction, EventState, QueueState, Status, of_parts
from messaging.wakeups import Task

Said = tuple[WebhookEvent, StatusUpdate]

ORPHAN_HOURS = 72
BATCH = 1000


@dataclass(frozen=True)
class _Target:
    """What a report is about: a message, and the request that it names, if that is known.

    `waits`: the report names a request that is not known yet, and the message may have several.
    """

    message_id: int
    attempt: DeliveryAttempt | None = None
    waits: bool = False


@dataclass(frozen=True)
class _Ours:
    """An outgoing message of ours, and the integrations that sent it or are about to."""

    pk: int
    in_flight: bool
    several: bool
    senders: set[int]


def file(said: Sequence[Said]) -> None:
    """Moves requests and messages forward, in the caller's transaction; the caller saves the events."""
    if not said:
        return
    requests = WebhookRequest.objects.only("account", "template").in_bulk(
        {event.request_id for event, _ in said}
    )
    for event, _ in said:
        event.request = requests[event.request_id]
    targets = _targets(said)
    risen: dict[int, tuple[DeliveryAttempt, Status]] = {}
    changes: dict[int, queue.Change] = {}
    failures: dict[int, queue.Change] = {}
    for event, what in said:
        target = targets.get(event.pk)
        if target is not None:
            event.message_id = target.message_id
        if target is None or target.waits:
            event.state = EventState.ORPHAN
            continue
        status = OF_REPORT.get(what.status)
        if status is None:
            continue
        attempt, pk = target.attempt, target.message_id
        if attempt is not None and status > max(attempt.status, risen.get(attempt.pk, (attempt, -1))[1]):
            risen[attempt.pk] = attempt, status
        change = queue.Change(pk, 0, 0, status, what.code[:60], what.text[:500])
        if pk not in changes or changes[pk].status < status:
            changes[pk] = change
        if status == Status.FAILED:
            failures.setdefault(pk, change)
    for status in {status for _, status in risen.values()}:
        keys = [pk for pk, (_, new) in risen.items() if new == status]
        DeliveryAttempt.objects.filter(pk__in=keys, status__lt=status).update(status=status)
    several = {
        target.message_id for target in targets.values() if target.attempt and target.attempt.parts > 1
    }
    wholes = _of_several_parts(several)
    for pk in several & changes.keys():
        change = changes.pop(pk)
        if wholes.get(pk) == Status.FAILED:
            changes[pk] = failures.get(pk, replace(change, status=Status.FAILED))
        elif pk in wholes:
            changes[pk] = replace(change, status=wholes[pk])
    queue.advance(list(changes.values()))


def release(said: Sequence[Said]) -> None:
    """After the commit that left these as orphans: has those filed whose requests are known by now."""
    if said:
        found = [pk for pk, target in _targets(said).items() if not target.waits]
        WebhookEvent.objects.filter(pk__in=found, state=EventState.ORPHAN).update(state=EventState.WAITING)


def release_all() -> None:
    """`release` for all orphans of the last 72 hours, for those that a crash has left behind."""
    for batch in _orphans():
        release(batch)
    wakeups.wake(Task.FILE_EVENTS)


def _orphans() -> Iterator[list[Said]]:
    last = 0
    recent = Now() - timedelta(hours=ORPHAN_HOURS)
    orphans = WebhookEvent.objects.filter(state=EventState.ORPHAN, created_at__gt=recent)
    orphans = orphans.select_related("request").defer("request__query", "request__headers", "request__body")
    while rows := list(orphans.filter(pk__gt=last).order_by("pk")[:BATCH]):
        last = rows[-1].pk
        read = [(event, from_json(event.payload)) for event in rows]
        yield [(event, what) for event, what in read if isinstance(what, StatusUpdate)]


def _targets(said: Sequence[Said]) -> dict[int, _Target]:
    """What each event (by its key) is about, without the unknown ones.

    An event is about what its integration has sent. If it is not known whose the event is, as it came to the
    account's URL, the integration that sent the message must vouch for it.
    """
    attempts, ours = _attempts(said), _ours(said)
    asked: dict[int, set[int]] = defaultdict(set)  # integrations by event without one
    for event, what in said:
        if event.integration_id is None:
            asked[event.pk] |= {item.integration_id or 0 for item in attempts.get(event.provider_id, [])}
            asked[event.pk] |= ours[what.message_uuid].senders if what.message_uuid in ours else set()
    vouching = proofs.vouching(said, asked) if any(asked.values()) else {}
    found = {}
    for event, what in said:
        if event.integration_id is not None:
            able: Set[int] = {event.integration_id}
        else:
            able = vouching.get(event.pk, set())
        of_event = [item for item in attempts.get(event.provider_id, []) if item.integration_id in able]
        message = ours.get(what.message_uuid)
        if of_event:
            if len({item.organization_id for item in of_event}) == 1:
                found[event.pk] = _Target(of_event[0].message_id, of_event[0])
        elif message is not None and message.senders & able:
            waits = bool(event.provider_id) and (message.several or message.in_flight)
            found[event.pk] = _Target(message.pk, waits=waits)
    return found


def _attempts(said: Sequence[Said]) -> dict[str, list[DeliveryAttempt]]:
    """The requests that may be meant, the latest first, by the provider's id."""
    ids = {event.provider_id for event, _ in said} - {""}
    if not ids:
        return {}
    rows = DeliveryAttempt.objects.filter(
        ~Q(provider_id=""),  # as the index says, or SQLite does not use it
        provider_id__in=ids,
        integration__template__in={event.request.template_id for event, _ in said},
        organization__account__in={event.request.account_id for event, _ in said},
    )
    found: dict[str, list[DeliveryAttempt]] = {}
    for attempt in rows.order_by("-pk"):
        found.setdefault(attempt.provider_id, []).append(attempt)
    return found


def _ours(said: Sequence[Said]) -> dict[str, _Ours]:
    """Our messages by our own ids."""
    uuids = {what.message_uuid for _, what in said} - {""}
    if not uuids:
        return {}
    attempts = DeliveryAttempt.objects.filter(message=OuterRef("pk"))
    rows = Message.objects.filter(uuid__in=uuids, direction=Direction.OUT).annotate(
        several=Exists(attempts.filter(parts__gt=1)),
    )
    found = {
        str(uuid): _Ours(pk, state == QueueState.CLAIMED, several, {integration} - {None})
        for uuid, pk, state, several, integration in rows.values_list(
            "uuid", "pk", "queue_state", "several", "integration"
        )
    }
    # What a message was sent through before its number got another provider.
    by_key = {message.pk: message for message in found.values()}
    sent = DeliveryAttempt.objects.filter(message__in=by_key, integration__isnull=False)
    for pk, integration in sent.values_list("message", "integration").distinct():
        by_key[pk].senders.add(integration or 0)
    return found


def _of_several_parts(messages: Collection[int]) -> dict[int, Status]:
    """The status of messages of several requests, once all of these are sent or one has failed."""
    if not messages:
        return {}
    parts: dict[int, dict[int, DeliveryAttempt]] = {}
    for attempt in DeliveryAttempt.objects.sent().filter(message__in=messages).order_by("pk"):
        parts.setdefault(attempt.message_id, {})[attempt.part] = attempt
    found = {}
    for pk, sent in parts.items():
        statuses = [Status(attempt.status) for attempt in sent.values()]
        if len(sent) == next(iter(sent.values())).parts or Status.FAILED in statuses:
            found[pk] = of_parts(statuses)
    return found
