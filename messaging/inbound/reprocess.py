"""Reprocesses webhook requests with the current templates, credentials and numbers."""

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

from integrations.events import from_json
from messaging import wakeups
from messaging.models import WebhookEvent, WebhookRequest
from messaging.statuses import UNFIT, EventState, Verdict
from messaging.wakeups import Task
from messaging.webhooks import accept, owners, store
from messaging.webhooks.readings import Reading, VerifiedEvent
from portal import audit
from portal.database import bulk, locks

logger = logging.getLogger(__name__)

BATCH = 100
# Requests with these verdicts, or an identical one, have been processed.
SETTLED = (Verdict.ACCEPTED, Verdict.DUPLICATE)


def reprocess(request: WebhookRequest) -> bool:
    """Reprocesses a request; returns whether it contains events to be processed now.

    The request is also verified again, as of the time at which it was received. Of an accepted request, only
    the events that could not be processed are processed again, so calling this twice changes nothing more.
    `request` is updated: verdict, reason, replayed_at.
    """
    with transaction.atomic():
        accepted = _reprocess([request.pk])
        request.refresh_from_db()
        audit.record(audit.Action.REPROCESSED, request, {_("verdict"): ("", request.get_verdict_display())})
    return bool(accepted)


def reprocess_many(requests: QuerySet[WebhookRequest]) -> int:
    """Reprocesses requests in the order in which they were received; returns how many were accepted.

    Each batch of 100 takes one transaction and a constant number of statements.
    """
    keys = list(requests.order_by("pk").values_list("pk", flat=True))
    # Before the batches, each of which is a transaction: what was begun is recorded, also after a crash.
    audit.record_many(audit.Action.REPROCESSED_MANY, requests, account="account")
    done = 0
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        try:
            done += _reprocess(batch)
        except (OperationalError, InterfaceError):
            raise  # the database is unavailable
        except Exception:
            logger.exception("A batch of webhook requests could not be reprocessed; trying them one by one.")
            done += sum(_reprocess_alone(key) for key in batch)
    return done


def process_anyway(request: WebhookRequest) -> bool:
    """Processes a duplicate as if it were none; returns False if it has no events or was processed before."""
    with transaction.atomic():
        row = _locked([request.pk]).filter(verdict=Verdict.DUPLICATE).first()
        events = _read(row).events if row is not None else []
        if row is None or not events:
            return False
        for index, event in enumerate(events):
            event.row.request, event.row.key = row, _key("anyway", row, index)
        store.insert_events(events)
        row.verdict, row.reason = Verdict.ACCEPTED, _("A duplicate that was processed anyway.")
        row.integration, row.organization = events[0].row.integration, events[0].row.organization
        _save([row])
        audit.record(audit.Action.PROCESSED_ANYWAY, row)
    request.refresh_from_db()
    return True


def _reprocess_alone(key: int) -> int:
    try:
        return _reprocess([key])
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("Webhook request %d could not be reprocessed.", key)
        return 0


def _reprocess(keys: Sequence[int]) -> int:
    """Reprocesses requests in one transaction; returns how many contain events to be processed now."""
    with transaction.atomic():
        rows = list(_locked(keys).order_by("pk"))
        before: dict[int, list[WebhookEvent]] = defaultdict(list)
        for event in WebhookEvent.objects.filter(request__in=rows).order_by("pk"):
            before[event.request_id].append(event)
        failed = [row for row in rows if any(event.state == EventState.FAILED for event in before[row.pk])]
        retried: list[WebhookEvent] = []
        for row in failed:
            reading = _read(row)
            _fit(row, before[row.pk], reading)
            old = [event for event in before[row.pk] if event.type != UNFIT]
            retried += _retried(old, [event.row for event in reading.events if event.row.type != UNFIT])
        bulk.update(retried, "payload", "number", "integration", "organization", "state", "reason")
        unsettled = [row for row in rows if row.verdict not in SETTLED and not before[row.pk]]
        accepted = _store_events(unsettled)
        _save([*unsettled, *failed])
    return accepted + len(failed)


