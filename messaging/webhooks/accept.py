"""In, first step: read a provider's request, store it with its events in one commit, then answer."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.utils.translation import gettext as _

from integrations import webhooks
from integrations.events import (
    Consent,
    HttpResponse,
    Ignored,
    InboundMessage,
    InboundRequest,
    StatusUpdate,
    to_json,
)
from integrations.models import Integration
from messaging.models import Number, WebhookEvent, WebhookRequest
from messaging.statuses import Verdict
from messaging.webhooks import junk, routing, store
from messaging.webhooks.routing import Owner
from portal import metrics

READ = ("accepted", "ignored")


@dataclass
class Reading:
    """What a request says: how it is answered, and for which integration it is stored."""

    verdict: str
    reason: str
    answer: HttpResponse
    tried: tuple[tuple[str, str], ...]
    integration: Integration | None
    events: list[WebhookEvent]


def accept(service_id: str, owner_id: str, request: InboundRequest) -> HttpResponse | None:
    """What to answer, once the request and its events are committed; None for an unknown service or account.

    `owner_id` is an accountid or an orgid. Raises what the database raises: then nothing is stored, and the
    provider should send the request again.
    """
    owner = routing.owner_of(service_id, owner_id)
    if owner is None:
        return None
    reading = read(owner, request)
    if junk.is_one_more(owner, request.ip, reading.verdict):
        metrics.WEBHOOKS.labels(service_id, reading.verdict).inc()
        # What would be kept, if there were less of it, may be sent again later.
        return reading.answer if reading.answer.status >= 400 else HttpResponse(429)
    whose = reading.integration.organization if reading.integration else owner.organization
    row = WebhookRequest(
        account_id=owner.account.pk,
        template_id=owner.template.pk,
        integration_id=reading.integration.pk if reading.integration else None,
        organization_id=whose.pk if whose else None,
        owner=owner_id,
        ip=request.ip[:45],
        method=request.method[:8],
        path=request.path[:200].replace("\0", "\ufffd"),
        query=request.query.encode("utf-8", "surrogateescape"),
        headers=request.headers,
        body=request.body,
        digest=_digest(owner, request),
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


def read(owner: Owner, request: InboundRequest, *, now: datetime | None = None) -> Reading:
    """Whose request it is and what it says; nothing is stored. `now` is when it arrived, if earlier."""
    uuid = uuid4()
    assert owner.template.published is not None
    compiled = owner.template.published.compiled
    anyone = webhooks.read(compiled, request, None, message_uuid=str(uuid))
    if anyone.verdict not in READ and compiled.webhook.verify is None:
        own = owner.integrations if owner.organization is not None else []
        return Reading(
            anyone.verdict, anyone.reason, anyone.answer, anyone.tried, own[0] if own else None, []
        )
    named = routing.numbers_named(owner, _recipients(anyone.events))
    candidates = _candidates(owner, anyone, named)
    values = routing.values_of(candidates)

    def as_of(candidate: Integration) -> webhooks.Received:
        only = routing.only_number(candidate) if not _recipients(anyone.events) else ""
        if candidate.compiled is compiled and compiled.webhook.same_for_all and not only:
            return anyone
        return webhooks.read(
            candidate.compiled, request, values[candidate.pk], number_to=only, message_uuid=str(uuid), now=now
        )

    received, winner = anyone, None
    for candidate in _distinct(candidates, values):
        attempt = as_of(candidate)
        if attempt.verdict in READ:
            received, winner = attempt, candidate
            break
        if attempt.verdict != "unverified" and compiled.webhook.verify is not None:
            return Reading(attempt.verdict, attempt.reason, attempt.answer, attempt.tried, candidate, [])
    else:
        if candidates:
            sure = len(candidates) == 1 or attempt.verdict != "unverified"
            mine = candidates[0] if sure else None
            return Reading(attempt.verdict, attempt.reason, attempt.answer, attempt.tried, mine, [])
        if anyone.verdict not in READ:
            return Reading(anyone.verdict, anyone.reason, anyone.answer, anyone.tried, None, [])
    if not named:
        named = routing.numbers_named(owner, _recipients(received.events))
    # A request that one organization's key verifies is not filed for a number of another.
    addressed = {number.organization_id for found in named.values() for number in found}
    vouched = {
        item.organization_id: item
        for item in candidates
        if item.enabled
        and (item is winner or (item.organization_id in addressed and as_of(item).verdict in READ))
    }
    return _sorted_out(owner, received, winner, candidates, vouched, named, uuid)


def _distinct(candidates: list[Integration], values: dict[int, dict[str, Any]]) -> Iterator[Integration]:
    """One of each group that would read the request alike: an account's keys are tried once for all."""
    if len(candidates) == 1:
        yield candidates[0]
        return
    seen: set[tuple[int, str]] = set()
    for item in candidates:
        own = sorted((name, value) for name, value in values[item.pk].items() if name != "access_token")
        alike = id(item.compiled), repr(own)
        if alike not in seen:
            seen.add(alike)
            yield item


