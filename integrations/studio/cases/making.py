"""Cases made of what has been previewed, captured or traced, with nobody's values in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from integrations import bodies, case_http, cases, webhooks
from integrations.case_events import shown_events, shown_outcome
from integrations.case_exchanges import exchanges, requests_of
from integrations.events import HttpResponse, InboundRequest
from integrations.language.dates import iso_text
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.language.values import Value, dump, text
from integrations.redact import MASK, Redactor
from integrations.studio.case_storage import MAX_BYTES, written
from integrations.studio.cases.anonymous import Anonymizer, literals
from integrations.studio.invented.messages import MESSAGE, NAME, PICTURE, TEXT
from integrations.studio.invented.values import secrets_in, signed, values_for

NONCE = "0123456789abcdef0123456789abcdef"
_KINDS = {
    "message": "A text arrives",
    "mms": "A file arrives",
    "optOut": "A contact opts out",
    "optIn": "A contact opts in",
    "ignore": "Nothing to do",
}


class NoCase(ValueError):
    """No case can be made; the message is a sentence for a person."""


def send_case(
    template: Template, message: Mapping[str, Value], answer: Mapping[str, Value] | None = None
) -> dict[str, Any]:
    """The case for a message and the answer to its requests, which expects what is made of them now.

    Its property values are invented. Files are uploaded without an answer. Raises NoCase for a message that
    makes no request.
    """
    case: dict[str, Any] = {"name": _("A text is sent"), "kind": "send"}
    if message.get("media"):
        case["name"] = _("A file is sent")
    if isinstance(message.get("to"), list):
        case["name"] = _("A message is sent to a group")
    if given := _given(template, values_for(template)):
        case["properties"] = given
    if template.reads("now") or _signs(template):
        case["now"] = iso_text(datetime.now(UTC))
    if template.reads("nonce"):
        case["nonce"] = NONCE
    case["message"] = dict(message)
    try:
        parts = requests_of(template, cases.completed(template, case))
        if answer is None or any(part.file is not None for part in parts):
            return {**case, "expect": [case_http.expected(part.request) for part in parts]}
        case["responses"] = [answer] * len(parts)
        made = list(exchanges(template, cases.completed(template, case)))
    except RenderError as error:
        raise NoCase(error.reason) from None
    outcome = made[-1][2]
    assert outcome is not None
    if outcome.result != "sent":
        case["name"] = _("An answer that means %(result)s") % {"result": outcome.result}
    case["responses"] = case["responses"][: len(made)]
    return {
        **case,
        "expect": [case_http.expected(part.request) for part, *_rest in made],
        "outcome": shown_outcome(outcome),
    }


def _signs(template: Template) -> bool:
    """Whether requests are signed, and so contain the time."""
    groups = (group for method in template.methods.values() for group in method.auth)
    return any(scheme.signs for group in groups for scheme in group)


def answer_case(
    template: Template, answer: HttpResponse | None, result: str, *, files: bool, private: Iterable[str]
) -> dict[str, Any]:
    """The case for an answer that a provider gave, to a message like the one that was sent.

    `answer` is None if there was none, for a `result`. Raises NoCase if something of `private` would remain.
    """
    message = dict(MESSAGE)
    if files:
        message["media"] = [PICTURE]
    if answer is None:
        response: dict[str, Any] = {"error": "timeout" if result == "unknown" else "connect"}
    else:
        _check_size(answer.body, answer.headers.get("content-type", ""))
        values = values_for(template)
        key = _first(secrets_in(template, values))
        anonymizer = Anonymizer(template, {MASK: "x", **dict.fromkeys(private, key)})
        response = {"status": answer.status} | _headers(template, answer.headers, anonymizer)
        response |= _body(answer.body, answer.headers.get("content-type", ""), anonymizer)
    case = send_case(template, message, response)
    return _checked(case, private)


def webhook_case(
    template: Template,
    request: InboundRequest,
    *,
    country: str = "",
    private: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The case for a webhook request: the same request with invented values, signed with invented keys.

    `values` are the properties with which it was received, `private` further secrets with their labels.
    Raises NoCase if something of `private` would remain.
    """
    _check_size(request.body, request.headers.get("content-type", ""))
    claimed = webhooks.hints(template, request).values
    used = {label for label, value in (values or {}).items() if value} | claimed.keys()
    used |= set() if values else template.webhook.reads
    invented_values = values_for(template, optional=used)
    invented_values.pop("access_token", None)
    known = _known(template, request, invented_values, values or {}, private or {})
    anonymizer = Anonymizer(template, known)
    sent = _written(template, request, anonymizer)
    now = datetime.now(UTC)
    made = _as_received(template, sent)
    believed = webhooks.read(template.unverified, made, invented_values)
    proven = signed(template, made, invented_values, believed.event_index)
    if proven != made:
        sent |= _signature(made, proven)
    case: dict[str, Any] = {"name": _("A webhook"), "kind": "receive"}
    read = {label: value for label, value in invented_values.items() if label in template.webhook.reads}
    if given := _given(template, read):
        case["properties"] = given
    case |= {"webhook_url": _webhook_url(template), "now": iso_text(now)}
    if country:
        case["country"] = country
    case["request"] = sent
    received = webhooks.read(template, _as_received(template, sent), invented_values, now=now)
    expect: dict[str, Any] = {"response": {"status": received.answer.status}}
    if received.events:
        expect["events"] = shown_events(received, country or None)
        kind = received.bindings[0][0]
        case["name"] = str(_KINDS.get(kind, "A report arrives"))
    else:
        expect |= {"events": [], "unmatched": received.verdict in ("unmatched", "unparsable")}
        case["name"] = _("A webhook that fits no event")
    return _checked({**case, "expect": expect}, private or {})


