"""The events in a provider's webhook request, by the template's Webhook section."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from integrations import bodies
from integrations.event_makers import MAKERS, put, put_aliases, recipients_of
from integrations.events import Event, HttpResponse, Ignored, InboundMessage, InboundRequest
from integrations.language.batch import Batch, Key, NoElementFits
from integrations.language.budget import TooMuchWork, budget, spend
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.language.matching import BATCH, COMPARED, ELEMENTS, Compared, Frame
from integrations.language.names import BOUND
from integrations.language.sections import MEDIA_TYPES
from integrations.language.values import ANY, Value, cleaned, text
from integrations.language.webhook_events import STATUS_TYPES, WebhookEvent
from integrations.language.webhook_responses import WebhookResponse
from integrations.received import Accepted, Hints, Probe, Received, Refused, hints_in
from integrations.webhook_body import MAX_BYTES, Body, Verified

# What reading a request may cost, in units of the language's budget.
MAX_WORK = 1_000_000

# Methods by which it is only asked whether somebody is there.
PROBES = ("HEAD", "OPTIONS")

# What is inside of the other kind is not another reading of it, but something else that is said.
_KINDS = {"message": "text", "mms": "text", **dict.fromkeys(STATUS_TYPES, "report")}
_LEFT = 'Another event has taken what this is in. With "continue": true, it leaves it to the next'

_Found = tuple[Frame, Event, list[str]]  # the variables, the event, and the names that its shapes bound


def read(
    template: Template,
    request: InboundRequest,
    properties: Mapping[str, Any],
    *,
    number_to: str = "",
    message_uuid: str = "",
    now: datetime | None = None,
) -> Received:
    """The events of a request. Any request gives a Received, never an exception.

    `number_to` is the recipient if the request names none; `message_uuid` is our id, for the response.
    Limits: 1 MiB, 64 levels, about a second of work.
    """
    try:
        with budget(MAX_WORK):
            return _read(template, request, properties, number_to, message_uuid, now)
    except (TooMuchWork, RecursionError):
        return _too_much(template)


def _read(
    template: Template,
    request: InboundRequest,
    properties: Mapping[str, Any],
    number_to: str,
    message_uuid: str,
    now: datetime | None,
) -> Received:
    if request.method in PROBES:
        return _probe(request)
    base = _base(request, properties)
    verified = Verified(request, base, now)
    found = _match(template, request, base, verified, number_to)
    section = template.section(polled=request.polled)
    if found.matched:
        (first, (bound, *_)), events = found.matched[0], tuple(item for _, (_, item, _) in found.matched)
        frames = [frame for _, (frame, *_) in found.matched]
        return Accepted(
            "ignored" if all(isinstance(item, Ignored) for item in events) else "accepted",
            _response(section.events[first].response, {**bound, "message_uuid": message_uuid}),
            tried=found.tried,
            events=events,
            event_index=first,
            bindings=tuple(
                (section.events[index].type, {name: bound.get(name) for name in names})
                for index, (bound, _, names) in found.matched
            ),
            unfit=tuple(found.unfit()),
            places=found.places,
            aside=_response(section.ignored, base),
            verified=all(verified.proves(section.events[index]) for index, _ in found.matched),
            cursor=_cursor(frames) if request.polled else "",
        )
    if _says_nothing(request) and not _match(template, request, _wild(template, request), None, "").matched:
        return _probe(request)
    if not found.unverified and section.verify is not None:
        found.unverified = verified.reason(section.verify) or ""
    if found.unverified:
        return Refused("unverified", HttpResponse(401), found.unverified, found.tried)
    response = section.ignored if verified.passed else section.error
    return _refused(found, _response(response, base), verified=verified.passed)


def _cursor(frames: Sequence[Frame]) -> str:
    """The cursor that was bound last, as it can be stored."""
    return next((text(cleaned(frame["cursor"])) for frame in reversed(frames) if "cursor" in frame), "")


def hints(template: Template, request: InboundRequest) -> Hints:
    """Whose request it may be: the properties match anything, and nothing is verified."""
    try:
        with budget(MAX_WORK):
            return _hints(template, request)
    except (TooMuchWork, RecursionError):
        return Hints(refused=_too_much(template))


def _too_much(template: Template) -> Refused:
    reason = "To read this request takes too much work: it is too large for this template."
    return Refused("unparsable", HttpResponse(template.webhook.error.status), reason)


def _hints(template: Template, request: InboundRequest) -> Hints:
    if request.method in PROBES:
        return Hints(refused=_probe(request))
    base, section = _wild(template, request), template.section(polled=request.polled)
    found = _match(template, request, base, None, "")
    if not found.matched and _says_nothing(request):
        return Hints(refused=_probe(request))
    if not found.matched:
        return Hints(refused=_refused(found, _response(section.error, base)))
    for label, claimed in section.claims:
        with suppress(ValueError):
            found.compared.setdefault(label, set()).add(text(cleaned(claimed(base))))
    return hints_in([item for _, (_, item, _) in found.matched], found.compared)


def _wild(template: Template, request: InboundRequest) -> Frame:
    return _base(request, {item.label: ANY for item in template.properties})


def _says_nothing(request: InboundRequest) -> bool:
    return not request.query and not request.body


def _probe(request: InboundRequest) -> Probe:
    what = f"{request.method} request" if request.method in PROBES else "request with neither query nor body"
    return Probe("ignored", HttpResponse(200), f"A {what} has no event.")


def put_aside(template: Template, request: InboundRequest) -> HttpResponse:
    """The response to a request of which it is not known whose it is."""
    return _response(template.section(polled=request.polled).ignored, _base(request, {}))


def _base(request: InboundRequest, properties: Mapping[str, Any]) -> Frame:
    return {
        **cleaned(properties),
        "query": bodies.pairs(request.query),
        "headers": cleaned(request.headers),
        "body": cleaned(request.body[:MAX_BYTES].decode("utf-8", "replace")),
        "method": request.method,
    }


@dataclass
class _Match:
    """The events that match, each with its place among the template's; else why none does."""

    batch: Batch
    documents: Callable[[], list[Value]]
    matched: list[tuple[int, _Found]] = field(default_factory=list)
    elements: list[Key | None] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    compared: Compared = field(default_factory=dict)
    unverified: str = ""
    problem: str = ""

    @property
    def tried(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.refusals)

    def unfit(self) -> list[tuple[str, str]]:
        """The elements of lists that fit no event, or that an event has taken without reading them."""
        if not self.batch.misses:
            return []
        return self.batch.unfit(self.documents())

    def places(self) -> tuple[str, ...]:
        """Where in the request each event is."""
        return self.batch.places(self.documents(), self.elements)


