"""What a template makes of a webhook request: events, a refusal, or only hints of whose request it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from integrations.events import Consent, Event, HttpResponse, InboundMessage, StatusUpdate
from integrations.language.frames import Compared


@dataclass(frozen=True)
class Received:
    """What a template makes of a request, and the response to it.

    `tried` has each of the template's events that did not match, and why. Only an Accepted has events, and
    `unfit` elements: those of lists that fit none, each with its place (a JSON Pointer) and the reason.
    `cursor` is what an answer to ReceiveMessages has bound as `$cursor$`, last of all its events.
    """

    verdict: Literal["accepted", "ignored", "unmatched", "unverified", "unparsable"]
    answer: HttpResponse
    reason: str = ""
    tried: tuple[tuple[str, str], ...] = ()
    events: tuple[Event, ...] = ()
    event_index: int | None = None
    bindings: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    unfit: tuple[tuple[str, str], ...] = ()
    cursor: str = ""

    @property
    def hints(self) -> Hints:
        """What `hints` finds where properties make no difference."""
        return hints_in(self.events, {})


@dataclass(frozen=True)
class Refused(Received):
    """A request without an event; with `verified`, it is from the provider all the same."""

    verified: bool = False

    @property
    def hints(self) -> Hints:
        return Hints(refused=self)


@dataclass(frozen=True)
class Probe(Refused):
    """A request that says nothing, and that no event takes: HEAD, OPTIONS, or neither query nor body."""


@dataclass(frozen=True)
class Accepted(Received):
    """The events of a request that the given properties verify, as far as the template asks for it.

    `event_index` is the event that matched first. `bindings` has the type of each event and the variables
    that its shapes bound. `places` tells where in the request each event is ("": the request is one).
    `aside` is the response to give instead if the request is quarantined: the number is unknown, or the
    integration is switched off. With `verified`, a check has found each event to be from the provider;
    without, the template asks for none, or for `none`.
    """

    places: Callable[[], tuple[str, ...]] = field(default=tuple, compare=False, repr=False)

    aside: HttpResponse = field(default_factory=lambda: HttpResponse(200))
    verified: bool = False


@dataclass(frozen=True)
class Hints:
    """What anybody may have written into a request: it serves to look up whose it may be, and nothing else.

    The recipients and ids (the provider's, ours) of its events, and by property the values that these were
    compared with. With `nameless`, an event for a number names none. `refused` says why no event matches,
    whoever's request it is.
    """

    recipients: frozenset[str] = frozenset()
    messageids: frozenset[str] = frozenset()
    message_uuids: frozenset[str] = frozenset()
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    nameless: bool = False
    refused: Refused | None = None


def hints_in(events: Sequence[Event], compared: Compared) -> Hints:
    """The hints in events that nobody has verified, and in what properties were compared with."""
    statuses = [event for event in events if isinstance(event, StatusUpdate)]
    others = [event for event in events if isinstance(event, InboundMessage | Consent)]
    return Hints(
        frozenset(recipient for event in others for recipient in event.recipients),
        frozenset(event.messageid for event in statuses) - {""},
        frozenset(event.message_uuid for event in statuses) - {""},
        {label: frozenset(values - {""}) for label, values in compared.items()},
        nameless=not all(event.recipients for event in others),
    )


def merged(found: Sequence[Hints]) -> Hints:
    """The hints of several documents, of which it is not known which one counts."""
    values: Compared = {}
    for item in found:
        for label, said in item.values.items():
            values.setdefault(label, set()).update(said)
    return Hints(
        frozenset().union(*(item.recipients for item in found)),
        frozenset().union(*(item.messageids for item in found)),
        frozenset().union(*(item.message_uuids for item in found)),
        {label: frozenset(said) for label, said in values.items()},
        any(item.nameless for item in found),
        found[0].refused if all(item.refused for item in found) else None,
    )
