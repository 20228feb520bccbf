"""The events of a template that match a request: each takes what it fits, and the rest goes to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from integrations.event_makers import MAKERS, put, put_aliases, recipients_of
from integrations.events import Event, Ignored, InboundMessage, InboundRequest
from integrations.language.batch import Batch, Key, NoElementFits
from integrations.language.budget import spend
from integrations.language.document import Template
from integrations.language.frames import BATCH, COMPARED, ELEMENTS, Compared, Frame
from integrations.language.names import BOUND
from integrations.language.values import Value, cleaned
from integrations.language.webhook_events import STATUS_TYPES, WebhookEvent
from integrations.webhook_body import Body, Verified

# What is inside of the other kind is never another reading of it, but something else that is said.
_KINDS = {"message": "text", "mms": "text", **dict.fromkeys(STATUS_TYPES, "report")}
_LEFT = 'Another event has taken what this is in. With "continue": true, it leaves it to the next'


class EventMatch(NamedTuple):
    """An event of a request, the variables from which it was made, and which of them its shapes bound."""

    frame: Frame
    event: Event
    names: list[str]


class Mismatch(NamedTuple):
    """Why an event of the template does not match.

    After one that is `final` or `unverified`, no further event is tried. It may be `by_elements` of lists
    alone.
    """

    reason: str
    final: bool = False
    unverified: bool = False
    by_elements: bool = False


@dataclass
class Matches:
    """The events that match, each with its place among the template's; else why none does."""

    batch: Batch
    documents: Callable[[], list[Value]]
    matched: list[tuple[int, EventMatch]] = field(default_factory=list)
    elements: list[Key | None] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    compared: Compared = field(default_factory=dict)
    unverified: str = ""
    problem: str = ""
    ended: bool = False  # no further event is tried

    @property
    def tried(self) -> tuple[tuple[str, str], ...]:
        """The events that do not match, and why."""
        return tuple(self.refusals)

    def unfit(self) -> list[tuple[str, str]]:
        """The elements of lists that fit no event, or that an event has taken without reading them."""
        if not self.batch.misses:
            return []
        return self.batch.unfit(self.documents())

    def places(self) -> tuple[str, ...]:
        """Where in the request each event is."""
        return self.batch.places(self.documents(), self.elements)

    def add(self, index: int, event: WebhookEvent, found: list[EventMatch], compared: Compared) -> None:
        """Adds what an event has found, and takes it out of the request for the next events."""
        self.matched += [(index, item) for item in found]
        for label, values in compared.items():
            self.compared.setdefault(label, set()).update(map(cleaned, values))
        elements = [item.frame.get(ELEMENTS, ()) for item in found]
        self.elements += [keys[-1] if keys else None for keys in elements]
        if elements[0] or event.continues:
            self.batch.take(elements, continues=event.continues)
        else:
            # Without a list in its shapes, it takes the request whole, or all that earlier events have left.
            if not self.batch.taking or isinstance(found[0].event, Ignored):
                self.batch = Batch()
            self.ended = True

    def refuse(self, event: WebhookEvent, why: Mismatch) -> None:
        """Notes why an event does not match."""
        self.refusals.append((event.pointer, why.reason))
        if why.unverified and not self.matched:
            self.unverified = why.reason
        self.ended = why.final or why.unverified


def match(
    template: Template, request: InboundRequest, base: Frame, verified: Verified | None, number_to: str = ""
) -> Matches:
    """Tries the events of the template in their order; without `verified`, nothing is verified.

    `base` has the request and the properties. Where nothing is verified, these may be ANY, and what they were
    compared with is noted.
    """
    body, batch = verified.body if verified is not None else Body(request, base["query"]), Batch()
    result = Matches(batch, body.documents)
    base = {**base, BATCH: batch}
    section = template.section(polled=request.polled)
    events = section.events
    for index, event in enumerate(events):
        over = batch.taking and not batch.misses
        if over and not event.iterates and event.type == "ignore":
            continue
        compared: Compared = {}
        if verified is None:
            base[COMPARED] = compared
        found = attempt(event, base, body, verified, number_to)
        if isinstance(found, Mismatch):
            batch.refused(by_elements=found.by_elements)
            if found.unverified and batch.taking:
                _miss_unproven(batch, found.reason, attempt(event, base, body, None, number_to))
            if not over:
                result.refuse(event, found)
        else:
            result.add(index, event, found, compared)
        if result.ended:
            break
    if result.matched and section.iterates:
        fresh = {**base, BATCH: Batch()}
        _note_left(result, events, lambda event: attempt(event, fresh, body, verified, number_to))
    result.problem = body.problem
    return result


