"""Out: claim due messages, render them, send them through the one door, record what came of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from queue import Empty, SimpleQueue

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations import http, oauth, responses
from integrations.events import Fault, HttpResponse, Outcome
from integrations.models import Integration
from integrations.requests import Part
from messaging import outcomes, plans, queue, wake
from messaging.models import DeliveryAttempt, WebhookEvent
from messaging.plans import Job
from messaging.statuses import Status

logger = logging.getLogger(__name__)

SHOWN_CHARACTERS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request of a job that is over."""

    job: Job
    part: Part
    started_at: datetime
    milliseconds: int
    answer: HttpResponse | Fault


@dataclass
class _State:
    """Of this process: its one drain, and the answers that arrive for it (None: look at the table again)."""

    running: threading.Lock = field(default_factory=threading.Lock)
    again: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    answers: SimpleQueue[Exchange | None] = field(default_factory=SimpleQueue)


_state = _State()


def drain() -> None:
    """Sends all that is due, and returns when nothing is due nor in flight.

    One drain works in a process, with settings.SEND_SLOTS requests at once; another call makes it look again.
    """
    _state.again.set()
    while _state.again.is_set() and not _state.stopping.is_set():
        if not _state.running.acquire(blocking=False):
            _state.answers.put(None)
            return
        try:
            _drain()
        finally:
            _state.running.release()


def stop(seconds: float) -> None:
    """Claims no more, gives what is in flight so many seconds to end, then cuts and records the rest."""
    _state.stopping.set()
    _state.answers.put(None)
    if _state.running.acquire(timeout=seconds):
        _state.running.release()
    else:
        http.stop()
        if _state.running.acquire(timeout=2):
            _state.running.release()


def start() -> None:
    """Lets `drain` work again after `stop`."""
    _state.stopping.clear()


def recover(*, everything: bool = False) -> int:
    """Ends the claims of processes that died: whether their requests were written nobody knows.

    They become unknown, or wait again where the service suppresses repeats. Returns how many.
    """
    claims = queue.abandoned(everything=everything)
    text = _("Patchbay was stopped while it was sending. The message may or may not have arrived.")
    changes = [
        outcomes.decide(job.message, job.fence, Outcome("unknown", text=text), idempotent=job.idempotent)
        for job in plans.prepare(claims)
    ]
    return len(queue.record(changes))


def _drain() -> None:
    in_flight = 0
    while True:
        _state.again.clear()
        free = 0 if _state.stopping.is_set() else settings.SEND_SLOTS - in_flight
        claims = queue.claim(free)
        jobs = plans.prepare(claims)
        _put_off(job for job in jobs if job.refusal or job.obstacle)
        for job in jobs:
            if job.parts:
                _send(job)
                in_flight += 1
        if in_flight:
            finished = _wait()
            in_flight -= len(finished)
            for job in _record(finished):
                _send(job)
                in_flight += 1
        elif not claims:
            return


def _send(job: Job) -> None:
    part = job.parts[job.done]
    started_at, began = timezone.now(), time.monotonic()
    answer = http.send(part.request)
    answer.add_done_callback(
        lambda done: _state.answers.put(
            Exchange(job, part, started_at, round((time.monotonic() - began) * 1000), done.result())
        )
    )


def _wait() -> list[Exchange]:
    """What has ended, as soon as something has; empty after a call to look at the table again."""
    found = [_state.answers.get()]
    while True:
        try:
            found.append(_state.answers.get_nowait())
        except Empty:
            return [exchange for exchange in found if exchange is not None]


def _put_off(jobs: Iterable[Job]) -> None:
    queue.record(
        [
            outcomes.refusal(job.message, job.fence, job.refusal)
            if job.refusal
            else outcomes.decide(job.message, job.fence, Outcome("unauthorized", text=job.obstacle))
            for job in jobs
        ]
    )


