"""Webhooks in quarantine are read again, with the template, keys and numbers of today."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from messaging import wakeups
from messaging.models import WebhookEvent, WebhookRequest
from messaging.statuses import EventState, Verdict
from messaging.wakeups import Task
from messaging.webhooks import accept, routing, store
from portal.database import bulk, locks

logger = logging.getLogger(__name__)

BATCH = 100
# What these said was filed, or was filed of another.
SETTLED = (Verdict.ACCEPTED, Verdict.DUPLICATE)


def replay(request: WebhookRequest) -> bool:
    """Whether the request, read again, says something that can be filed now; twice changes nothing more.

    It is verified again too, as of when it came. Of one that was accepted, the events that could not be
    filed are tried again. `request` shows what came of it: verdict, reason, replayed_at.
    """
    filed = _replay([request.pk])
    request.refresh_from_db()
    return bool(filed)


def replay_many(requests: QuerySet[WebhookRequest]) -> int:
    """Replays all of them, in the order in which they came; returns how many can be filed now.

    Each hundred takes one transaction and a constant number of statements.
    """
    keys = list(requests.order_by("pk").values_list("pk", flat=True))
    done = 0
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        try:
            done += _replay(batch)
        except (OperationalError, InterfaceError):
            raise  # the database is away
        except Exception:
            logger.exception("A batch of webhooks could not be replayed at once; each is tried alone.")
            done += sum(_replay_alone(key) for key in batch)
    return done


def file_anyway(request: WebhookRequest) -> bool:
    """Files what a duplicate says as if it had come alone; False if there is nothing, or it was done."""
    with transaction.atomic():
        row = _locked([request.pk]).filter(verdict=Verdict.DUPLICATE).first()
        events = list(_read(row).events) if row is not None else []
        if row is None or not events:
            return False
        for index, event in enumerate(events):
            event.request, event.key = row, _key("anyway", row, index)
        store.insert_events(events)
        row.verdict, row.reason = Verdict.ACCEPTED, _("It repeats another, and was filed all the same.")
        row.integration, row.organization = events[0].integration, events[0].organization
        _save([row])
    request.refresh_from_db()
    return True


def _replay_alone(key: int) -> int:
    try:
        return _replay([key])
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("Webhook request %d could not be replayed.", key)
        return 0


def _replay(keys: Sequence[int]) -> int:
    """Replays these in one transaction; returns how many say something to be filed now."""
    with transaction.atomic():
        rows = list(_locked(keys).order_by("pk"))
        before: dict[int, list[WebhookEvent]] = defaultdict(list)
        for event in WebhookEvent.objects.filter(request__in=rows).order_by("pk"):
            before[event.request_id].append(event)
        failed = [row for row in rows if any(event.state == EventState.FAILED for event in before[row.pk])]
        again = [event for row in failed for event in _mended(before[row.pk], _read(row))]
        bulk.update(again, "payload", "number", "integration", "organization", "state", "reason")
        unsettled = [row for row in rows if row.verdict not in SETTLED and not before[row.pk]]
        filed = _file(unsettled)
        _save([*unsettled, *failed])
    return filed + len(failed)


def _file(rows: Sequence[WebhookRequest]) -> int:
    events: list[WebhookEvent] = []
    unkeyed = []
    for row in rows:
        reading = _read(row)
        row.verdict, row.reason, row.tried = reading.verdict, reading.reason, reading.tried
        if reading.integration is not None:
            row.integration, row.organization = reading.integration, reading.integration.organization
        if any(event.key is None for event in reading.events):
            unkeyed.append(row)
        for index, event in enumerate(reading.events):
            event.request = row
            event.key = event.key or _key("replay", row, index)
            events.append(event)
    saying = {event.request_id for event in events}
    copies = _copies(unkeyed) if unkeyed else set()
    new = {
        event.request_id
        for event in store.insert_events([event for event in events if event.request_id not in copies])
    }
    for row in rows:
        if row.pk in saying and row.pk not in new:
            row.verdict, row.reason = Verdict.DUPLICATE, _("All that it says was said before.")
    return len(new)


def _copies(rows: Sequence[WebhookRequest]) -> set[int]:
    """Keys of those whose bytes came within seconds of others that are filed, or stand before them here."""
    locks.hold(*locks.of_digests(row.digest for row in rows))
    came: dict[str, list[datetime]] = defaultdict(list)
    filed = WebhookRequest.objects.filter(digest__in={row.digest for row in rows}, verdict=Verdict.ACCEPTED)
    for digest, moment in filed.values_list("digest", "received_at"):
        came[digest].append(moment)
    copies = set()
    window = timedelta(seconds=store.REPEAT_SECONDS)
    for row in rows:
        if any(abs(row.received_at - moment) < window for moment in came[row.digest]):
            copies.add(row.pk)
        else:
            came[row.digest].append(row.received_at)
    return copies


def _mended(before: Sequence[WebhookEvent], reading: accept.Reading) -> list[WebhookEvent]:
    """The events that could not be filed, to be tried again as they are read today."""
    today: Sequence[WebhookEvent | None] = reading.events
    if [event.type for event in before] != [event.type for event in reading.events]:
        today = [None] * len(before)  # the template has changed too much: as they were read then
    failed = []
    for event, new in zip(before, today, strict=True):
        if event.state == EventState.FAILED:
            event.state, event.reason = EventState.WAITING, ""
            if new is not None:
                event.payload, event.number = new.payload, new.number
                event.integration, event.organization = new.integration, new.organization
            failed.append(event)
    return failed


def _locked(keys: Sequence[int]) -> QuerySet[WebhookRequest]:
    rows = WebhookRequest.objects.select_for_update(of=("self",)).filter(pk__in=keys)
    return rows.select_related("account", "organization", "template")


def _read(row: WebhookRequest) -> accept.Reading:
    owner = routing.owner_of(row.template.service_id, row.called)
    if owner is None:
        reason = _("%(service)s is no longer published for the account.") % {"service": row.template}
        return accept.Reading(row.verdict, reason, row.answer, tuple(row.tried), None, [])
    return accept.read(owner, row.as_received(), now=row.received_at)


def _save(rows: Sequence[WebhookRequest]) -> None:
    bulk.update(rows, "verdict", "reason", "tried", "integration", "organization")
    WebhookRequest.objects.filter(pk__in=[row.pk for row in rows]).update(replayed_at=Now())
    wakeups.after_commit(Task.FILE_EVENTS)


def _key(why: str, row: WebhookRequest, index: int) -> str:
    """Of an event without an id: once it is filed for this reason, it is not filed again."""
    return hashlib.sha256(f"{why} {row.pk} {index}".encode()).hexdigest()
