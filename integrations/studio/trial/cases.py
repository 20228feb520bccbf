"""Cases for what no case of a template shows, invented from the shapes of its document.

What is invented is tried: only what the template itself understands is kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from integrations import bodies, case_http
from integrations.case_events import shown_events
from integrations.case_exchanges import exchanges
from integrations.case_schema import OAUTH2, check_case
from integrations.events import Event, Ignored, InboundMessage
from integrations.language.api_methods import LOGIN, RECEIVE_MESSAGES, SEND_FILE, SEND_GROUP, SEND_MESSAGE
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.language.placeholders import Placeholder, parse
from integrations.language.values import Number, Value, text
from integrations.polled import as_request
from integrations.properties import ACCESS_TOKEN
from integrations.sandbox.catalog_entry import CatalogEntry, HostedEntry
from integrations.sandbox.signing import sign
from integrations.sandbox.substitution import number_spellings
from integrations.studio.invented.messages import CONTACT, FILE, MESSAGE, NAME, OURS, PICTURE, TEXT
from integrations.studio.invented.shapes import address, filled, hold, signature_place
from integrations.studio.invented.values import TOKEN, invented_value
from integrations.webhooks import read

Case = Mapping[str, Value]

_MOST_ANSWERS = 5
# How providers write dates: the language reads one of these, if it reads any.
_DATES = ("2026-01-01T00:00:00Z", "1767225600", "2026-01-01 00:00:00", "1767225600000")
_ID, _UUID = "id-1000000001", "00000000-0000-4000-8000-000000000001"


def entry_of(template: Template, cases: Sequence[Case]) -> CatalogEntry:
    """The template as an entry that the sandbox plays: its cases, and invented ones for what they lack."""
    cases = sorted(
        (case for case in cases if _is_usable(template, case)),
        key=lambda case: (case.get("outcome") or {}).get("result") != "sent",
    )
    values = _values(template, cases)
    plain: Case = {"kind": "send", "properties": values, "message": MESSAGE}
    hosted = HostedEntry(CatalogEntry(template.document, template, (*cases, plain), b""), "")
    made = [*_sends(template, cases, hosted.values), *_receives(hosted, cases)]
    return CatalogEntry(template.document, template, (*cases, *made, plain), b"")


def _is_usable(template: Template, case: Case) -> bool:
    """Whether a case can be read by the document as it is now."""
    if not isinstance(case, Mapping) or not isinstance(case.get("properties", {}), Mapping):
        return False
    method = text(case.get("method")) or SEND_MESSAGE.name
    known = case.get("kind") == "receive" or method in (*template.methods, OAUTH2)
    polled = case.get("kind") == "receive" and "method" in case
    if not known or (polled and method not in template.methods) or check_case(template, case):
        return False
    try:
        case_http.inbound(case.get("request") or {})
        for answer in case.get("responses") or []:
            case_http.response(answer)
    except (RenderError, ValueError, TypeError, AttributeError):
        return False
    return True


def _values(template: Template, cases: Sequence[Case]) -> dict[str, Value]:
    """A value for each required property: that of a case, its default, or an invented one."""
    shown: dict[str, Value] = {}
    for case in cases:
        shown = {**(case.get("properties") or {}), **shown}
    return {
        item.label: shown.get(item.label, invented_value(item))
        for item in template.properties
        if item.required or item.label in shown
    }


# --- What is sent ------------------------------------------------------------------------------------------


def _sends(template: Template, cases: Sequence[Case], values: Mapping[str, Any]) -> Iterator[Case]:
    """A case for each method that sends, and whose answer no case shows."""
    known = _answered(template, cases)
    wanted = {
        SEND_MESSAGE.name: MESSAGE,
        SEND_FILE.name: {**MESSAGE, "media": [PICTURE]},
        SEND_GROUP.name: {**MESSAGE, "to": [MESSAGE["to"]]},
        LOGIN.name: {},
    }
    for method, message in wanted.items():
        if method not in template.methods or method in known:
            continue
        case: dict[str, Any] = {"kind": "send", "properties": {**values}, "message": message, "responses": []}
        if template.grant is not None and method != LOGIN.name:
            case["properties"][ACCESS_TOKEN] = TOKEN
        if method == LOGIN.name:
            case["method"] = method
        if _answer(template, case):
            yield case


def _answered(template: Template, cases: Sequence[Case]) -> set[str]:
    """The methods of which some case shows an answer that means success."""
    found = set()
    for case in cases:
        if case.get("kind") == "send" and case.get("responses"):
            with suppress(RenderError, KeyError, ValueError):
                for part, _answer, outcome in exchanges(template, case):
                    if outcome is not None and outcome.result == "sent":
                        found.add(part.method)
    return found


def _answer(template: Template, case: dict[str, Any]) -> bool:
    """Gives the case the answers that its requests need; returns whether these mean success."""
    for _ in range(_MOST_ANSWERS):
        try:
            done = list(exchanges(template, case))
        except RenderError:
            return False
        asked = next((part for part, answer, _outcome in done if answer is None), None)
        if asked is None:
            return all(outcome is not None and outcome.result == "sent" for _, _, outcome in done)
        case["responses"] = [*case["responses"], _response(template, asked.method)]
    return False


def _response(template: Template, name: str) -> dict[str, Any]:
    document = template.document["API"][name]
    known = {item: TOKEN if item == ACCESS_TOKEN else _ID for item in _names(document)}
    known |= {"expires_in": "3600", "expires_at": "2100-01-01T00:00:00Z", "messageid": _ID}
    body = filled(document.get("response_map", {}), known)
    made: dict[str, Any] = {"status": Number("200")}
    if headers := filled(document.get("response_headers", {}), known):
        made["headers"] = {key: text(value) for key, value in headers.items()}
    found = {"response": body, **made}
    hold(document.get("response_success"), found)
    return {
        "status": found["status"],
        **_headers(found),
        **_body(text(document.get("response_format")), found["response"]),
    }


def _headers(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"headers": found["headers"]} if found.get("headers") else {}


def _names(document: Mapping[str, Any]) -> Iterator[str]:
    shapes = [document.get("response_map"), document.get("response_headers")]
    while shapes:
        shape = shapes.pop()
        if isinstance(shape, Mapping):
            shapes += shape.values()
        elif isinstance(shape, list):
            shapes += shape
        elif isinstance(shape, str):
            yield from (part.root for part in parse(shape) if isinstance(part, Placeholder))


def _body(form: str, value: Any) -> dict[str, Any]:
    kind = bodies.essence(form)
    if kind == "text" or (isinstance(value, str) and kind != "json"):
        return {"text": text(value)}
    if kind.endswith("xml"):
        return {"xml": value}
    return {"form": value} if kind in ("form", "application/x-www-form-urlencoded") else {"json": value}


# --- What is received --------------------------------------------------------------------------------------


def _receives(hosted: HostedEntry, cases: Sequence[Case]) -> Iterator[Case]:
    """A case for each event that has an effect, and that no case shows."""
    template = hosted.entry.template
    shown = set()
    for case in cases:
        events = (case.get("expect") or {}).get("events") if isinstance(case.get("expect"), Mapping) else None
        shown |= {event.get("type") for event in events or ()}
        shown |= {"status" if event.get("status") else "" for event in events or ()}
    for polled in (False, True):
        section = template.section(polled=polled)
        for index, event in enumerate(section.events):
            covers = shown & ({"message"} if event.type == "message" else {event.type})
            if event.type == "ignore" or (covers and event.type != "messageStatus"):
                continue
            written = _written(template, index, polled=polled)
            words = _words(written, event.type)
            for word in words:
                if event.type == "messageStatus" and shown & {word}:
                    continue
                if (made := _received(hosted, index, written, word, polled=polled)) is not None:
                    yield made


def _written(template: Template, index: int, *, polled: bool) -> Mapping[str, Any]:
    """The event as it is written, with the defaults of its section."""
    holder = template.document["API"][RECEIVE_MESSAGES.name] if polled else template.document["Webhook"]
    events = holder.get("events", holder) if isinstance(holder, Mapping) else holder
    events = events if isinstance(events, list) else [events]
    shared = holder if isinstance(holder, Mapping) and "events" in holder else {}
    return {**shared, **events[index]}


def _words(written: Mapping[str, Any], kind: str) -> list[str]:
    """The provider's words for the statuses: one for delivered and one for failed."""
    table = written.get("status_map")
    if kind != "messageStatus" or not isinstance(table, Mapping):
        return ["DELIVERED"]
    first: dict[str, str] = {}
    for word, status in table.items():
        first.setdefault(text(status), word)
    return [first[status] for status in ("delivered", "failed", "sent") if status in first][:2] or ["x"]


