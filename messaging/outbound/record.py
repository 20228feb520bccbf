"""The results of requests: read, redacted, and written for a whole batch in one transaction."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from integrations import oauth
from integrations.events import Fault, HttpResponse, Outcome
from integrations.prepared import PreparedIntegration
from integrations.properties import ACCESS_TOKEN
from integrations.requests import Part
from messaging import wakeups
from messaging.engine import attempts, circuit_breaker, queue, rate_limit, webhooks
from messaging.engine.jobs import Job
from messaging.engine.queue import Change
from messaging.models import Attachment
from messaging.outbound import retry_policy
from messaging.rules import optout
from messaging.statuses import Status
from messaging.wakeups import Task
from portal import metrics, tracing
from portal.logs import message_id

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A finished request of a job, with the answer or the fault in its place."""

    job: Job
    through: PreparedIntegration
    part: Part
    started_at: datetime
    milliseconds: int
    answer: HttpResponse | Fault


def record_unsent(jobs: Sequence[Job]) -> None:
    """Records jobs that send nothing: a refusal fails the message, an obstacle has it wait."""
    if not jobs:
        return
    with transaction.atomic():
        queue.record(
            [
                _decide(job, job.obstacle)
                if job.obstacle
                else retry_policy.refusal(job.message, job.claim.fence, job.refusal)
                for job in jobs
            ]
        )
        circuit_breaker.probe_again(
            {job.claim.integration for job in jobs if job.claim.probing and job.claim.integration}
        )
    for job in jobs:
        service = job.through.integration.template.service_id if job.through else "none"
        metrics.SENDS.labels(service, job.obstacle.result if job.obstacle else "unsent").inc()
    without_access = [job for job in jobs if job.obstacle and job.obstacle.result == "unauthorized"]
    _retry_with_access({job.claim.integration for job in without_access if job.claim.integration})


def record(finished: Sequence[Exchange], *, stopping: bool = False) -> list[Job]:
    """Records attempts, messages and the health of integrations; returns the jobs with another request.

    While `stopping`, a request that was not written is no failure: another process sends its message.
    """
    if not finished:
        return []
    found = [(exchange, _outcome(exchange)) for exchange in finished]
    renewing = _renewals(found)
    changes: list[Change] = []
    going_on: list[Job] = []
    for exchange, outcome in found:
        job = exchange.job
        if outcome.result == "sent" and not exchange.part.is_last:
            going_on.append(job)
            changes.append(Change(job.message.pk, job.claim.fence, queue.CLAIMED, Status.SENDING))
        elif stopping and _unwritten(exchange):
            changes.append(retry_policy.release(job.message, job.claim.fence, outcome.text))
        else:
            changes.append(_decide(job, outcome))
    with transaction.atomic():
        attempts.write([_attempt(exchange, outcome) for exchange, outcome in found])
        _keep_uploads(found)
        held = queue.record(changes)
        # A claim that was lost meanwhile does not make the provider's answer untrue.
        queue.advance([change for change in changes if change.id not in held])
        _limit_rates(found, going_on)
        circuit_breaker.record(_tallies(found, renewing, stopping=stopping))
        optout.add(
            (exchange.job.number, exchange.job.to)
            for exchange, outcome in found
            # Of a group, nobody says who it was.
            if outcome.result == "opted_out" and isinstance(exchange.job.to, str)
        )
    _measure(found, {change.id for change in changes if change.queue_state == queue.DONE})
    orphans = webhooks.release_orphans(
        [outcome.messageid for _, outcome in found], {exchange.job.message.pk for exchange, _ in found}
    )
    if orphans:
        wakeups.wake(Task.FILE_EVENTS)
    _retry_with_access(renewing)
    for job in going_on:  # now that it is written: should the database be away, all of this happens again
        part, _request = job.parts.pop(0), job.requests.pop(0)
        if part.file is None:
            job.done = part.number
    return [job for job in going_on if job.message.pk in held]


def _keep_uploads(found: Iterable[tuple[Exchange, Outcome]]) -> None:
    """What uploads have bound stays with the files, for the requests that follow."""
    uploaded = []
    for exchange, outcome in found:
        if outcome.result == "sent" and exchange.part.file is not None:
            file = exchange.job.files[exchange.part.file]
            file.set_uploaded(exchange.through.integration.pk, outcome.bound)
            uploaded.append(file)
    if uploaded:
        Attachment.objects.bulk_update(uploaded, ["uploaded"])