def _fit(row: WebhookRequest, before: Sequence[WebhookEvent], reading: Reading) -> None:
    """Stores the events in elements that fitted none before; the elements that have some now are done."""
    unfit = {str(event.payload["place"]): event for event in before if event.type == UNFIT}
    if not unfit or not reading.events:
        return
    innermost = sorted(unfit, key=len, reverse=True)
    known = {event.key for event in before}
    said = [_said(event) for event in before]
    found: dict[str, list[VerifiedEvent]] = defaultdict(list)
    for index, event in enumerate(reading.events):
        place = next((place for place in innermost if f"{event.place}/".startswith(f"{place}/")), None)
        if place is None:
            continue
        if event.row.type == UNFIT:
            unfit[place].reason = event.row.reason
            continue
        if not place and _said(event.row) in said:
            continue  # what has no place in a list is of the whole request, beside events that were stored
        event.row.request = row
        if event.row.key is None or event.row.key in known:
            event.row.key = _key("fits now", row, index)
        found[place].append(event)
    store.insert_events([event for events in found.values() for event in events])
    WebhookEvent.objects.filter(pk__in=[unfit[place].pk for place in found]).delete()
    bulk.update([event for place, event in unfit.items() if place not in found], "reason")


def _said(event: WebhookEvent) -> tuple[object, int | None]:
    """What an event says, whichever version has stored it, and to which number."""
    return from_json(event.payload), event.number_id


def _store_events(rows: Sequence[WebhookRequest]) -> int:
    """Reads the requests and stores their new events; returns how many requests have some."""
    events: list[VerifiedEvent] = []
    unkeyed = []
    for row in rows:
        reading = _read(row)
        row.verdict, row.reason, row.tried = reading.verdict, reading.reason, reading.tried
        if reading.integration is not None:
            row.integration, row.organization = reading.integration, reading.integration.organization
        if any(event.row.key is None for event in reading.events):
            unkeyed.append(row)
        for index, event in enumerate(reading.events):
            event.row.request = row
            event.row.key = event.row.key or _key("replay", row, index)
            events.append(event)
    with_events = {event.row.request_id for event in events}
    copies = _copies(unkeyed) if unkeyed else set()
    new = {
        event.request_id
        for event in store.insert_events([event for event in events if event.row.request_id not in copies])
    }
    for row in rows:
        if row.pk in with_events and row.pk not in new:
            row.verdict, row.reason = Verdict.DUPLICATE, _("All events of the request were received before.")
    return len(new)


def _copies(rows: Sequence[WebhookRequest]) -> set[int]:
    """The keys of requests received within seconds of an identical one, accepted or earlier in `rows`."""
    locks.hold(*locks.of_digests(row.digest for row in rows))
    received: dict[str, list[datetime]] = defaultdict(list)
    digests = {row.digest for row in rows}
    accepted = WebhookRequest.objects.filter(digest__in=digests, verdict=Verdict.ACCEPTED)
    for digest, time in accepted.values_list("digest", "received_at"):
        received[digest].append(time)
    copies = set()
    window = timedelta(seconds=store.REPEAT_SECONDS)
    for row in rows:
        if any(abs(row.received_at - time) < window for time in received[row.digest]):
            copies.add(row.pk)
        else:
            received[row.digest].append(row.received_at)
    return copies


def _retried(before: Sequence[WebhookEvent], read: Sequence[WebhookEvent]) -> list[WebhookEvent]:
    """The failed events, waiting again, with the content that the current template reads."""
    current: Sequence[WebhookEvent | None] = read
    if [event.type for event in before] != [event.type for event in read]:
        current = [None] * len(before)  # the template reads other events now: keep the old content
    failed = []
    for event, new in zip(before, current, strict=True):
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


def _read(row: WebhookRequest) -> Reading:
    owner = owners.owner_of(row.template.service_id, row.called)
    if owner is None:
        reason = _("The template %(template)s is no longer published for the account.") % {
            "template": row.template
        }
        return Reading(row.verdict, reason, row.response, tuple(row.tried), None)
    return accept.read(owner, row.as_received(), now=row.received_at)


def _save(rows: Sequence[WebhookRequest]) -> None:
    bulk.update(rows, "verdict", "reason", "tried", "integration", "organization")
    WebhookRequest.objects.filter(pk__in=[row.pk for row in rows]).update(replayed_at=Now())
    wakeups.after_commit(Task.FILE_EVENTS)


def _key(why: str, row: WebhookRequest, index: int) -> str:
    """The key of an event without an id, which keeps it from being stored twice for the same reason."""
    return hashlib.sha256(f"{why} {row.pk} {index}".encode()).hexdigest()