def _record(finished: Sequence[Exchange]) -> list[Job]:
    """Writes attempts and messages in one transaction; returns the jobs that have another request to send."""
    if not finished:
        return []
    changes: list[queue.Change] = []
    attempts: list[DeliveryAttempt] = []
    going_on: list[Job] = []
    outcomes_of = [(exchange, _outcome(exchange)) for exchange in finished]
    renewing = _renewals(outcomes_of)
    for exchange, outcome in outcomes_of:
        job = exchange.job
        attempts.append(_attempt(exchange, outcome))
        if outcome.result == "sent":
            job.done += 1
        if outcome.result == "sent" and job.done < len(job.parts):
            going_on.append(job)
            changes.append(queue.Change(job.message.pk, job.fence, queue.CLAIMED, Status.SENDING))
        else:
            changes.append(outcomes.decide(job.message, job.fence, outcome, idempotent=job.idempotent))
    with transaction.atomic():
        DeliveryAttempt.objects.bulk_create(attempts)
        held = queue.record(changes)
        # A claim that was lost meanwhile does not make the provider's answer untrue.
        queue.advance([change for change in changes if change.id not in held])
        _note_trouble(
            [attempt for attempt in attempts if attempt.integration_id not in renewing],
            {item.job.integration for item in finished if item.job.integration},
        )
        ids = [attempt.provider_id for attempt in attempts if attempt.provider_id]
        waiting = WebhookEvent.objects.filter(state=WebhookEvent.State.ORPHAN, provider_id__in=ids)
        if ids and waiting.update(state=WebhookEvent.State.WAITING):
            wake.after_commit("file")
    return [job for job in going_on if job.message.pk in held]


def _renewals(found: Iterable[tuple[Exchange, Outcome]]) -> set[int]:
    """The integrations whose 401 only means that their access token is to be renewed, now asked for."""
    refused = {
        exchange.job.integration.pk: (exchange.job.integration, exchange.job.values["access_token"])
        for exchange, outcome in found
        if outcome.result == "unauthorized"
        and exchange.job.integration is not None
        and "access_token" in exchange.job.values
    }
    return {pk for pk, (integration, used) in refused.items() if oauth.refused(integration, used)}


def _outcome(exchange: Exchange) -> Outcome:
    """What the answer means, fit to be kept: the words of services may repeat the secrets sent to them."""
    job, part = exchange.job, exchange.part
    assert job.compiled is not None
    try:
        outcome = responses.read(job.compiled, part.method, job.values, part.variables, exchange.answer)
    except Exception:
        logger.exception("The answer for message %s could not be read.", job.message.uuid)
        return Outcome("unknown", text=_("The service's answer could not be read."))
    return replace(
        outcome,
        messageid=_storable(outcome.messageid)[:200],
        code=_storable(job.redactor.text(outcome.code))[:60],
        text=_storable(job.redactor.text(outcome.text))[:500],
    )


def _attempt(exchange: Exchange, outcome: Outcome) -> DeliveryAttempt:
    job, part, answer = exchange.job, exchange.part, exchange.answer
    hide = job.redactor
    attempt = DeliveryAttempt(
        message=job.message,
        organization_id=job.message.organization_id,
        integration=job.integration,
        part=part.number,
        parts=len(job.parts),
        fence=job.fence,
        started_at=exchange.started_at,
        milliseconds=exchange.milliseconds,
        method=part.request.method,
        url=_storable(hide.text(part.request.url)),
        headers=hide.headers(part.request.headers),
        body=_storable(hide.body(part.request.body)),
        result=outcome.result,
        code=outcome.code,
        text=outcome.text,
        provider_id=outcome.messageid,
        status=outcomes.OF_RESULT[outcome.result],
    )
    if isinstance(answer, HttpResponse):
        attempt.answer_status = answer.status
        attempt.answer_headers = {
            _storable(name): _storable(value) for name, value in hide.headers(answer.headers).items()
        }
        attempt.answer_body = _storable(hide.body(answer.body))
    return attempt


def _storable(shown: str) -> str:
    """PostgreSQL keeps no U+0000."""
    return shown.replace("\0", "\ufffd")[:SHOWN_CHARACTERS]


def _note_trouble(attempts: Sequence[DeliveryAttempt], integrations: Iterable[Integration]) -> None:
    """A service that refuses the credentials is shown red until it takes a message again."""
    refused = {item.integration_id: item.text for item in attempts if item.result == "unauthorized"}
    taken = {item.integration_id for item in attempts if item.result == "sent"}
    for integration in integrations:
        if text := refused.get(integration.pk):
            integration.note_trouble(text)
        elif integration.pk in taken and integration.trouble:
            Integration.objects.filter(pk=integration.pk).update(trouble="", trouble_since=None)
    oauth.accepted(integration for integration in integrations if integration.pk in taken)
