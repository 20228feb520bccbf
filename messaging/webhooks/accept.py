"""In, first step: read a provider's request, store it with its events in one commit, then answer."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any
from uuid import uuid4

from integrations import probes, webhooks
from integrations.events import HttpResponse, InboundRequest
from integrations.received import Accepted, Probe, Received, Refused
from messaging.models import WebhookRequest
from messaging.statuses import QUARANTINE, Verdict
from messaging.webhooks import candidates, junk, owners, refusals, routing, sorting, store
from messaging.webhooks.owners import Owner
from messaging.webhooks.readings import Reading, Readings, VerifiedReading, first_reading
from messaging.webhooks.routing import digest_of
from portal import metrics, process


class _Turns:
    """Large bodies are read and stored one after the other: a megabyte takes fifty times the memory."""

    LARGE = 64 * 1024

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def of(self, size: int) -> AbstractContextManager[Any]:
        """A turn for a body of this size."""
        return self._lock if size > self.LARGE else nullcontext()


def accept(service_id: str, owner_id: str, request: InboundRequest) -> HttpResponse | None:
    """What to answer, once the request and its events are committed; None for an unknown service or account.

    `owner_id` is an accountid or an orgid. Raises what the database raises: then nothing is stored, and the
    provider should send the request again.
    """
    owner = owners.owner_of(service_id, owner_id)
    if owner is None:
        return None
    if (proof := probes.proof(service_id, owner_id, request.headers)) is not None:
        return _probed(service_id, HttpResponse(200, proof))
    if request.method in webhooks.PROBES:  # they have no event, and anybody can send many
        return _probed(service_id, HttpResponse(200))
    with process.get(_Turns).of(len(request.body)):
        return _accept(owner, owner_id, request)


def _accept(owner: Owner, owner_id: str, request: InboundRequest) -> HttpResponse:
    reading = read(owner, request)
    service_id = owner.template.service_id
    if reading.probe:
        return _probed(service_id, reading.answer)
    if reading.untried:
        refusals.count("more keys than are tried", f"for {service_id} of {owner_id}")
    if not reading.verified and junk.is_one_more(owner, request.ip, reading.verdict):
        metrics.WEBHOOKS.labels(service_id, reading.verdict).inc()
        # What would be kept, if there were less of it, may be sent again later.
        return reading.answer if reading.answer.status >= 400 else HttpResponse(429)
    whose = reading.integration.organization if reading.integration else owner.organization
    row = WebhookRequest(
        account_id=owner.account.pk,
        template_id=owner.template.pk,
        integration_id=reading.integration.pk if reading.integration else None,
        organization_id=whose.pk if whose else None,
        about_id=_about(owner, request, reading) if whose is None else None,
        owner=owner_id,
        ip=request.ip[:45],
        method=request.method[:8],
        path=request.path[:200].replace("\0", "\ufffd"),
        query=request.query.encode("utf-8", "surrogateescape"),
        headers=request.headers,
        body=request.body,
        digest=digest_of(owner, request),
        verdict=reading.verdict,
        reason=reading.reason,
        tried=reading.tried,
        answer_status=reading.answer.status,
        answer_headers=dict(reading.answer.headers),
        answer_body=reading.answer.body.decode("utf-8", "replace").replace("\0", "\ufffd"),
    )
    first = store.store(row, reading.events)
    metrics.WEBHOOKS.labels(service_id, reading.verdict if first is None else Verdict.DUPLICATE).inc()
    if first is not None:
        return first.response
    return reading.answer


def _about(owner: Owner, request: InboundRequest, reading: Reading) -> int | None:
    """The organization that may see a request of the quarantine that is nobody's."""
    if reading.verdict not in QUARANTINE:
        return None
    named = routing.only_named(owner, request)
    return named if reading.others <= {named} else None


def _probed(service_id: str, answer: HttpResponse) -> HttpResponse:
    """The answer to a request that says nothing: a provider, or anybody, sees whether there is somebody."""
    metrics.WEBHOOKS.labels(service_id, Verdict.IGNORED).inc()
    return answer


def read(owner: Owner, request: InboundRequest, *, now: datetime | None = None) -> Reading:
    """Whose request it is and what it says; nothing is stored. `now` is when it arrived, if earlier."""
    uuid = uuid4()
    documents = owner.documents
    own = owner.own[0] if owner.own else None
    if request.method in webhooks.PROBES:
        return Reading.refused(webhooks.read(documents[0], request, {}), own)
    first = first_reading(documents, request, str(uuid))
    hints = first.hints
    verified = any(document.section(polled=request.polled).verified for document in documents)
    if hints.refused is not None and (not verified or isinstance(hints.refused, Probe)):
        return Reading.refused(hints.refused, own)
    found = candidates.find(owner, request, hints)
    if not found.integrations:
        return sorting.nobodys(owner, documents[0], request, hints, verified=verified)
    readings = Readings(request, found.integrations, first, message_uuid=str(uuid), now=now)
    received: Received | None = None
    for candidate in found.integrations:
        attempt = readings.of(candidate)
        if attempt is None:
            break
        received = attempt
        if isinstance(received, Accepted):
            reading = sorting.sorted_out(owner, found, readings, VerifiedReading(candidate, received), uuid)
            reading.untried, reading.verified = readings.untried, received.verified
            reading.cursor = received.cursor
            reading.others = frozenset(found.organizations({}))
            return reading
        if isinstance(received, Refused) and received.verified:
            alone = found.is_sure or readings.alone(candidate, found.integrations)
            return Reading.refused(received, candidate if alone else None)
    assert received is not None
    reading = Reading.refused(received, found.integrations[0] if found.is_sure else None)
    reading.untried = readings.untried or found.more
    return reading