def _match(
    template: Template, request: InboundRequest, base: Frame, verified: Verified | None, number_to: str
) -> _Match:
    body, batch = verified.body if verified is not None else Body(request, base["query"]), Batch()
    result = _Match(batch, body.documents)
    base = {**base, BATCH: batch}
    for index, event in enumerate(template.section(polled=request.polled).events):
        over = batch.taking and not batch.misses
        if over and not event.iterates and event.type == "ignore":
            continue
        compared: Compared = {}
        frame = base if verified is not None else {**base, COMPARED: compared}
        found = _try(event, request, frame, body, verified, number_to)
        if isinstance(found, _Refusal):
            batch.refused(by_elements=found.by_elements)
            if found.unverified and batch.taking:
                _miss_unproven(batch, found.reason, _try(event, request, frame, body, None, number_to))
            if over:
                continue
            result.refusals.append((event.pointer, found.reason))
            if found.unverified and not result.matched:
                result.unverified = found.reason
            if found.final or found.unverified:
                break
            continue
        result.matched += [(index, item) for item in found]
        for label, values in compared.items():
            result.compared.setdefault(label, set()).update(map(cleaned, values))
        elements = [bound.get(ELEMENTS, ()) for bound, _, _ in found]
        result.elements += [keys[-1] if keys else None for keys in elements]
        if not elements[0] and not event.continues:
            # Without a list in its shapes, it takes the request whole, or all that earlier events have left.
            if not batch.taking or isinstance(found[0][1], Ignored):
                result.batch = Batch()
            break
        batch.take(elements, continues=event.continues)
    _note_left(
        result,
        template.section(polled=request.polled).events,
        partial(
            _try,
            request=request,
            base={**base, BATCH: Batch()},
            body=body,
            verified=verified,
            number_to=number_to,
        ),
    )
    result.problem = body.problem
    return result


