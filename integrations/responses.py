"""From a provider's response to the outcome of the request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from integrations import bodies
from integrations.events import Fault, HttpResponse, Outcome
from integrations.language.api_methods import METHODS
from integrations.language.budget import TooMuchWork, budget
from integrations.language.dates import parse_date
from integrations.language.document import Template
from integrations.language.errors import child
from integrations.language.methods import Method
from integrations.language.sections import MEDIA_TYPES
from integrations.language.values import Value, cleaned, text, well_formed
from integrations.rendering import render_variables

MAX_BYTES = 256 * 1024
# What reading a response may cost, in units of the language's budget.
MAX_WORK = 1_000_000
# Somebody on the way, a proxy or a content delivery network, gave up waiting for the provider's response.
GAVE_UP = frozenset([408, 504, 520, 524, 598, 599])
_FAULTS = {"connect": "retry", "tls": "failed", "blocked": "failed", "unanswered": "unknown"}


def read(
    template: Template,
    method_name: str,
    properties: Mapping[str, Any],
    variables: Mapping[str, Any],
    response: HttpResponse | Fault,
) -> Outcome:
    """The outcome of a request, by the method's rules; every outcome but `sent` gives the reason in `text`.

    `variables` are those of its Part. A response that is larger than 256 KiB, or that takes about a second to
    read, counts as unreadable.
    """
    if isinstance(response, Fault):
        return Outcome(_FAULTS[response.kind], text=response.text)  # type: ignore[arg-type]
    try:
        with budget(MAX_WORK):
            return _read(template, method_name, properties, variables, response)
    except (TooMuchWork, RecursionError):
        return Outcome("unknown", text=f"To read the response takes too much work. {summary(response)}")


def _read(
    template: Template,
    method_name: str,
    properties: Mapping[str, Any],
    variables: Mapping[str, Any],
    response: HttpResponse,
) -> Outcome:
    method = template.methods[method_name]
    parsed, unreadable = _parsed(response, method.response.format)
    values = render_variables(method, cleaned(properties), variables) | {
        "response": parsed,
        "headers": dict(response.headers),
        "status": response.status,
        "body": _text(response),
    }
    said = summary(response)
    if response.status == 429:
        return Outcome("throttled", text=said, retry_after=_retry_after(response))
    gave_up = response.status in GAVE_UP
    for rule in method.response.errors:
        if gave_up and str(response.status) not in rule.statuses:
            continue
        if rule.when(values):
            code = str(text(cleaned(rule.code(values)))) if rule.code else ""
            words = (text(cleaned(rule.text(values))) if rule.text else "") or said
            after = _retry_after(response) if rule.result in ("retry", "throttled") else None
            return Outcome(
                rule.result,  # type: ignore[arg-type]
                code=code,
                text=words,
                retry_after=after,
                rule=rule.pointer,
            )
    if response.status == 401:
        return Outcome("unauthorized", text=said)
    if gave_up:
        return Outcome("unknown", text=said)
    if response.status >= 500:
        return Outcome("retry", text=said, retry_after=_retry_after(response))
    if not 200 <= response.status <= 299:
        return Outcome("failed", text=said)
    return _matched(method, values, parsed, unreadable, said)


def _matched(method: Method, values: dict[str, Value], parsed: Value, unreadable: str, said: str) -> Outcome:
    frames = [{name: value for name, value in values.items() if name not in method.response.binds}]
    reason, rule = "", ""
    for key, shape, value in (
        ("response_headers", method.response.headers, values["headers"]),
        ("response_map", method.response.map, parsed),
    ):
        if shape is not None and not reason:
            reason, rule = shape(value, frames), child(method.pointer, key)
    if reason and unreadable:
        return Outcome("unknown", text=f"{unreadable} {said}")
    if reason:
        return Outcome("failed", text=f"{said} It does not match response_map ({reason}).", rule=rule)
    if not method.response.success(frames[0]):
        if unreadable:
            return Outcome("unknown", text=f"{unreadable} {said}")
        rule = child(method.pointer, "response_success")
        words = f"{said} The condition response_success does not hold."
        return Outcome("failed", text=words, rule=rule)
    bound = {name: cleaned(frames[0][name]) for name in method.response.binds if name in frames[0]}
    messageid = text(bound.get("messageid")) if METHODS[method.name].binds is not None else ""
    return Outcome("sent", messageid=str(messageid).strip(), bound=bound)


def _parsed(response: HttpResponse, form: str) -> tuple[Value, str]:
    if len(response.body) > MAX_BYTES:
        return None, "The response is larger than 256 KiB."
    declared = bodies.essence(response.headers.get("content-type", ""))
    body = _text(response)
    if form == "text":
        return body.strip(), _not_text(body)
    kind = MEDIA_TYPES.get(form, declared)
    if not body.strip() and kind != MEDIA_TYPES["form"]:
        return {}, "The response is empty."
    try:
        # XML declares its own character set; in other formats an invalid byte is better than no response.
        source = response.body if kind.endswith("xml") else body.encode()
        value = bodies.parse(source, kind, strict=False)
    except ValueError as error:
        return body, f"The response cannot be read. {error}"
    odd = isinstance(value, str) and ("html" in declared or body.lstrip().startswith("<"))
    if odd and body.lstrip().startswith("<?xml") and "<html" not in body[:1000].casefold():
        return (
            value,
            'The response is XML, which its content type does not say: add "response_format": "xml".',
        )
    return value, "The response is a web page." if odd else ""


def _not_text(body: str) -> str:
    """Why a body cannot be a response in plain text, whatever its content type; "" if it can."""
    if not body.strip():
        return "The response is empty."
    page = body.lstrip()[:9].casefold().startswith(("<!doctype", "<html"))
    return "The response is a web page." if page else ""


def _text(response: HttpResponse) -> str:
    charset = bodies.charset_of(response.headers.get("content-type", ""))
    return well_formed(response.body[:MAX_BYTES].decode(charset, "replace")).removeprefix("\ufeff")


def summary(response: HttpResponse) -> str:
    """The status and the beginning of the body in a sentence."""
    words = " ".join(_text(response)[:2000].split())[:200]
    return (
        f"The provider responded with status {response.status}: {words}"
        if words
        else f"The provider responded with status {response.status}."
    )


def _retry_after(response: HttpResponse) -> float | None:
    given = response.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return float(given[:9])
    date = parse_date(given)
    return max(0.0, (date - datetime.now(UTC)).total_seconds()) if date else None
