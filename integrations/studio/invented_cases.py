"""Cases for what no case of a template shows, invented from the shapes of its document.

What is invented is tried: only what the template itself understands is kept.
"""

from __future__ import annotations

import base64
import ipaddress
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from integrations import bodies, case_http
from integrations.case_exchanges import exchanges
from integrations.case_events import shown_events
from integrations.events import HttpResponse, Ignored, Outcome
from integrations.language.api_methods import LOGIN, RECEIVE_MESSAGES, SEND_FILE, SEND_MESSAGE
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.language.placeholders import Placeholder, only, parse
from integrations.language.properties import Property
from integrations.language.shapes import optional_key
from integrations.language.values import Number, Value, text
from integrations.polled import as_request
from integrations.sandbox.catalog_entry import CatalogEntry, HostedEntry
from integrations.sandbox.signing import sign
from integrations.sandbox.substitution import number_spellings
from integrations.studio.invented import CONTACT, FILE, OURS, TEXT
from integrations.webhooks import read

Case = Mapping[str, Value]

MESSAGE: dict[str, Any] = {"from": OURS, "to": CONTACT, "text": TEXT}
_MOST_ANSWERS = 5
# How providers write dates: the language reads one of these, if it reads any.
_DATES = ("2026-01-01T00:00:00Z", "1767225600", "2026-01-01 00:00:00", "1767225600000")
_ID, _UUID = "id-1000000001", "00000000-0000-4000-8000-000000000001"
_WHOLE = ("from", "to", "text", "content", "url", "urls", "messageid", "message_uuid", "status")


def entry_of(template: Template, cases: Sequence[Case]) -> CatalogEntry:
    """The template as an entry that the sandbox can play: with its cases, and invented ones where some lack."""
    cases = sorted(
        (case for case in cases if isinstance(case, Mapping)),
        key=lambda case: (case.get("outcome") or {}).get("result") != "sent",
    )
    values = _values(template, cases)
    plain: Case = {"kind": "send", "properties": values, "message": MESSAGE}
    hosted = HostedEntry(CatalogEntry(template.document, template, (*cases, plain), b""), "")
    made = [*_sends(template, cases, hosted.values), *_receives(hosted, cases)]
    return CatalogEntry(template.document, template, (*cases, *made, plain), b"")


def _values(template: Template, cases: Sequence[Case]) -> dict[str, Value]:
    """A value for each required property: that of a case, its default, or an invented one."""
    shown: dict[str, Value] = {}
    for case in cases:
        shown = {**(case.get("properties") or {}), **shown}
    return {
        item.label: shown.get(item.label, _value(item))
        for item in template.properties
        if item.required or item.label in shown
    }


def _value(item: Property) -> Any:
    if item.default is not None:
        return item.default
    made: dict[str, Any] = {
        "url": "https://api.provider.example",
        "boolean": True,
        "number": Number("1"),
        "choice": next(iter(item.choices), ""),
        "list": ["value-1"],
    }
    return made.get(item.type, "value-1" if not item.secret else base64.b64encode(b"invented-value-1").decode())


# --- What is sent ------------------------------------------------------------------------------------------


def _sends(template: Template, cases: Sequence[Case], values: Mapping[str, Any]) -> Iterator[Case]:
    """A case for each method that sends, and whose answer no case shows."""
    known = _answered(template, cases)
    file = {"url": FILE, "content_type": "image/png", "filename": "a.png", "base64": "iVBORw0KGgo="}
    wanted = {SEND_MESSAGE.name: MESSAGE, SEND_FILE.name: {**MESSAGE, "media": [file]}, LOGIN.name: {}}
    for method, message in wanted.items():
        if method not in template.methods or method in known:
            continue
        case: dict[str, Any] = {"kind": "send", "properties": {**values}, "message": message, "responses": []}
        if template.grant is not None and method != LOGIN.name:
            case["properties"]["access_token"] = "token-1"
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
    known = {item: "token-1" if item == "access_token" else _ID for item in _names(document)}
    known |= {"expires_in": "3600", "expires_at": "2100-01-01T00:00:00Z", "messageid": _ID}
    body = _filled(document.get("response_map", {}), known)
    made: dict[str, Any] = {"status": Number("200")}
    if headers := _filled(document.get("response_headers", {}), known):
        made["headers"] = {key: text(value) for key, value in headers.items()}
    found = {"response": body, **made}
    _hold(document.get("response_success"), found)
    return {"status": found["status"], **_headers(found), **_body(text(document.get("response_format")), found["response"])}


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
                if (case := _received(hosted, index, written, word, polled=polled)) is not None:
                    yield case


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
    ways = itertools.product(zip(*spellings, strict=True), _DATES, (FILE, [FILE]))
    for (contact, ours), date, urls in ways:
        known = {**values, "event_key": written.get("event_key"), "from": contact, "to": ours, "date": date}
        known |= {"text": TEXT, "content": TEXT, "url": FILE, "urls": urls, "status": word}
        known |= {"messageid": _ID, "message_uuid": _UUID, "sendername": "Ann"}
        with suppress(RenderError, ValueError, TypeError, KeyError, AttributeError):
            case = _case(hosted, index, written, known, polled=polled)
            request = (
                as_request(template.methods[RECEIVE_MESSAGES.name], case_http.response(case["responses"][0]))
                if polled
                else case_http.inbound(case["request"], text(case.get("webhook_url")))
            )
            found = read(template, request, values)
            if found.event_index == index and not isinstance(found.events[0], Ignored):
                return {**case, "expect": {"events": shown_events(found)}}
    return None