def _measure(found: Iterable[tuple[Exchange, Outcome]], done: Collection[int]) -> None:
    """Counts what has just been committed; `done` are the messages that need no further request."""
    for exchange, outcome in found:
        service, message = exchange.through.integration.template.service_id, exchange.job.message
        metrics.SENDS.labels(service, outcome.result).inc()
        metrics.PROVIDER_SECONDS.labels(service).observe(exchange.milliseconds / 1000)
        if message.pk in done:
            metrics.ANSWER_SECONDS.labels(service).observe(exchange.job.seconds_since_submission)
        tracing.finished(
            "provider.request",
            exchange.started_at,
            exchange.milliseconds,
            {
                "patchbay.message_id": str(message.uuid),
                "patchbay.service": service,
                "patchbay.result": outcome.result,
                "patchbay.attempt": message.attempts,
            },
        )


def _retry_with_access(waiting: Collection[int]) -> None:
    """Makes messages due that waited for an access token which has been issued meanwhile."""
    if waiting:
        queue.retry_now(oauth.with_access(waiting))


def _decide(job: Job, outcome: Outcome) -> Change:
    return retry_policy.decide(
        job.message, job.claim.fence, outcome, seconds_left=job.seconds_left, idempotent=job.idempotent
    )


def _unwritten(exchange: Exchange) -> bool:
    return isinstance(exchange.answer, Fault) and exchange.answer.kind == "connect"


def _outcome(exchange: Exchange) -> Outcome:
    """What the answer means, fit to be stored."""
    part = exchange.part
    try:
        return exchange.through.read(part.method, part.variables, exchange.answer)
    except Exception:
        uuid = exchange.job.message.uuid
        logger.exception("The answer for message %s could not be read.", uuid, extra=message_id(uuid))
        return Outcome("unknown", text=_("The provider's response could not be read."))


def _attempt(exchange: Exchange, outcome: Outcome) -> dict[str, Any]:
    job, service = exchange.job, exchange.through
    return attempts.row(exchange.part, exchange.answer, outcome, service.redactor) | {
        "message_id": job.message.pk,
        "organization_id": job.message.organization_id,
        "integration_id": service.integration.pk,
        "parts": exchange.part.total,
        "fence": job.claim.fence,
        "started_at": attempts.time_of(exchange.started_at),
        "milliseconds": exchange.milliseconds,
    }


def _renewals(found: Iterable[tuple[Exchange, Outcome]]) -> set[int]:
    """The integrations whose 401 only means that their access token must be renewed, which is now due."""
    refused = {
        exchange.through.integration.pk: exchange.through
        for exchange, outcome in found
        if outcome.result == "unauthorized" and ACCESS_TOKEN in exchange.through.values
    }
    return {
        key
        for key, service in refused.items()
        if oauth.refused(service.integration, service.values[ACCESS_TOKEN])
    }


def _tallies(
    found: Iterable[tuple[Exchange, Outcome]], renewing: set[int], *, stopping: bool
) -> dict[int, circuit_breaker.Tally]:
    tallies: dict[int, circuit_breaker.Tally] = defaultdict(circuit_breaker.Tally)
    for exchange, outcome in found:
        if stopping and isinstance(exchange.answer, Fault):
            continue  # we ended it ourselves
        key = exchange.through.integration.pk
        tallies[key].add(
            outcome.result,
            outcome.text,
            probing=exchange.job.claim.probing,
            renewing=key in renewing,
        )
    return tallies


def _limit_rates(found: Iterable[tuple[Exchange, Outcome]], going_on: Iterable[Job]) -> None:
    """Slows down where a provider asked for it, and counts requests that no claim has counted."""
    asked: dict[int, float] = {}
    for exchange, outcome in found:
        if outcome.result == "throttled":
            key, seconds = exchange.through.credentials, retry_policy.retry_after(outcome.retry_after or 0)
            asked[key] = max(asked.get(key, 0), seconds)
    more_of_credentials: dict[int, float] = defaultdict(float)
    more_of_numbers: dict[int, float] = defaultdict(float)
    for job in going_on:
        assert job.through is not None
        kept = job.through.compiled.limits
        if kept.per_second:
            more_of_credentials[job.through.credentials] += 1 / kept.per_second
        if kept.per_number_per_second:
            more_of_numbers[job.number.pk] += 1 / kept.per_number_per_second
    rate_limit.spend(more_of_credentials, more_of_numbers)
    rate_limit.pause(asked)
