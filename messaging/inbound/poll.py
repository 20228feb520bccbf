"""Asks providers that call no webhook for what has arrived; their answers go the way of webhooks."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from integrations import calls, http, prepared
from integrations.calls import Call, NotNow
from integrations.events import Fault, HttpResponse, InboundRequest, Outcome, content
from integrations.language.api_methods import RECEIVE_MESSAGES
from integrations.models import Integration, Poll
from integrations.polled import as_request, is_nothing
from messaging import wakeups
from messaging.drain import Drain
from messaging.engine import circuit_breaker
from messaging.models import WebhookEvent, WebhookRequest
from messaging.statuses import QUARANTINE, Verdict
from messaging.wakeups import Task
from messaging.webhooks import accept, owners, store
from messaging.webhooks.readings import Reading, VerifiedEvent
from portal import metrics, process

logger = logging.getLogger(__name__)

CONCURRENCY = 50
MOST_PAGES = 20  # full answers in a row, without the interval between them
LONGEST_SECONDS = 3600  # between polls that fail
RETRY_SECONDS = 60  # after a poll that could not be made
RENEWAL_SECONDS = 5  # for a new access token


class _Polling(Drain):
    """The polling of this process. A provider that takes long delays no other."""

    task = Task.POLL_SERVICES

    def work(self) -> None:
        in_flight: dict[Future[HttpResponse | Fault], tuple[Poll, Call]] = {}
        while True:
            self.look()
            for poll, call in [] if self.stopped else _claim(CONCURRENCY - len(in_flight)):
                in_flight[http.send(call.request)] = poll, call
            if not in_flight:
                return
            for future in wait(in_flight, timeout=1, return_when=FIRST_COMPLETED).done:
                poll, call = in_flight.pop(future)
                record(poll, call, future.result())


def drain() -> None:
    """Asks all providers that are due. One drain runs in each process; another call has it look again."""
    process.get(_Polling).run()


def record(poll: Poll, call: Call, response: HttpResponse | Fault) -> None:
    """Stores what an answer brings together with the cursor, or when it is tried again.

    Until this is committed, the poll counts as not made: it is made again when its lease has ended, and what
    was stored before is recognised.
    """
    outcome = call.read(response)
    try:
        if outcome.result == "sent" and isinstance(response, HttpResponse):
            result = _received(poll, call, response)
        else:
            result = _failed(poll, call, outcome)
    except (OperationalError, InterfaceError):
        raise  # the database is away
    except Exception:
        logger.exception("The answer to poll %d could not be stored.", poll.pk)
        reason = _("The provider's answer could not be stored. See the server's log.")
        result = _failed(poll, call, Outcome("failed", text=reason))
    metrics.POLLS.labels(call.service.integration.template.service_id, result).inc()


def _claim(free: int) -> list[tuple[Poll, Call]]:
    polls = Poll.objects.due().claim(free) if free else []
    services = prepared.prepare(poll.integration_id for poll in polls)
    found = []
    for poll in polls:
        service = services.get(poll.integration_id)
        try:
            if service is not None and RECEIVE_MESSAGES.name not in service.compiled.methods:
                calls.clear_problem(poll)
                poll.finish(None, failures=0, problem="")  # the template has it no more
                continue
            found.append((poll, calls.prepare(service, RECEIVE_MESSAGES.name, cursor=poll.cursor)))
        except NotNow as obstacle:
            calls.postpone(poll, obstacle, RETRY_SECONDS, LONGEST_SECONDS)
    return found


def _received(poll: Poll, call: Call, response: HttpResponse) -> str:
    integration, method = call.service.integration, call.service.compiled.methods[RECEIVE_MESSAGES.name]
    owner = owners.owner_of(integration.template.service_id, integration.organization.orgid)
    if owner is None or method.receiving is None:
        reason = _("The template %(template)s is no longer published for the account.")
        return _failed(poll, call, Outcome("failed", text=reason % {"template": integration.template}))
    request = as_request(method, response)
    reading = accept.read(owner, request)
    if not reading.events and is_nothing(method.receiving, response):
        reading.verdict = Verdict.IGNORED
    with transaction.atomic():
        now = poll.locked()
        seen = _digests(poll, reading.events)
        events = _unknown(reading.events, seen, now.seen)
        digest = hashlib.sha256(b"%d\n%s" % (poll.integration_id, response.body)).hexdigest()
        new = 0
        if events or (not reading.events and reading.verdict in QUARANTINE):
            row = _row(poll, call, request, response.status, reading, digest)
            new = _stored(row, events, repeats=not events and digest == now.digest)
            now.digest = digest
        if not reading.events and reading.verdict in (Verdict.UNMATCHED, Verdict.UNPARSABLE):
            outcome = Outcome("failed", text=call.service.redactor.text(reading.reason)[:500])
            _failed(poll, call, outcome, digest=digest)
            return reading.verdict
        cursor = reading.cursor or now.cursor
        more = bool(new) and cursor != poll.cursor and now.pages < MOST_PAGES
        poll.settle(
            now,
            0 if more else method.receiving.interval,
            cursor=cursor,
            seen=seen,
            digest=now.digest,
            pages=now.pages + 1 if more else 0,
            polled_at=Now(),
            failures=0,
            problem="",
        )
        calls.clear_problem(poll)
        if poll.integration.paused_until is not None:
            circuit_breaker.receives(poll.integration_id)
    return "received" if new else "nothing"


def _row(
    poll: Poll, call: Call, request: InboundRequest, status: int, reading: Reading, digest: str
) -> WebhookRequest:
    organization = call.service.integration.organization
    url = call.service.redactor.text(call.request.url.partition("?")[0])
    return WebhookRequest(
        account_id=organization.account_id,
        template_id=call.service.integration.template_id,
        integration_id=poll.integration_id,
        organization_id=organization.pk,
        owner=organization.orgid,
        polled=True,
        method=call.request.method,
        path=url[:200].replace("\0", "\ufffd"),
        query=b"",
        headers=request.headers,
        body=request.body,
        digest=digest,
        verdict=reading.verdict,
        reason=reading.reason,
        tried=reading.tried,
        answer_status=status,
    )


def _stored(row: WebhookRequest, events: Sequence[VerifiedEvent], *, repeats: bool) -> int:
    """Stores an answer with the events that are new; of one that `repeats` the last, it is only counted."""
    if repeats:
        same = WebhookRequest.objects.filter(integration=row.integration_id, digest=row.digest, polled=True)
        last = same.order_by("-pk").values_list("pk", flat=True).first()
        if last is not None:
            same.filter(pk=last).update(more=F("more") + 1)
            return 0
    row.save()
    for event in events:
        event.row.request_id = row.pk
    new = store.insert_events(events)
    if events and not new:  # a webhook has brought them just now
        reason = _("All its events, known by their message ids, were stored before.")
        WebhookRequest.objects.filter(pk=row.pk).update(verdict=Verdict.DUPLICATE, reason=reason)
    if new:
        wakeups.after_commit(Task.FILE_EVENTS)
    return len(new)


def _unknown(
    events: Sequence[VerifiedEvent], digests: Sequence[str], seen: Sequence[str]
) -> list[VerifiedEvent]:
    """The events that were neither in the last answer nor stored before."""
    before = set(seen)
    fresh = [event for event, digest in zip(events, digests, strict=True) if digest not in before]
    keys = [event.row.key for event in fresh if event.row.key is not None]
    stored = set(WebhookEvent.objects.filter(key__in=keys).values_list("key", flat=True)) if keys else set()
    return [event for event in fresh if event.row.key not in stored]


def _digests(poll: Poll, events: Sequence[VerifiedEvent]) -> list[str]:
    """What tells whether the next answer repeats an event: its id, else its content after this cursor."""
    equal: Counter[str] = Counter()
    found = []
    for event in events:
        known: Any = event.row.key
        if known is None:
            known = json.dumps([poll.cursor, event.row.number_id, content(event.row.payload)])
        equal[known] += 1
        found.append(hashlib.sha256(f"{known}\x1f{equal[known]}".encode()).hexdigest()[:20])
    return found


def _failed(poll: Poll, call: Call, outcome: Outcome, **fields: Any) -> str:
    """Has a poll made again later, and says why it has failed.

    Refused credentials pause the integration, unless messages are sent although nothing arrives.
    """
    receiving = call.service.compiled.methods[RECEIVE_MESSAGES.name].receiving
    interval = receiving.interval if receiving is not None else LONGEST_SECONDS
    renewing = outcome.result == "unauthorized" and call.renews_access()
    probing = poll.integration.paused_until is not None
    refused = outcome.result == "unauthorized" and not _still_sends(poll.integration)
    seconds = calls.wait(poll.failures + 1, interval, LONGEST_SECONDS, outcome.retry_after)
    with transaction.atomic():
        if refused:
            tally = circuit_breaker.Tally()
            tally.add(outcome.result, "", probing=probing, renewing=renewing)
            circuit_breaker.record({poll.integration_id: tally})
        if not renewing:
            calls.note_problem(poll.integration, poll, outcome)
        poll.finish(
            RENEWAL_SECONDS if renewing else seconds,
            failures=poll.failures + 1,
            problem=outcome.text,
            pages=0,
            **fields,
        )
    return outcome.result


def _still_sends(integration: Integration) -> bool:
    """Whether a message was accepted since nothing arrives: what polls are refused says nothing of others."""
    if not integration.arrival_trouble or integration.last_sent_at is None:
        return False
    return integration.trouble_since is not None and integration.last_sent_at > integration.trouble_since
