"""In, the commit: the requests of one moment with their events, in a constant number of statements.

What was said before is known by its key; without one, by identical bytes within seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import connection
from django.utils.translation import gettext as _

from messaging import wake
from messaging.database import bulk, locks, sql
from messaging.database.group_commit import GroupCommit
from messaging.models import WebhookEvent, WebhookRequest
from messaging.rules import optout

Verdict = WebhookRequest.Verdict
REPEAT_SECONDS = 5


@dataclass(frozen=True)
class Entry:
    """A request and what it says, not stored yet."""

    request: WebhookRequest
    events: Sequence[WebhookEvent]


async def store(request: WebhookRequest, events: Sequence[WebhookEvent]) -> WebhookRequest | None:
    """Commits a request and its new events; of one that only repeats another, returns that other.

    Raises what the database raises: nothing is kept then.
    """
    return await commits.soon(Entry(request, events))


def insert_events(events: Sequence[WebhookEvent]) -> list[WebhookEvent]:
    """Stores the events that are new, with what they say of consent, in the caller's transaction."""
    rows = bulk.insert(events, "message_uuid", "id", ignore_conflicts=True)
    stored = {sql.uuid_of(uuid): pk for uuid, pk in rows}
    new = [event for event in events if event.message_uuid in stored]
    for event in new:
        event.pk = stored[event.message_uuid]
    optout.note(new)
    return new


def _write(batch: Sequence[Entry]) -> list[WebhookRequest | None]:
    firsts = _same_bytes(batch)
    ids = bulk.insert([entry.request for entry in batch], "id")
    events: list[WebhookEvent] = []
    marks: list[WebhookRequest] = []
    for entry, first, (pk,) in zip(batch, firsts, ids, strict=True):
        entry.request.pk = pk
        if first is not None:
            reason = _("The same bytes came less than %(seconds)d seconds before.")
            marks.append(_repeat(entry, reason % {"seconds": REPEAT_SECONDS}))
            continue
        for event in entry.events:
            event.request_id = pk
            events.append(event)
    new = {event.request_id for event in insert_events(events)}
    old = {event.request_id: event.key for event in reversed(events) if event.request_id not in new}
    if old:
        said = WebhookEvent.objects.filter(key__in=set(old.values())).select_related("request")
        by_key = {event.key: event.request for event in said.only("key", *(f"request__{a}" for a in _ANSWER))}
        for index, entry in enumerate(batch):
            if entry.request.pk in old:
                firsts[index] = by_key[old[entry.request.pk]]
                marks.append(_repeat(entry, _("All that it says was said before, by the same message id.")))
    bulk.update(marks, "verdict", "reason")
    return firsts


def _repeat(entry: Entry, reason: str) -> WebhookRequest:
    return WebhookRequest(pk=entry.request.pk, verdict=Verdict.DUPLICATE, reason=reason)


def _same_bytes(batch: Sequence[Entry]) -> list[WebhookRequest | None]:
    """Of each entry that says something without a key: the request with the same bytes just before it."""
    unkeyed = [any(event.key is None for event in entry.events) for entry in batch]
    digests = {entry.request.digest for entry, wanted in zip(batch, unkeyed, strict=True) if wanted}
    if not digests:
        return [None] * len(batch)
    locks.hold(*locks.of_digests(digests))
    recent = WebhookRequest.objects.filter(pk__in=_recent(digests)).only("digest", *_ANSWER).order_by("-pk")
    seen = {request.digest: request for request in recent}
    firsts: list[WebhookRequest | None] = []
    for entry, wanted in zip(batch, unkeyed, strict=True):
        first = seen.setdefault(entry.request.digest, entry.request) if wanted else entry.request
        firsts.append(None if first is entry.request else first)
    return firsts


def _recent(digests: Collection[str]) -> list[int]:
    """The accepted requests with these digests that came within seconds: as a rule none.

    Without the ORM, which would take as long as all else that is stored.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT id FROM messaging_webhookrequest WHERE {sql.among("digest")} AND verdict = %s
            AND received_at > {sql.later("%s")}""",  # noqa: S608 (constants)
            [sql.array(digests), Verdict.ACCEPTED.value, -REPEAT_SECONDS],
        )
        return [pk for (pk,) in cursor.fetchall()]


def _wake(batch: Sequence[Entry]) -> None:
    if any(entry.events for entry in batch):
        wake.wake("file")


_ANSWER = ("answer_status", "answer_headers", "answer_body")
commits = GroupCommit(_write, _wake)