def _case(
    hosted: HostedEntry, index: int, written: Mapping[str, Any], known: Mapping[str, Any], *, polled: bool
) -> dict[str, Any]:
    methods = written.get("request_method", "POST")
    method = methods if isinstance(methods, str) else "POST" if "POST" in methods else text(methods[0])
    found: dict[str, Any] = {
        "request": _filled(written.get("request_parameters", {}), known),
        "query": _filled(written.get("request_query", {}), known),
        "headers": _filled(written.get("request_headers", {}), known),
    }
    _hold(written.get("when"), found, known)
    form = text(written.get("request_content_type"))
    schemes = [] if polled else hosted.verify_of(index)
    for scheme in schemes:
        if scheme.get("type") == "field":
            found["request"][text(scheme["name"])] = _filled(scheme["value"], known)
        if scheme.get("type") == "url-and-form-hmac":
            form = form or "form"
        found["headers"] |= _places(scheme)
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
        "ip": _address(schemes),
        **body,
    }
    case = {**common, "webhook_url": "https://portal.example/services/x/a1", "request": request}
    made = case_http.inbound(request, case["webhook_url"])
    signed = sign(schemes, made, made, hosted.values, hosted.signing_keys)
    return {**case, "request": {**request, "headers": dict(signed.headers), "query": signed.query}}


def _places(scheme: Mapping[str, Any]) -> dict[str, str]:
    """The header in which a signature is, with what the signature then takes the place of."""
    if scheme.get("type") == "jwt":
        found = "$headers.Authorization$" if "token" not in scheme else text(scheme["token"])
        seed = "Bearer seed00.e30.seed00" if "token" not in scheme else "seed00.e30.seed00"
    else:
        source = scheme.get("signature", "")
        source = source["$first"][0] if isinstance(source, Mapping) and source.get("$first") else source
        found, seed = text(source), "seed-of-a-signature"
    place = only(found)
    if place is None or place.root != "headers" or len(place.steps) != 2:
        return {}
    return {text(place.steps[1]): seed}


def _address(schemes: Sequence[Mapping[str, Any]]) -> str:
    """An address from which a request may come."""
    for scheme in schemes:
        ranges = scheme.get("ranges")
        if scheme.get("type") == "ip" and isinstance(ranges, list) and ranges:
            with suppress(ValueError):
                return str(ipaddress.ip_network(text(ranges[0]), strict=False)[0])
    return "192.0.2.1"


# --- Shapes ------------------------------------------------------------------------------------------------


def _filled(shape: Any, known: Mapping[str, Any]) -> Any:
    """A value that the shape probably matches."""
    if isinstance(shape, str):
        parts = parse(shape)
        if (alone := only(shape)) is not None:
            return _of(alone, known)
        return "".join(part if isinstance(part, str) else text(_of(part, known)) for part in parts)
    if isinstance(shape, list):
        filled = [_filled(item, known) for item in shape]
        return filled[0] if len(filled) == 1 and isinstance(filled[0], list) else filled
    if not isinstance(shape, Mapping):
        return shape
    if "$first" in shape:
        return _filled(shape["$first"][0], known)
    made = {}
    for key, value in shape.items():
        name, optional = optional_key(key)
        alone = only(value)
        if value is None or ((optional or (alone and alone.optional)) and not (alone and alone.root in _WHOLE)):
            continue
        made[name] = _filled(value, known)
    return made


def _of(part: Placeholder, known: Mapping[str, Any]) -> Any:
    value = known.get(part.root, "x")
    for step in part.steps[1:]:
        value = value[step]
    names = {call.name for call in part.filters}
    if isinstance(value, str) and "base64_decode" in names:
        return base64.b64encode(value.encode()).decode()
    return value


def _hold(condition: Any, found: dict[str, Any], known: Mapping[str, Any] | None = None) -> None:
    """Changes what was found so that the condition probably holds."""
    if isinstance(condition, list):
        condition = condition[0] if condition else {}
    for key, expected in (condition or {}).items():
        place = only(key)
        if place is None or place.root not in found or isinstance(expected, Mapping):
            continue
        while isinstance(expected, list) and expected:
            expected = expected[0]
        value: Any = Number("1") if expected is True else expected
        if isinstance(value, str):
            value = _filled(value, known or {})
        if expected in (None, False):
            continue
        if len(place.steps) == 1:
            found[place.root] = value
            continue
        node = found[place.root]
        for step in place.steps[1:-1]:
            node = node.setdefault(step, {}) if isinstance(node, dict) else node[step]
        if expected is not True or place.steps[-1] not in node:
            node[place.steps[-1]] = value


__all__ = ["MESSAGE", "entry_of"]
