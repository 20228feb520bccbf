"""Which event of a request is whose: each is for who vouches for it, and else there is a reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Set
from uuid import UUID

from django.utils.translation import gettext as _

from integrations import webhooks
from integrations.events import (
    Consent,
    HttpResponse,
    Ignored,
    InboundMessage,
    InboundRequest,
    StatusUpdate,
    Unfit,
    to_json,
)
from integrations.language.document import Template as Document
from integrations.language.frames import MAX_EVENTS
from integrations.models import Integration
from integrations.received import Hints
from messaging.models import Number, WebhookEvent
from messaging.statuses import UNFIT, EventState, Verdict
from messaging.webhooks import routing
from messaging.webhooks.candidates import Candidates
from messaging.webhooks.readings import Reading, Readings, VerifiedEvent, VerifiedReading
from messaging.webhooks.routing import Owner, digest_of


def nobodys(
    owner: Owner, document: Document, request: InboundRequest, hints: Hints, *, verified: bool
) -> Reading:
    """The reading of a request for which there is no integration, so that no key can verify it."""
    if verified:
        reason = _("%(provider)s is not set up for whom the request may be for, so no key can verify it.")
        answer = HttpResponse(401)
        return Reading(Verdict.UNVERIFIED, reason % {"provider": owner.template}, answer, (), None)
    reason = _("%(provider)s is not set up for %(owner)s.") % {
        "provider": owner.template,
        "owner": owner.organization or owner.account,
    }
    for recipient in sorted(hints.recipients)[:1]:
        _verdict, reason = _why_not(owner, recipient, [], [])
    aside = webhooks.put_aside(document, request)
    return Reading(Verdict.UNKNOWN_NUMBER, reason, aside, (), None)


def sorted_out(
    owner: Owner, found: Candidates, readings: Readings, winner: VerifiedReading, uuid: UUID
) -> Reading:
    """The events of each integration that vouches for the request, as that integration reads them."""
    by_organization = {item.organization_id: item for item in found.integrations}
    named = dict(found.named)
    if missing := routing.recipients_of(winner.received) - named.keys():
        named |= routing.numbers_named(owner, missing)
    rows: list[VerifiedEvent] = []
    reasons: list[tuple[str, str]] = []
    nowhere: dict[int, str] = {}  # why an event could not be filed for anybody
    equal: Counter[str] = Counter()  # elements of one request with equal ids are two events
    vouching: dict[int, VerifiedReading] = {}
    for key in [winner.integration.organization_id, *found.organizations(named)]:
        item = by_organization.get(key)
        if item is not None and key not in vouching and (seen := readings.verified(item)):
            vouching[key] = seen
    # Each has its own events if its document or key differs; equal readings are gone through once.
    for received in {id(item.received): item.received for item in [winner, *vouching.values()]}.values():
        here = {key: item for key, item in vouching.items() if item.received is received}
        for index, event in enumerate(received.events):
            if isinstance(event, Ignored):
                continue
            if isinstance(event, StatusUpdate):
                known = found.ids.get(event.messageid, set()) | found.ids.get(event.message_uuid, set())
                mine = known & here.keys()
                if len(known & vouching.keys()) > 1:
                    if received is winner.received:
                        nowhere[index] = _ambiguous(event)
                        reasons.append((Verdict.UNKNOWN_NUMBER, nowhere[index]))
                elif mine:
                    by = here[mine.pop()]
                    rows.append(_event(owner, event, index, by, by.integration, None, equal))
                elif not known and received is winner.received:
                    sure = winner.integration if found.is_sure else None
                    rows.append(_event(owner, event, index, winner, sure, None, equal))
                elif received is winner.received and not known & vouching.keys():
                    nowhere[index] = _not_theirs(known, by_organization)
                    reasons.append((Verdict.UNKNOWN_NUMBER, nowhere[index]))
                continue
            if not event.recipients and received is winner.received:
                reasons.append(
                    (Verdict.UNKNOWN_NUMBER, _("The request does not say which number it is for."))
                )
            told = len(reasons)
            numbers_of_event: set[int] = set()
            for recipient in event.recipients:
                numbers = named.get(recipient, [])
                whose = numbers[0].organization_id if len(numbers) == 1 else 0
                if whose in here and here[whose].integration.enabled:
                    if numbers[0].pk not in numbers_of_event:
                        numbers_of_event.add(numbers[0].pk)
                        by = here[whose]
                        rows.append(_event(owner, event, index, by, by.integration, numbers[0], equal))
                elif received is winner.received and (whose in here or whose not in vouching):
                    reasons.append(_why_not(owner, recipient, numbers, found.integrations))
            if len(reasons) > told and not numbers_of_event:
                nowhere[index] = reasons[told][1]
    reading = _summed_up(found, readings, winner, rows, reasons, uuid)
    if rows or not reasons:
        places = winner.received.places() if nowhere else ()
        aside = {places[index]: reason for index, reason in nowhere.items()}
        reading.events += _unfit(
            owner, readings.request, winner, list(vouching.values()), reading.integration, aside
        )
    return reading


def _summed_up(
    found: Candidates,
    readings: Readings,
    winner: VerifiedReading,
    rows: list[VerifiedEvent],
    reasons: list[tuple[str, str]],
    uuid: UUID,
) -> Reading:
    received, integration = winner.received, winner.integration
    verdict, reason = (received.verdict, "") if rows or not reasons else reasons[0]
    if verdict in (Verdict.UNKNOWN_NUMBER, Verdict.DISABLED):
        answer = received.aside
        # It is not known whose it is: only the account's admins see it, unless the URL names an organization.
        mine = integration if verdict == Verdict.DISABLED else None
    else:
        answer = received.answer
        reason = " ".join(text for _verdict, text in reasons)
        whose = {item.row.integration_id for item in rows}
        if rows:
            mine = rows[0].reading.integration if len(whose) == 1 and None not in whose else None
        else:
            sure = found.is_sure or (received.verified and readings.alone(integration, found.integrations))
            mine = integration if sure else None
    if rows:
        rows[0].row.message_uuid = uuid
    return Reading(verdict, reason, answer, received.tried, mine, rows)


def _ambiguous(event: StatusUpdate) -> str:
    return _("Several organizations have sent messages with the id %(id)s.") % {
        "id": (event.messageid or event.message_uuid)[:60]
    }


def _not_theirs(known: Set[int], by_organization: dict[int, Integration]) -> str:
    """Why a delivery report changes nothing: nobody vouches for it whose message it is about."""
    names = [str(by_organization[key].organization) for key in sorted(known) if key in by_organization]
    return _("Nothing in the request proves that it is for %(organization)s.") % {
        "organization": ", ".join(names)
    }


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


def _unfit(
    owner: Owner,
    request: InboundRequest,
    winner: VerifiedReading,
    others: list[VerifiedReading],
    whose: Integration | None,
    aside: dict[str, str],
) -> list[VerifiedEvent]:
    """What fits no event of any reading, or is `aside` as nobody's: failed, seen, and readable again."""
    found = dict(winner.received.unfit)
    for other in others:
        found = {place: found[place] for place, _ in other.received.unfit if place in found}
    found |= aside
    rows = []
    for place, reason in list(found.items())[:MAX_EVENTS]:
        key = hashlib.sha256(f"{digest_of(owner, request)} {place}".encode("utf-8", "replace")).hexdigest()
        row = WebhookEvent(
            organization_id=whose.organization_id if whose else None,
            integration_id=whose.pk if whose else None,
            type=UNFIT,
            payload=to_json(Unfit(place)),
            key=key,
            state=EventState.FAILED,
            reason=reason[:500],
        )
        rows.append(VerifiedEvent(row, winner, -1))
    return rows


