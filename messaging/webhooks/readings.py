"""Who reads a request: what may be stored comes from an integration whose own key has verified it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from integrations import webhooks
from integrations.events import HttpResponse, InboundRequest
from integrations.language.document import Template
from integrations.models import Integration
from integrations.properties import ACCESS_TOKEN
from integrations.received import Accepted, Hints, Probe, Received, Refused, merged
from messaging.models import WebhookEvent
from messaging.webhooks import routing

# Different keys that one request is tried with: each costs the time of a signature over up to 1 MiB.
MOST_KEYS = 50


@dataclass(frozen=True)
class VerifiedReading:
    """What a request says to one integration, whose own key verifies it if its template verifies."""

    integration: Integration
    received: Accepted


@dataclass(frozen=True)
class VerifiedEvent:
    """An event to be stored, with the reading that vouches for it: nothing else can be stored.

    `index` is its position among the events of the reading; of an element that fits no event, -1.
    """

    row: WebhookEvent
    reading: VerifiedReading
    index: int

    @property
    def place(self) -> str:
        """Where in the request the event is, as a JSON Pointer."""
        if self.index < 0:
            return str(self.row.payload["place"])
        return self.reading.received.places()[self.index]


@dataclass(frozen=True)
class FirstReading:
    """What is known of a request before any key is tried.

    `same` is the reading of a document for which keys and other properties make no difference.
    """

    hints: Hints
    same: dict[int, Received]


def first_reading(
    documents: Sequence[Template], request: InboundRequest, message_uuid: str = ""
) -> FirstReading:
    """What a request says whosever it is, by each of the documents that may apply."""
    found: list[Hints] = []
    same: dict[int, Received] = {}
    for document in documents:
        if not document.section(polled=request.polled).same_for_all:
            found.append(webhooks.hints(document, request))
            continue
        received = same[id(document)] = webhooks.read(document, request, {}, message_uuid=message_uuid)
        found.append(received.hints)
    return FirstReading(found[0] if len(found) == 1 else merged(found), same)


@dataclass
class Reading:
    """What a request says: how it is answered, and for which integration it is stored.

    `verified`: a key has shown that it is from the provider. `untried`: it might be for integrations whose
    keys were not tried, since there are too many. A `probe` says nothing, and is not stored. `cursor` is what
    an answer to ReceiveMessages has bound. `others` are the organizations that sent messages with its ids.
    """

    verdict: str
    reason: str
    answer: HttpResponse
    tried: tuple[tuple[str, str], ...]
    integration: Integration | None
    events: list[VerifiedEvent] = field(default_factory=list)
    verified: bool = False
    untried: bool = False
    probe: bool = False
    cursor: str = ""
    others: frozenset[int] = frozenset()

    @classmethod
    def refused(cls, received: Received, whose: Integration | None) -> Reading:
        """The reading of a request without events."""
        made = cls(received.verdict, received.reason, received.answer, received.tried, whose)
        made.verified = isinstance(received, Refused) and received.verified
        made.probe = isinstance(received, Probe)
        return made


class Readings:
    """A request as candidates read it, each with its own document, keys and values; alike ones share one."""

    def __init__(
        self,
        request: InboundRequest,
        candidates: Sequence[Integration],
        first: FirstReading,
        *,
        message_uuid: str = "",
        now: datetime | None = None,
    ) -> None:
        self.request, self._uuid, self._now = request, message_uuid, now
        self._same = first.same
        self._values = routing.values_of(candidates)
        nameless = first.hints.nameless or first.hints.refused is not None
        self._only = routing.only_numbers(candidates) if nameless else {}
        self._alike = {item.pk: self._key(item) for item in candidates}
        self._read: dict[tuple[int, str, str], Received] = {}
        self.untried = False  # whether there were more different keys than are tried

    def of(self, item: Integration) -> Received | None:
        """What the request says to one of the candidates; None if too many keys were tried before."""
        key = self._alike[item.pk]
        if key not in self._read:
            if len(self._read) >= MOST_KEYS:
                self.untried = True
                return None
            self._read[key] = self._received(item, key[2])
        return self._read[key]

    def verified(self, item: Integration) -> VerifiedReading | None:
        """The reading of one of the candidates, unless the request is not for it."""
        received = self.of(item)
        return VerifiedReading(item, received) if isinstance(received, Accepted) else None

    def alone(self, item: Integration, candidates: Collection[Integration]) -> bool:
        """Whether no other candidate reads with the same keys and values."""
        return sum(self._alike[other.pk] == self._alike[item.pk] for other in candidates) == 1

    def _received(self, item: Integration, only: str) -> Received:
        compiled = item.compiled
        if id(compiled) in self._same and not only:
            return self._same[id(compiled)]
        return webhooks.read(
            compiled,
            self.request,
            self._values[item.pk],
            number_to=only,
            message_uuid=self._uuid,
            now=self._now,
        )

    def _key(self, item: Integration) -> tuple[int, str, str]:
        values: dict[str, Any] = self._values[item.pk]
        own = sorted((name, value) for name, value in values.items() if name != ACCESS_TOKEN)
        return id(item.compiled), repr(own), self._only.get(item.pk, "")
