"""From a provider's answer to what became of the request."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from integrations import bodies
from integrations.events import Fault, HttpResponse, Outcome
from integrations.language.data_filters import parse_date
from integrations.language.document import Template
from integrations.language.methods import Method
from integrations.language.sections import MEDIA_TYPES
from integrations.language.values import Value, cleaned, text, well_formed
from integrations.requests import render_variables

MAX_BYTES = 256 * 1024
_FAULTS = {"connect": "retry", "tls": "failed", "blocked": "failed", "unanswered": "unknown"}


def read(
    template: Template,
    method_name: str,
    properties: Mapping[str, Any],
    variables: Mapping[str, Any],
    answer: HttpResponse | Fault,
) -> Outcome:
    """What the answer means, by the method's rules; each outcome but `sent` says why in `text`.

    `variables` are those of its Part. An answer is read up to 256 KiB; a longer one counts as unreadable.
    """
    if isinstance(answer, Fault):
        return Outcome(_FAULTS[answer.kind], text=answer.text)  # type: ignore[arg-type]
    method = template.methods[method_name]
    parsed, unreadable = _parsed(answer, method.response.format)
    values = render_variables(method, cleaned(properties), variables) | {
        "response": parsed,
        "headers": dict(answer.headers),
        "status": answer.status,
        "body": _text(answer),
    }
    said = _said(answer)
    if answer.status == 429:
        return Outcome("throttled", text=said, retry_after=_retry_after(answer))
    for rule in method.response.errors:
        if rule.when(values):
            code = str(text(rule.code(values))) if rule.code else ""
            words = (text(rule.text(values)) if rule.text else "") or said
            after = _retry_after(answer) if rule.result in ("retry", "throttled") else None
            return Outcome(rule.result, code=code, text=words, retry_after=after)  # type: ignore[arg-type]
    if answer.status == 401:
        return Outcome("unauthorized", text=said)
    if answer.status in (408, 504):
        return Outcome("unknown", text=said)
    if answer.status >= 500:
        return Outcome("retry", text=said, retry_after=_retry_after(answer))
    if not 200 <= answer.status <= 299:
        return Outcome("failed", text=said)
    return _matched(method, values, parsed, unreadable, said)


def _matched(method: Method, values: dict[str, Value], parsed: Value, unreadable: str, said: str) -> Outcome:
    frames = [{name: value for name, value in values.items() if name != "messageid"}]
    reason = ""
    for shape, value in ((method.response.headers, values["headers"]), (method.response.map, parsed)):
        if shape is not None and not reason:
            reason = shape(value, frames)
    if reason and unreadable:
        return Outcome("unknown", text=f"{unreadable} {said}")
    if reason:
        return Outcome("failed", text=f"{said} This is not what response_map expects ({reason}).")
    if not method.response.success(frames[0]):
        if unreadable:
            return Outcome("unknown", text=f"{unreadable} {said}")
        return Outcome("failed", text=f"{said} By response_success this is a refusal.")
    return Outcome("sent", messageid=str(text(frames[0].get("messageid"))))


def _parsed(answer: HttpResponse, form: str) -> tuple[Value, str]:
    if len(answer.body) > MAX_BYTES:
        return None, "The answer is larger than 256 KiB."
    declared = bodies.essence(answer.headers.get("content-type", ""))
    body = _text(answer)
    if form == "text":
        return body, _not_a_line(body)
    kind = MEDIA_TYPES.get(form, declared)
    if not body.strip() and kind != MEDIA_TYPES["form"]:
        return {}, "The answer is empty."
    try:
        # XML names its character set itself; in anything else a wrong byte is better than no answer.
        source = answer.body if kind.endswith("xml") else body.encode()
        value = bodies.parse(source, kind, strict=False)
    except ValueError as error:
        return body, f"The answer cannot be read. {error}"
    odd = isinstance(value, str) and ("html" in declared or body.lstrip().startswith("<"))
    return value, "The answer is a web page." if odd else ""


def _not_a_line(body: str) -> str:
    """Why a text is no answer of a service that answers in texts, whatever its content type says."""
    if not body.strip():
        return "The answer is empty."
    page = body.lstrip()[:9].casefold().startswith(("<!doctype", "<html"))
    return "The answer is a web page." if page else ""


def _text(answer: HttpResponse) -> str:
    charset = bodies.charset_of(answer.headers.get("content-type", ""))
    return well_formed(answer.body[:MAX_BYTES].decode(charset, "replace")).removeprefix("\ufeff")


def _said(answer: HttpResponse) -> str:
    words = " ".join(_text(answer)[:2000].split())[:200]
    return (
        f"The service answered {answer.status}: {words}"
        if words
        else f"The service answered {answer.status}."
    )


def _retry_after(answer: HttpResponse) -> float | None:
    given = answer.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return float(given[:9])
    date = parse_date(given)
    return max(0.0, (date - datetime.now(UTC)).total_seconds()) if date else None