def _event(
    owner: Owner,
    event: InboundMessage | StatusUpdate | Consent,
    index: int,
    by: VerifiedReading,
    integration: Integration | None,
    number: Number | None,
    equal: Counter[str],
) -> VerifiedEvent:
    """`by` vouches for the event. `equal` counts what else the request says with the same id."""
    provider_id = event.messageid.replace("\0", "\ufffd")
    kind = "status" if isinstance(event, StatusUpdate) else event.type
    key = None
    if provider_id or isinstance(event, StatusUpdate):
        whose = integration.pk if integration else f"{owner.template.pk} of {owner.account.pk}"
        parts: list[object] = [whose, number.pk if number else "", kind, provider_id]
        if isinstance(event, StatusUpdate):
            parts += [event.status, event.message_uuid]
        else:
            parts.append(event.sender)
        if isinstance(event, InboundMessage) and event.concat_id:
            parts += [event.concat_id, event.concat_part]
        same = "\x1f".join(map(str, parts))
        key = hashlib.sha256(f"{same}\x1f{equal[same]}".encode("utf-8", "replace")).hexdigest()
        equal[same] += 1
    row = WebhookEvent(
        organization_id=integration.organization_id if integration else None,
        integration_id=integration.pk if integration else None,
        number=number,
        type=kind,
        payload=to_json(event),
        provider_id=provider_id[:200],
        key=key,
    )
    return VerifiedEvent(row, by, index)
