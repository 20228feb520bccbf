"""The events in a provider's webhook request, by the template's Webhook section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from integrations import bodies
from integrations.events import HttpResponse, Ignored, InboundRequest
from integrations.language.batch import Batch
from integrations.language.budget import TooMuchWork, budget
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.language.frames import BATCH, COMPARED, OWNED, Compared, Frame
from integrations.language.sections import MEDIA_TYPES
from integrations.language.values import ANY, cleaned, text
from integrations.language.webhook_responses import WebhookResponse
from integrations.received import Accepted, Hints, Probe, Received, Refused, hints_in
from integrations.webhook_body import MAX_BYTES, Body, Verified
from integrations.webhook_matching import Matches, Mismatch, attempt, match

# What reading a request may cost, in units of the language's budget.
MAX_WORK = 1_000_000

# Methods by which it is only asked whether somebody is there.
PROBES = ("HEAD", "OPTIONS")


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
    found = match(template, request, base, verified, number_to)
    section = template.section(polled=request.polled)
    if found.matched:
        return _accepted(template, request, base, verified, found, message_uuid)
    if _says_nothing(request) and not match(template, request, _wild(template, request), None).matched:
        return _probe(request)
    if not found.unverified and section.verify is not None:
        found.unverified = verified.reason(section.verify) or ""
    if found.unverified:
        return Refused("unverified", HttpResponse(401), found.unverified, found.tried)
    response = section.ignored if verified.passed else section.error
    return _refused(found, _response(response, base), verified=verified.passed)


def _accepted(
    template: Template,
    request: InboundRequest,
    base: Frame,
    verified: Verified | None,
    found: Matches,
    message_uuid: str,
) -> Accepted:
    section = template.section(polled=request.polled)
    first, events = found.matched[0][0], tuple(item.event for _, item in found.matched)
    frames = [item.frame for _, item in found.matched]
    return Accepted(
        "ignored" if all(isinstance(item, Ignored) for item in events) else "accepted",
        _response(section.events[first].response, {**frames[0], "message_uuid": message_uuid}),
        tried=found.tried,
        events=events,
        event_index=first,
        bindings=tuple(
            (section.events[index].type, {name: item.frame.get(name) for name in item.names})
            for index, item in found.matched
        ),
        unfit=tuple(found.unfit()),
        places=found.places,
        aside=_response(section.ignored, base),
        verified=verified is not None
        and all(verified.proves(section.events[index]) for index, _ in found.matched),
        cursor=_cursor(frames) if request.polled else "",
    )


def _cursor(frames: Sequence[Frame]) -> str:
    """The cursor that was bound last, as it can be stored."""
    return next((text(cleaned(frame["cursor"])) for frame in reversed(frames) if "cursor" in frame), "")


def unproven(template: Template, request: InboundRequest, *, work: int = MAX_WORK) -> Received:
    """What a request says if it is believed: properties match anything, and nothing is verified.

    Any request gives a Received, never an exception. `work` is what reading it may cost, in units of the
    language's budget.
    """
    try:
        with budget(work):
            return _unproven(template, request)
    except (TooMuchWork, RecursionError):
        return _too_much(template)


def _unproven(template: Template, request: InboundRequest) -> Received:
    if request.method in PROBES:
        return _probe(request)
    base = _wild(template, request)
    found = match(template, request, base, None)
    if found.matched:
        return _accepted(template, request, base, None, found, "")
    if _says_nothing(request):
        return _probe(request)
    return _refused(found, HttpResponse(200))


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
    found = match(template, request, base, None)
    if not found.matched and _says_nothing(request):
        return Hints(refused=_probe(request))
    if not found.matched:
        return Hints(refused=_refused(found, _response(section.error, base)))
    for label, claimed in section.claims:
        with suppress(ValueError):
            found.compared.setdefault(label, set()).add(text(cleaned(claimed(base))))
    return hints_in([item.event for _, item in found.matched], found.compared)


def owner_values(template: Template, request: InboundRequest) -> Compared:
    """By property, the values of which an integration must have one for an event to match; else nothing.

    There is nothing if some event may match for whoever's key verifies the request, or for anybody.
    """
    try:
        with budget(MAX_WORK):
            return _owner_values(template, request)
    except (TooMuchWork, RecursionError):
        return {}


def _owner_values(template: Template, request: InboundRequest) -> Compared:
    section = template.section(polled=request.polled)
    if not section.verified or not section.compared:
        return {}
    base, matches = _wild(template, request), False
    body, compared = Body(request, base["query"]), Compared()
    for event in section.events:
        # By itself: of those that match for any properties, only some do for those of one integration.
        found = attempt(event, {**base, BATCH: Batch(), COMPARED: compared}, body, None)
        if isinstance(found, Mismatch):
            continue
        if not all(OWNED in item.frame for item in found):
            return {}
        matches = True
    return compared if matches else {}


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


def _refused(found: Matches, answer: HttpResponse, *, verified: bool = False) -> Refused:
    if found.problem:
        return Refused("unparsable", answer, found.problem, found.tried, verified=verified)
    reason = "No event of the template matches the request."
    return Refused("unmatched", answer, reason, found.tried, verified=verified)


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
