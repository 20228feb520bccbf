"""Which event of a request is whose: each is for who vouches for it, and else there is a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
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
)
from integrations.language.document import Template as Document
from integrations.models import Integration
from integrations.received import Accepted, Hints
from messaging.models import Number
from messaging.statuses import Verdict
from messaging.webhooks import routing, rows
from messaging.webhooks.candidates import Candidates
from messaging.webhooks.owners import Owner
from messaging.webhooks.readings import Reading, Readings, VerifiedEvent, VerifiedReading
from messaging.webhooks.routing import digest_of


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
    named = dict(found.named)
    if missing := routing.recipients_of(winner.received) - named.keys():
        named |= routing.numbers_named(owner, missing)
    sorting = _Sorting(owner, found, winner, named, _vouching(found, named, readings, winner))
    # Each has its own events if its document or key differs; equal readings are gone through once.
    for received in {id(item.received): item.received for item in sorting.readings}.values():
        sorting.add(received)
    reading = _summed_up(found, readings, winner, sorting.rows, sorting.reasons, uuid)
    if sorting.rows or not sorting.reasons:
        digest, whose = digest_of(owner, readings.request), reading.integration
        reading.events += rows.unfit(sorting.unfit(), winner, whose, digest)
    return reading


def _vouching(
    found: Candidates, named: Mapping[str, list[Number]], readings: Readings, winner: VerifiedReading
) -> dict[int, VerifiedReading]:
    """By organization: the readings of those to which something in the request belongs, if they verify it."""
    by_organization = {item.organization_id: item for item in found.integrations}
    vouching: dict[int, VerifiedReading] = {}
    for key in [winner.integration.organization_id, *found.organizations(named)]:
        item = by_organization.get(key)
        if item is not None and key not in vouching and (seen := readings.verified(item)):
            vouching[key] = seen
    return vouching


@dataclass
class _Sorting:
    """The rows of events so far, by what they say: whose number, or whose message, they are about.

    `vouching` has the readings that verify the request, by organization. `reasons` tell what was not filed
    for anybody, `nowhere` has those of whole events of the winner, by their index.
    """

    owner: Owner
    found: Candidates
    winner: VerifiedReading
    named: Mapping[str, list[Number]]
    vouching: Mapping[int, VerifiedReading]
    rows: list[VerifiedEvent] = field(default_factory=list)
    reasons: list[tuple[str, str]] = field(default_factory=list)
    nowhere: dict[int, str] = field(default_factory=dict)
    # Elements of one request with equal ids are two events.
    equal: Counter[str] = field(default_factory=Counter)

    @property
    def readings(self) -> list[VerifiedReading]:
        """All that verify the request, the winner first."""
        return [self.winner, *self.vouching.values()]

    def add(self, received: Accepted) -> None:
        """Files the events of one reading for those who read the request like this."""
        here = {key: item for key, item in self.vouching.items() if item.received is received}
        for index, event in enumerate(received.events):
            if isinstance(event, StatusUpdate):
                self._add_status(event, index, here, told=received is self.winner.received)
            elif not isinstance(event, Ignored):
                self._add_for_numbers(event, index, here, told=received is self.winner.received)

    def unfit(self) -> dict[str, str]:
        """By place, why something fits no event of any reading, or is for nobody."""
        found = dict(self.winner.received.unfit)
        for other in self.vouching.values():
            found = {place: found[place] for place, _ in other.received.unfit if place in found}
        places = self.winner.received.places() if self.nowhere else ()
        return found | {places[index]: reason for index, reason in self.nowhere.items()}

    def _add_status(
        self, event: StatusUpdate, index: int, here: Mapping[int, VerifiedReading], *, told: bool
    ) -> None:
        """Files it for the organization that sent the message; only what the winner says is `told`."""
        ids = self.found.ids
        known = ids.get(event.messageid, set()) | ids.get(event.message_uuid, set())
        vouched = known & self.vouching.keys()
        mine = known & here.keys()
        if len(vouched) > 1:
            if told:
                self._tell(index, _ambiguous(event))
        elif mine:
            by = here[mine.pop()]
            self._file(event, index, by, by.integration)
        elif told and not known:
            self._file(event, index, self.winner, self.winner.integration if self.found.is_sure else None)
        elif told and not vouched:
            self._tell(index, _not_theirs(known, self.found.integrations))

    def _add_for_numbers(
        self,
        event: InboundMessage | Consent,
        index: int,
        here: Mapping[int, VerifiedReading],
        *,
        told: bool,
    ) -> None:
        """Files it for each of our numbers among its recipients; only what the winner says is `told`."""
        before = len(self.reasons)
        if told and not event.recipients:
            reason = _("The request does not say which number it is for.")
            self.reasons.append((Verdict.UNKNOWN_NUMBER, reason))
            return
        filed: set[int] = set()
        strangers: list[tuple[str, str]] = []
        for recipient in event.recipients:
            numbers = self.named.get(recipient, [])
            whose = numbers[0].organization_id if len(numbers) == 1 else 0
            if whose in here and here[whose].integration.enabled:
                if numbers[0].pk not in filed:
                    filed.add(numbers[0].pk)
                    self._file(event, index, here[whose], here[whose].integration, numbers[0])
            elif told and (whose in here or whose not in self.vouching):
                reasons = self.reasons if numbers else strangers
                reasons.append(_why_not(self.owner, recipient, numbers, self.found.integrations))
        if not filed or isinstance(event, Consent):
            self.reasons += strangers  # of a message to us and to others, these are the others
        if len(self.reasons) > before and not filed:
            self.nowhere[index] = self.reasons[before][1]

    def _file(
        self,
        event: InboundMessage | StatusUpdate | Consent,
        index: int,
        by: VerifiedReading,
        integration: Integration | None,
        number: Number | None = None,
    ) -> None:
        row = rows.of_event(self.owner, event, integration, number, self.equal)
        self.rows.append(VerifiedEvent(row, by, index))

    def _tell(self, index: int, reason: str) -> None:
        self.nowhere[index] = reason
        self.reasons.append((Verdict.UNKNOWN_NUMBER, reason))


def _summed_up(
    found: Candidates,
    readings: Readings,
    winner: VerifiedReading,
    events: list[VerifiedEvent],
    reasons: list[tuple[str, str]],
    uuid: UUID,
) -> Reading:
    received, integration = winner.received, winner.integration
    verdict, reason = (received.verdict, "") if events or not reasons else reasons[0]
    if verdict in (Verdict.UNKNOWN_NUMBER, Verdict.DISABLED):
        answer = received.aside
        # It is not known whose it is: only the account's admins see it, unless the URL names an organization.
        mine = integration if verdict == Verdict.DISABLED else None
    else:
        answer = received.answer
        reason = " ".join(text for _verdict, text in reasons)
        whose = {item.row.integration_id for item in events}
        if events:
            mine = events[0].reading.integration if len(whose) == 1 and None not in whose else None
        else:
            sure = found.is_sure or (received.verified and readings.alone(integration, found.integrations))
            mine = integration if sure else None
    if events:
        events[0].row.message_uuid = uuid
    return Reading(verdict, reason, answer, received.tried, mine, events)


def _ambiguous(event: StatusUpdate) -> str:
    return _("Several organizations have sent messages with the id %(id)s.") % {
        "id": (event.messageid or event.message_uuid)[:60]
    }


def _not_theirs(known: Set[int], candidates: Sequence[Integration]) -> str:
    """Why a delivery report changes nothing: nobody vouches for it whose message it is about."""
    theirs = sorted(
        (item for item in candidates if item.organization_id in known), key=lambda item: item.organization_id
    )
    return _("Nothing in the request proves that it is for %(organization)s.") % {
        "organization": ", ".join(str(item.organization) for item in theirs)
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