def _candidates(owner: Owner, anyone: webhooks.Received, named: dict[str, list[Number]]) -> list[Integration]:
    """The integrations that the request may be for: by number, else by message id, else all enabled ones."""
    organizations = {number.organization_id for found in named.values() for number in found}
    if not organizations:
        statuses = [event for event in anyone.events if isinstance(event, StatusUpdate)]
        organizations = routing.organizations_of_ids(
            owner,
            {event.messageid for event in statuses} - {""},
            {event.message_uuid for event in statuses} - {""},
        )
    if organizations:
        found = owner.integrations_of(organizations)
        return sorted(found, key=lambda item: not item.enabled)
    found = owner.integrations
    return found if owner.organization is not None else [item for item in found if item.enabled]


def _sorted_out(
    owner: Owner,
    received: webhooks.Received,
    winner: Integration | None,
    candidates: list[Integration],
    vouched: dict[int, Integration],
    named: dict[str, list[Number]],
    uuid: UUID,
) -> Reading:
    rows: list[WebhookEvent] = []
    reasons: list[tuple[str, str]] = []
    equal: Counter[str] = Counter()  # elements of one request with equal ids are two events
    for event in received.events:
        if isinstance(event, Ignored):
            continue
        if isinstance(event, StatusUpdate):
            sure = winner if len(candidates) == 1 or owner.organization else None
            rows.append(_event(owner, event, sure, None, equal))
            continue
        if not event.recipients:
            reasons.append((Verdict.UNKNOWN_NUMBER, _("The request does not say which number it is for.")))
        numbers_of_event: set[int] = set()
        for recipient in event.recipients:
            found = named.get(recipient, [])
            if len(found) != 1 or found[0].organization_id not in vouched:
                reasons.append(_why_not(owner, recipient, found, candidates))
            elif found[0].pk not in numbers_of_event:
                numbers_of_event.add(found[0].pk)
                rows.append(_event(owner, event, vouched[found[0].organization_id], found[0], equal))
    verdict, reason = (received.verdict, "") if rows or not reasons else reasons[0]
    if verdict in (Verdict.UNKNOWN_NUMBER, Verdict.DISABLED):
        answer = received.aside
        # It is not known whose it is: only the account's admins see it, unless the URL names an organization.
        winner = winner if verdict == Verdict.DISABLED else None
    else:
        answer = received.answer
        reason = " ".join(text for _verdict, text in reasons)
    if rows:
        rows[0].message_uuid = uuid
    return Reading(verdict, reason, answer, received.tried, winner, rows)


def _why_not(
    owner: Owner, recipient: str, found: list[Number], candidates: list[Integration]
) -> tuple[str, str]:
    if len(found) > 1:
        return Verdict.UNKNOWN_NUMBER, _(
            "%(number)s may mean several numbers: %(numbers)s. Correct how the provider writes them."
        ) % {"number": recipient, "numbers": ", ".join(number.number for number in found)}
    for item in candidates:
        if found and item.organization_id == found[0].organization_id:
            if item.enabled:
                return Verdict.UNKNOWN_NUMBER, _(
                    "Nothing in the request proves that it is for %(organization)s."
                ) % {"organization": item.organization}
            return Verdict.DISABLED, _("%(provider)s is switched off for %(organization)s.") % {
                "provider": owner.template,
                "organization": item.organization,
            }
    whom = owner.organization or owner.account
    return Verdict.UNKNOWN_NUMBER, _(
        "%(number)s is not an active number of %(owner)s with %(provider)s set up. "
        "Add the number, or correct how the provider writes it."
    ) % {"number": recipient[:40], "owner": whom, "provider": owner.template}


def _event(
    owner: Owner,
    event: InboundMessage | StatusUpdate | Consent,
    integration: Integration | None,
    number: Number | None,
    equal: Counter[str],
) -> WebhookEvent:
    """`equal` counts what else the request says with the same id."""
    provider_id = event.messageid.replace("\0", "\ufffd")
    kind = "status" if isinstance(event, StatusUpdate) else event.type
    key = None
    if provider_id or isinstance(event, StatusUpdate):
        whose = integration.pk if integration else f"{owner.template.pk} of {owner.account.pk}"
        parts: list[object] = [whose, number.pk if number else "", kind, provider_id]
        if isinstance(event, StatusUpdate):
            parts += [event.status, event.message_uuid]
        elif isinstance(event, InboundMessage) and event.concat_id:
            parts += [event.concat_id, event.concat_part]
        same = "\x1f".join(map(str, parts))
        key = hashlib.sha256(f"{same}\x1f{equal[same]}".encode("utf-8", "replace")).hexdigest()
        equal[same] += 1
    return WebhookEvent(
        organization_id=integration.organization_id if integration else None,
        integration_id=integration.pk if integration else None,
        number=number,
        type=kind,
        payload=to_json(event),
        provider_id=provider_id[:200],
        key=key,
    )


def _recipients(events: Sequence[object]) -> set[str]:
    return {
        recipient
        for event in events
        if isinstance(event, InboundMessage | Consent)
        for recipient in event.recipients
    }


def _digest(owner: Owner, request: InboundRequest) -> str:
    whose = f"{owner.account.pk} {owner.template.pk} {request.method} {request.path} {request.query}\n"
    return hashlib.sha256(whose.encode("utf-8", "replace") + request.body).hexdigest()