def _note_left(
    result: _Match,
    events: Sequence[WebhookEvent],
    attempt: Callable[[WebhookEvent], list[_Found] | _Refusal],
) -> None:
    """Notes the texts inside of what a report has taken whole, and the reports inside of what a text has."""
    owners = {
        next(iter(bound.get(ELEMENTS, ())), None): _KINDS.get(events[index].type)
        for index, (bound, _, _) in result.matched
        if not events[index].continues
    }
    for event in events if owners else ():
        kind = _KINDS.get(event.type)
        if kind is None or event.continues or not (event.nests or (event.iterates and None in owners)):
            continue
        found = attempt(event)
        for bound, _, _ in found if isinstance(found, list) else ():
            keys = bound.get(ELEMENTS)
            if keys and owners.get(keys[0], owners.get(None)) not in (None, kind):
                result.batch.leave(keys[-1], _LEFT)


def _miss_unproven(batch: Batch, reason: str, said: list[_Found] | _Refusal) -> None:
    """Notes what an event would have taken, had it been proven, beside what another event has taken."""
    if isinstance(said, list):
        for bound, _, _ in said:
            for element in bound.get(ELEMENTS, ())[:1]:
                batch.miss(element, reason)
    batch.refused(by_elements=isinstance(said, list))


def _refused(found: _Match, answer: HttpResponse, *, verified: bool = False) -> Refused:
    if found.problem:
        return Refused("unparsable", answer, found.problem, found.tried, verified=verified)
    reason = "No event of the template matches the request."
    return Refused("unmatched", answer, reason, found.tried, verified=verified)


@dataclass(frozen=True)
class _Refusal:
    reason: str
    final: bool = False
    unverified: bool = False
    by_elements: bool = False


def _try(
    event: WebhookEvent,
    request: InboundRequest,
    base: Frame,
    body: Body,
    verified: Verified | None,
    number_to: str,
) -> list[_Found] | _Refusal:
    if event.paths is not None and request.path.strip("/") not in event.paths:
        return _Refusal(f"The path is {request.path!r}, not {' or '.join(map(repr, event.paths))}.")
    if request.method not in event.methods:
        return _Refusal(f"The method is {request.method}, not {' or '.join(event.methods)}.")
    if event.verify is not None and verified is not None and (why := verified.reason(event.verify, event)):
        return _Refusal(why, unverified=True)
    parsed, problem = body.read(event.content_type, event.charset)
    if problem:
        return _Refusal(problem)
    frame = {**base, "request": parsed, "event_key": event.event_key}
    if event.reads_query:
        try:
            frame["query"] = body.fields(event.charset)
        except ValueError as error:
            body.problem = body.problem or str(error)
            return _Refusal(str(error))
    if event.when is not None and not event.when(frame):
        return _Refusal("'when' does not hold.")
    frames = [frame]
    chosen = event.when is not None
    for source, shape in event.shapes:
        if reason := shape(frame[source], frames):
            return _Refusal(reason, final=chosen, by_elements=isinstance(reason, NoElementFits))
    batch: Batch = base[BATCH]
    found: list[_Found] = []
    refused: set[Key] = set()
    for bound in frames:
        spend(20)
        names = [name for name in bound if name in BOUND]
        put_aliases(bound)
        for name, render in event.variables:
            put(bound, name, render(bound))
        made = MAKERS[event.type](event, bound, recipients_of(bound, number_to))
        if isinstance(made, InboundMessage) and made.media_auth and verified and not verified.proves(event):
            made = replace(made, media_auth=False)
        if not isinstance(made, str):
            names += [name for name, _ in event.variables if name in BOUND and name not in names]
            found.append((bound, made, names))
            continue
        reason = made
        if keys := bound.get(ELEMENTS):
            element = keys[-1] if event.continues else keys[0]
            batch.miss(element, made)
            refused.add(element)
    if refused and not event.continues:
        # An element is taken whole or not at all.
        found = [item for item in found if item[0][ELEMENTS][0] not in refused]
    return found or _Refusal(reason, final=chosen, by_elements=bool(refused))


def _response(response: WebhookResponse, values: Frame) -> HttpResponse:
    headers = {}
    for name, render in response.headers:
        line = text(render(values))
        if line and all(" " <= character <= "\xff" and character != "\x7f" for character in line):
            headers[name.casefold()] = line
    body = response.body(values) if response.body is not None else None
    if body is None:
        return HttpResponse(response.status, headers)
    short = "json" if isinstance(body, dict | list) else "text"
    try:
        content, kind = bodies.render(body, response.content_type or MEDIA_TYPES[short], "")
    except RenderError:
        # The provider's values do not fit into the response; the event is still valid.
        return HttpResponse(response.status, headers)
    return HttpResponse(response.status, {"content-type": kind, **headers}, content)