def _known(
    template: Template,
    request: InboundRequest,
    invented: Mapping[str, Any],
    values: Mapping[str, Any],
    private: Mapping[str, str],
) -> dict[str, str]:
    """What certainly is replaced by what: keys and properties, the text, and the sender's name."""
    known: dict[str, str] = {}
    for label, claimed in webhooks.hints(template, request).values.items():
        for value in claimed:
            if isinstance(value, str) and isinstance(invented.get(label), str):
                known[value] = invented[label]
    for label, value in values.items():
        if isinstance(value, str) and isinstance(invented.get(label), str):
            known[value] = invented[label]
    for value, label in private.items():
        known.setdefault(value, text(invented.get(label, "x")))
    given = {label: value for label, value in values.items() if value is not None}
    for label, claimed in webhooks.hints(template, request).values.items():
        given.setdefault(label, next(iter(claimed), ""))
    received = webhooks.read(template.unverified, request, {**invented, **given})
    texts: list[str] = []
    said = {literal.casefold() for literal in literals(template.document)}
    for _kind, bound in received.bindings:
        for name, new in (("text", TEXT), ("content", TEXT), ("sendername", NAME), ("error_text", "Refused")):
            old = text(bound.get(name)).strip()
            if len(old) > 1 and old not in known and old.casefold() not in said:
                texts.append(old)
                known[old] = new if texts.index(old) == 0 or new != TEXT else f"{TEXT} {len(texts)}"
    return {old: new for old, new in known.items() if len(old) > 1}


def _given(template: Template, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a case has to give: those that are no defaults."""
    defaults = {item.label: item.default for item in template.properties}
    labels = {*defaults, "access_token"} if template.grant is not None else {*defaults}
    return {label: item for label, item in values.items() if label in labels and item != defaults.get(label)}


def _written(template: Template, request: InboundRequest, anonymizer: Anonymizer) -> dict[str, Any]:
    written: dict[str, Any] = {"method": request.method} if request.method != "POST" else {}
    if path := request.path.strip("/"):
        written["path"] = "/".join(anonymizer.text(step) for step in path.split("/"))
    if request.query:
        written["query"] = anonymizer.tree(bodies.pairs(request.query))
    written |= _headers(template, request.headers, anonymizer)
    if request.ip and any(event.verify for event in template.webhook.events):
        written["ip"] = "192.0.2.1"
    if request.body:
        written |= _body(request.body, request.headers.get("content-type", ""), anonymizer)
    return written


def _headers(template: Template, headers: Mapping[str, str], anonymizer: Anonymizer) -> dict[str, Any]:
    """The content type, and the headers that the document names."""
    document = dump(template.document).casefold()
    kept: dict[str, str] = {}
    for name, value in headers.items():
        if name == "content-type":
            if not value.casefold().startswith("multipart/"):
                kept[name] = value
        elif name.casefold() in document or (name == "authorization" and template.webhook.events):
            kept[name] = anonymizer.text(value, name)
    return {"headers": kept} if kept else {}


def _body(body: bytes, kind: str, anonymizer: Anonymizer) -> dict[str, Any]:
    found = case_http.shown_body(body, kind)
    if "base64" in found:
        return {"base64": "eA=="}
    if "multipart" in found:
        return {"multipart": [_part(part, anonymizer) for part in found["multipart"]]}
    return {way: anonymizer.tree(value) for way, value in found.items()}


def _part(part: Mapping[str, Any], anonymizer: Anonymizer) -> dict[str, Any]:
    if "filename" in part:
        return {**part, "filename": anonymizer.text(part["filename"]), "base64": "eA=="}
    return {"name": part["name"], "text": anonymizer.text(part["text"], part["name"])}


def _as_received(template: Template, written: Mapping[str, Any]) -> InboundRequest:
    return case_http.inbound(written, _webhook_url(template))


def _webhook_url(template: Template) -> str:
    return f"https://sms.example.com/services/{template.id}/a1"


def _signature(made: InboundRequest, proven: InboundRequest) -> dict[str, Any]:
    """What a signature adds to a request, as cases write it."""
    found: dict[str, Any] = {"headers": dict(proven.headers)}
    if made.headers.get("content-type", "").startswith("multipart/"):
        del found["headers"]["content-type"]
    if proven.query != made.query:
        found["query"] = bodies.pairs(proven.query)
    if proven.ip:
        found["ip"] = proven.ip
    if proven.body != made.body:
        found["text"] = proven.body.decode("utf-8", "replace")
    return found


def _checked(case: dict[str, Any], private: Iterable[str]) -> dict[str, Any]:
    written = dump(case)
    if Redactor(private).text(written) != written:
        raise NoCase(_("A secret could not be replaced, so no case has been made. Write it by hand."))
    return case


def _check_size(body: bytes, kind: str) -> None:
    """Refuses what would be too large to be kept, before it takes long; files are left out of cases."""
    found = case_http.shown_body(body, kind) if len(body) > MAX_BYTES // 16 else {}
    if not {"base64", "multipart"} & found.keys() and len(written(found)) > MAX_BYTES:
        raise NoCase(
            _("It is too long for a case, which has at most 64 KiB. Shorten it, and write the case.")
        )


def _first(items: list[str]) -> str:
    return next(iter(items), "invented")