def _received(
    hosted: HostedEntry, index: int, written: Mapping[str, Any], word: str, *, polled: bool
) -> Case | None:
    template, values = hosted.entry.template, hosted.values
    spellings = [number_spellings(number) for number in (CONTACT, OURS)]
    fallback: Case | None = None
    others: list[dict[str, Value]] = [{}, {"_": TEXT}]  # the text may have a name of the author's own
    ways = itertools.product(others, zip(*spellings, strict=True), _DATES, (FILE, [FILE]))
    for other, (contact, ours), date, urls in ways:
        known = {**values, "event_key": written.get("event_key"), "from": contact, "to": ours, "date": date}
        known |= {"text": TEXT, "content": TEXT, "url": FILE, "urls": urls, "status": word}
        known |= {"messageid": _ID, "message_uuid": _UUID, "sendername": NAME} | other
        with suppress(RenderError, ValueError, TypeError, KeyError, AttributeError):
            case = _case(hosted, index, written, known, polled=polled)
            request = (
                as_request(template.methods[RECEIVE_MESSAGES.name], case_http.response(case["responses"][0]))
                if polled
                else case_http.inbound(case["request"], text(case.get("webhook_url")))
            )
            found = read(template, request, values)
            if found.event_index == index and not isinstance(found.events[0], Ignored):
                case["expect"] = {"events": shown_events(found)}
                if _is_whole(found.events[0]):
                    return case
                fallback = fallback or case
    return fallback


