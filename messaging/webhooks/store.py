"""In, the commit: the requests of one moment with their events, in a constant number of statements.

A repeat is recognised by the keys of its events; without keys, by identical bytes within seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from messaging import wakeups
from messaging.engine.group_commit import GroupCommit
from messaging.engine.webhooks import recently_accepted
from messaging.models import WebhookEvent, WebhookRequest
from messaging.rules import optout
from messaging.statuses import Verdict
from messaging.wakeups import Task
from messaging.webhooks.readings import VerifiedEvent
from portal import process
from portal.database import bulk, locks, sql

REPEAT_SECONDS = 5


@dataclass(frozen=True)
class Received:
    """A request and its events, not stored yet."""

    request: WebhookRequest
    events: Sequence[VerifiedEvent]


def store(request: WebhookRequest, events: Sequence[VerifiedEvent]) -> WebhookRequest | None:
    """Commits a request and its new events; if it only repeats another request, returns that one.

    Raises what the database raises; then nothing is stored.
    """
    return process.get(Webhooks).put(Received(request, events))


class Webhooks(GroupCommit[Received, WebhookRequest | None]):
    """The webhook requests of this process, committed together."""

    def write(self, batch: Sequence[Received]) -> list[WebhookRequest | None]:
        return _write(batch)

    def after(self, batch: Sequence[Received], results: Sequence[WebhookRequest | None]) -> None:
        if any(entry.events for entry in batch):
            wakeups.wake(Task.FILE_EVENTS)


def insert_events(verified: Sequence[VerifiedEvent]) -> list[WebhookEvent]:
    """Stores the events that are new, with the opt-outs that they bring, in the caller's transaction."""
    events = [event.row for event in verified]
    rows = bulk.insert(events, "message_uuid", "id", ignore_conflicts=True)
    stored = {sql.uuid_of(uuid): pk for uuid, pk in rows}
    new = [event for event in events if event.message_uuid in stored]
    for event in new:
        event.pk = stored[event.message_uuid]
    optout.apply(new)
    return new


def _write(batch: Sequence[Received]) -> list[WebhookRequest | None]:
    firsts = _same_bytes(batch)
    ids = bulk.insert([entry.request for entry in batch], "id")
    verified: list[VerifiedEvent] = []
    marks: list[WebhookRequest] = []
    for entry, first, (pk,) in zip(batch, firsts, ids, strict=True):
        entry.request.pk = pk
        if first is not None:
            reason = _("An identical request arrived less than %(seconds)d seconds earlier.")
            marks.append(_repeat(entry, reason % {"seconds": REPEAT_SECONDS}))
            continue
        for event in entry.events:
            event.row.request_id = pk
            verified.append(event)
    events = [event.row for event in verified]
    new = {event.request_id for event in insert_events(verified)}
    old = {event.request_id: event.key for event in reversed(events) if event.request_id not in new}
    if old:
        said = WebhookEvent.objects.filter(key__in=set(old.values())).select_related("request")
        by_key = {event.key: event.request for event in said.only("key", *(f"request__{a}" for a in _ANSWER))}
        for index, entry in enumerate(batch):
            if entry.request.pk in old:
                firsts[index] = by_key[old[entry.request.pk]]
                marks.append(
                    _repeat(entry, _("All its events, known by their message ids, were stored before."))
                )
    bulk.update(marks, "verdict", "reason")
    return firsts


def _repeat(entry: Received, reason: str) -> WebhookRequest:
    return WebhookRequest(pk=entry.request.pk, verdict=Verdict.DUPLICATE, reason=reason)


def _same_bytes(batch: Sequence[Received]) -> list[WebhookRequest | None]:
    """For each entry with an event without a key: the request with the same bytes just before it.

    What one integration's key has verified is no repeat of what another's has.
    """
    unkeyed = [any(event.row.key is None for event in entry.events) for entry in batch]
    digests = {entry.request.digest for entry, wanted in zip(batch, unkeyed, strict=True) if wanted}
    if not digests:
        return [None] * len(batch)
    locks.hold(*locks.of_digests(digests))
    seen: dict[tuple[str, int | None], WebhookRequest] = {}
    if keys := recently_accepted(digests, REPEAT_SECONDS):
        recent = (
            WebhookRequest.objects.filter(pk__in=keys).only("digest", "integration", *_ANSWER).order_by("-pk")
        )
        seen = {(request.digest, request.integration_id): request for request in recent}
    firsts: list[WebhookRequest | None] = []
    for entry, wanted in zip(batch, unkeyed, strict=True):
        same = entry.request.digest, entry.request.integration_id
        first = seen.setdefault(same, entry.request) if wanted else entry.request
        firsts.append(None if first is entry.request else first)
    return firsts


_ANSWER = ("answer_status", "answer_headers", "answer_body")