def _note_left(
    result: Matches,
    events: Sequence[WebhookEvent],
    again: Callable[[WebhookEvent], list[EventMatch] | Mismatch],
) -> None:
    """Notes what is said inside of what an event has taken whole, besides what this event says."""
    owners: dict[Key | None, list[tuple[str, Event]]] = {}
    for index, item in result.matched:
        if not events[index].continues:
            taken = owners.setdefault(next(iter(item.frame.get(ELEMENTS, ())), None), [])
            if kind := _KINDS.get(events[index].type):
                taken.append((kind, item.event))
    for event in events if owners else ():
        kind = _KINDS.get(event.type)
        if kind is None or event.continues or not (event.nests or (event.iterates and None in owners)):
            continue
        found = again(event)
        for item in found if not isinstance(found, Mismatch) else ():
            keys = item.frame.get(ELEMENTS, ())
            taken = owners.get(keys[0], owners.get(None, [])) if keys else []
            if taken and all(other != kind or _adds(item.event, whole) for other, whole in taken):
                result.batch.leave(keys[-1], _LEFT)


def _adds(said: Event, taken: Event) -> bool:
    """Whether a text is not just another reading of one that is taken, but has words or files of its own."""
    if not isinstance(said, InboundMessage) or not isinstance(taken, InboundMessage):
        return False
    spend(1 + (len(taken.text) >> 10))
    same = bool(said.messageid) and said.messageid == taken.messageid
    repeats = said.sender == taken.sender and said.text in taken.text
    return not (same or repeats) or not set(said.urls) <= set(taken.urls)


def _miss_unproven(batch: Batch, reason: str, said: list[EventMatch] | Mismatch) -> None:
    """Notes what an event would have taken, had it been proven, beside what another event has taken."""
    if not isinstance(said, Mismatch):
        for item in said:
            for element in item.frame.get(ELEMENTS, ())[:1]:
                batch.miss(element, reason)
    batch.refused(by_elements=not isinstance(said, Mismatch))


def attempt(
    event: WebhookEvent,
    base: Frame,
    body: Body,
    verified: Verified | None,
    number_to: str = "",
) -> list[EventMatch] | Mismatch:
    """What one event of the template finds in a request."""
    frame = _opened(event, base, body, verified)
    if isinstance(frame, Mismatch):
        return frame
    frames = [frame]
    final = event.when is not None
    for source, shape in event.shapes:
        if reason := shape(frame[source], frames):
            return Mismatch(reason, final=final, by_elements=isinstance(reason, NoElementFits))
    proven = verified is None or verified.proves(event)
    found: list[EventMatch] = []
    refused: set[Key] = set()
    reason = ""
    for bound in frames:
        made = _made(event, bound, number_to, proven=proven)
        if isinstance(made, EventMatch):
            found.append(made)
            continue
        reason = made
        if keys := bound.get(ELEMENTS):
            element = keys[-1] if event.continues else keys[0]
            base[BATCH].miss(element, reason)
            refused.add(element)
    if refused and not event.continues:
        # An element is taken whole or not at all.
        found = [item for item in found if item.frame[ELEMENTS][0] not in refused]
    return found or Mismatch(reason, final=final, by_elements=bool(refused))


def _opened(event: WebhookEvent, base: Frame, body: Body, verified: Verified | None) -> Frame | Mismatch:
    """The variables with which an event's shapes begin, if all but these let it match."""
    request = body.request
    if event.paths is not None and request.path.strip("/") not in event.paths:
        return Mismatch(f"The path is {request.path!r}, not {' or '.join(map(repr, event.paths))}.")
    if request.method not in event.methods:
        return Mismatch(f"The method is {request.method}, not {' or '.join(event.methods)}.")
    if event.verify is not None and verified is not None and (why := verified.reason(event.verify, event)):
        return Mismatch(why, unverified=True)
    parsed, problem = body.read(event.content_type, event.charset)
    if problem:
        return Mismatch(problem)
    frame = {**base, "request": parsed, "event_key": event.event_key}
    if event.reads_query:
        try:
            frame["query"] = body.fields(event.charset)
        except ValueError as error:
            body.problem = body.problem or str(error)
            return Mismatch(str(error))
    if event.when is not None and not event.when(frame):
        return Mismatch("'when' does not hold.")
    return frame


def _made(event: WebhookEvent, bound: Frame, number_to: str, *, proven: bool) -> EventMatch | str:
    """The event that the variables make, else the reason why they make none.

    The files of one that is not `proven` to be from the provider are fetched without its credentials.
    """
    spend(20)
    names = [name for name in bound if name in BOUND]
    put_aliases(bound)
    for name, render in event.variables:
        put(bound, name, render(bound))
    made = MAKERS[event.type](event, bound, recipients_of(bound, number_to))
    if isinstance(made, str):
        return made
    if isinstance(made, InboundMessage) and made.media_auth and not proven:
        made = replace(made, media_auth=False)
    names += [name for name, _ in event.variables if name in BOUND and name not in names]
    return EventMatch(bound, made, names)
