"""The events in a provider's webhook request, by the template's Webhook section."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from integrations import bodies
from integrations.event_makers import MAKERS, put, put_aliases, recipients_of
from integrations.events import Event, HttpResponse, Ignored, InboundRequest
from integrations.language.budget import TooMuchWork, budget, spend
from integrations.language.data_filters import iso_text
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.language.matching import COMPARED, Compared, Frame
from integrations.language.names import BOUND
from integrations.language.sections import MEDIA_TYPES
from integrations.language.signatures import Verify
from integrations.language.values import ANY, Value, cleaned, text
from integrations.language.webhook_events import WebhookEvent
from integrations.language.webhook_responses import WebhookResponse
from integrations.received import Accepted, Hints, Received, Refused, hints_in

MAX_BYTES = 1024 * 1024
# What reading a request may cost, in units of the language's budget.
MAX_WORK = 1_000_000


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
    if request.method == "HEAD":
        return Accepted("ignored", HttpResponse(200), "A HEAD request has no event.")
    base = _base(request, properties)
    verified = _Verified(request, base, now)
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
            aside=_response(section.ignored, base),
            cursor=next((text(frame["cursor"]) for frame in reversed(frames) if "cursor" in frame), "")
            if request.polled
            else "",
        )
    if not found.unverified and section.verify is not None:
        found.unverified = verified.reason(section.verify)
    if found.unverified:
        return Refused("unverified", HttpResponse(401), found.unverified, found.tried)
    response = section.ignored if verified.passed else section.error
    return _refused(found, _response(response, base), verified=verified.passed)


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
    if request.method == "HEAD":
        return Hints()
    base = _base(request, {item.label: ANY for item in template.properties})
    found, section = _match(template, request, base, None, ""), template.section(polled=request.polled)
    if not found.matched:
        return Hints(refused=_refused(found, _response(section.error, base)))
    for label, claimed in section.claims:
        with suppress(ValueError):
            found.compared.setdefault(label, set()).add(text(claimed(base)))
    return hints_in([item for _, (_, item, _) in found.matched], found.compared)


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

    matched: list[tuple[int, _Found]] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    compared: Compared = field(default_factory=dict)
    unverified: str = ""
    problem: str = ""

    @property
    def tried(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.refusals)


def _match(
    template: Template, request: InboundRequest, base: Frame, verified: _Verified | None, number_to: str
) -> _Match:
    body = _Body(request, base["query"])
    result = _Match()
    for index, event in enumerate(template.section(polled=request.polled).events):
        compared: Compared = {}
        frame = base if verified is not None else {**base, COMPARED: compared}
        found = _try(event, request, frame, body, verified, number_to)
        if isinstance(found, _Refusal):
            result.refusals.append((event.pointer, found.reason))
            if found.unverified and not result.matched:
                result.unverified = found.reason
            if found.final or found.unverified:
                break
            continue
        result.matched += [(index, item) for item in found]
        for label, values in compared.items():
            result.compared.setdefault(label, set()).update(values)
        if not event.continues:
            break
    result.problem = body.problem
    return result


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


class _Verified:
    """The request as `verify` reads it; each check runs once."""

    def __init__(self, request: InboundRequest, base: Frame, now: datetime | None) -> None:
        known = {
            "body": request.body,
            "url": request.url,
            "ip": request.ip,
            "now": iso_text(now or datetime.now(UTC)),
        }
        self._values = {**base, **known}
        self._reasons: dict[Verify, str] = {}

    @property
    def passed(self) -> bool:
        """Whether a check has found the request to be from the provider."""
        return "" in self._reasons.values()

    def reason(self, verify: Verify) -> str:
        """Why the request is not from the provider, or ""."""
        if verify not in self._reasons:
            self._reasons[verify] = verify(self._values)
        return self._reasons[verify]


class _Body:
    """The body, parsed at most once for each content type and character set that the events name."""

    def __init__(self, request: InboundRequest, query: dict[str, Value]) -> None:
        self.request = request
        self.query = query
        self.problem = ""
        self._parsed: dict[tuple[str, str], tuple[Value, str]] = {}

    def read(self, content_type: str, charset: str) -> tuple[Value, str]:
        """The value, with query and form merged as for the method, and the reason if there is none."""
        key = content_type, charset
        if key not in self._parsed:
            try:
                self._parsed[key] = self._parse(content_type, charset), ""
            except ValueError as error:
                self._parsed[key] = None, str(error)
                self.problem = self.problem or str(error)
        return self._parsed[key]

    def _parse(self, content_type: str, charset: str) -> Value:
        request = self.request
        if len(request.body) > MAX_BYTES:
            raise ValueError("The body is larger than 1 MiB.")
        spend(len(request.body) >> 3)
        # For GET, the query serves as the body.
        query = bodies.pairs(request.query, charset) if charset else self.query
        if request.method == "GET" and not request.body.strip():
            return query
        declared = request.headers.get("content-type", "")
        # Only the header has the boundary of a multipart body.
        same = bodies.essence(content_type) == bodies.essence(declared)
        kind = declared if same or not content_type else content_type
        value = bodies.parse(request.body, kind, charset, strict=bool(content_type))
        merged = bodies.is_form(kind) or (request.method == "GET" and isinstance(value, dict))
        return {**query, **value} if merged else value


def _try(
    event: WebhookEvent,
    request: InboundRequest,
    base: Frame,
    body: _Body,
    verified: _Verified | None,
    number_to: str,
) -> list[_Found] | _Refusal:
    if event.paths is not None and request.path.strip("/") not in event.paths:
        return _Refusal(f"The path is {request.path!r}, not {' or '.join(map(repr, event.paths))}.")
    if request.method not in event.methods:
        return _Refusal(f"The method is {request.method}, not {' or '.join(event.methods)}.")
    if event.verify is not None and verified is not None and (reason := verified.reason(event.verify)):
        return _Refusal(reason, unverified=True)
    parsed, problem = body.read(event.content_type, event.charset)
    if problem:
        return _Refusal(problem)
    frame = {**base, "request": parsed, "event_key": event.event_key}
    if event.when is not None and not event.when(frame):
        return _Refusal("'when' does not hold.")
    frames = [frame]
    for source, shape in event.shapes:
        if reason := shape(frame[source], frames):
            return _Refusal(reason, final=event.when is not None)
    found: list[_Found] = []
    for bound in frames:
        spend(20)
        names = [name for name in bound if name in BOUND]
        put_aliases(bound)
        for name, render in event.variables:
            put(bound, name, render(bound))
        made = MAKERS[event.type](event, bound, recipients_of(bound, number_to))
        if not isinstance(made, str):
            names += [name for name, _ in event.variables if name in BOUND and name not in names]
            found.append((bound, made, names))
        elif not event.continues:
            return _Refusal(made, final=event.when is not None)
        else:
            reason = made
    return found or _Refusal(reason, final=event.when is not None)


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