def _is_whole(event: Event) -> bool:
    """Whether an event has all that it can have."""
    return not isinstance(event, InboundMessage) or event.text == TEXT or bool(event.urls)


def _case(
    hosted: HostedEntry, index: int, written: Mapping[str, Any], known: Mapping[str, Any], *, polled: bool
) -> dict[str, Any]:
    methods = written.get("request_method", "POST")
    method = methods if isinstance(methods, str) else "POST" if "POST" in methods else text(methods[0])
    found: dict[str, Any] = {
        "request": filled(written.get("request_parameters", {}), known),
        "query": filled(written.get("request_query", {}), known),
        "headers": filled(written.get("request_headers", {}), known),
    }
    hold(written.get("when"), found, known)
    form = text(written.get("request_content_type"))
    schemes = [] if polled else hosted.verify_of(index)
    for scheme in schemes:
        if scheme.get("type") == "field":
            found["request"][text(scheme["name"])] = filled(scheme["value"], known)
        if scheme.get("type") == "url-and-form-hmac":
            form = form or "form"
        found["headers"] |= signature_place(scheme)
    common: dict[str, Any] = {"kind": "receive", "properties": dict(hosted.values)}
    body = _body(form, found["request"]) if found["request"] else {}
    if polled:
        return {**common, "method": RECEIVE_MESSAGES.name, "responses": [body]}
    if method == "GET":
        found["query"], body = {**found["query"], **found["request"]}, {}
    paths = written.get("path", "")
    request = {
        "method": method,
        "path": text(paths if isinstance(paths, str) else paths[0]),
        "query": found["query"],
        "headers": {name: text(value) for name, value in found["headers"].items()},
        "ip": address(schemes),
        **body,
    }
    case = {**common, "webhook_url": "https://portal.example/services/x/a1", "request": request}
    made = case_http.inbound(request, case["webhook_url"])
    signed = sign(schemes, made, made, hosted.values, hosted.signing_keys)
    return {**case, "request": {**request, "headers": dict(signed.headers), "query": signed.query}}
