"""The form of a case, checked key by key before it is run: a typo in a test must not make it pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from integrations.case_http import BODIES
from integrations.language.api_methods import METHODS, SEND_MESSAGE
from integrations.language.document import Template
from integrations.language.errors import Problem, child, did_you_mean
from integrations.language.names import BOUND, SENDING
from integrations.language.values import Value, text
from integrations.language.webhook_events import TYPES

# An object of known keys, a list of one form for all elements, a tuple of words, a type, or None: anything.
Form = dict[str, Any] | list[Any] | tuple[str, ...] | type | None

RESULTS = ("sent", "failed", "retry", "throttled", "opted_out", "unauthorized", "unknown")
FAULTS = ("connect", "timeout", "tls")
_PART = dict.fromkeys(("name", "filename", "content_type", "json", "text", "base64"))
_BODY: dict[str, Form] = dict.fromkeys(BODIES) | {"multipart": [_PART]}
_REQUEST: dict[str, Form] = {**dict.fromkeys(("method", "url", "path", "query")), "headers": dict, **_BODY}
_ANSWER: dict[str, Form] = {"status": int, "headers": dict, **_BODY}
_FILE = dict.fromkeys(("url", "content_type", "filename", "size", "base64"))
_COMMON = dict.fromkeys(("name", "now", "message_uuid", "webhook_url", "country"))
_FORMS: dict[str, dict[str, Any]] = {
    "send": {
        **_COMMON,
        "method": tuple(METHODS),
        "message": {**dict.fromkeys(SENDING), "media": [_FILE]},
        "expect": [_REQUEST],
        "responses": [{**_ANSWER, "error": FAULTS}],
        "outcome": {"result": RESULTS, **dict.fromkeys(("messageid", "code", "text"))},
    },
    "receive": {
        **_COMMON,
        "request": {**_REQUEST, "ip": None},
        "expect": {
            "events": [{**dict.fromkeys(BOUND), "type": tuple(TYPES), "concat": None}],
            "response": _ANSWER,
            "unmatched": None,
        },
    },
}


def check_case(template: Template, case: Value, pointer: str = "") -> list[Problem]:
    """Everything in a case that has no meaning, or is missing; `pointer` is where the case stands."""
    kinds = tuple(_FORMS)
    if not isinstance(case, dict):
        return [Problem(pointer, "A case is an object.")]
    kind = case.get("kind")
    if kind not in kinds:
        place = child(pointer, "kind") if "kind" in case else pointer
        word = f"{text(kind)!r} is no kind." if "kind" in case else "The case has no 'kind'."
        return [Problem(place, word, f"It is {' or '.join(kinds)}.")]
    labels = dict.fromkeys(item.label for item in template.properties)
    if kind == "send":
        labels["access_token"] = None
    form: Form = {"kind": kinds, "properties": labels, **_FORMS[kind]}
    return [*_problems(case, form, pointer), *_missing(case, kind, pointer)]


def check_message(message: Value) -> list[Problem]:
    """What has no meaning in the variables of a message."""
    return list(_problems(message, _FORMS["send"]["message"], ""))


def check_request(request: Value) -> list[Problem]:
    """What has no meaning in a webhook request, with the keys of a case that fix what varies."""
    form = {**_FORMS["receive"]["request"], **_COMMON}
    return list(_problems(request, form, ""))


def _problems(value: Value, form: Form, pointer: str) -> Iterator[Problem]:
    if form is int and not text(value).isdigit():
        yield Problem(pointer, f"A whole number is expected here, not {text(value)!r}.")
    elif form is dict and not isinstance(value, dict):
        yield Problem(pointer, "An object is expected here.")
    elif isinstance(form, tuple):
        if value not in form:
            yield Problem(pointer, f"This cannot be {text(value)!r}.", did_you_mean(text(value), form))
    elif isinstance(form, list):
        if not isinstance(value, list):
            yield Problem(pointer, "A list is expected here.", "Put it in square brackets.")
            return
        for index, item in enumerate(value):
            yield from _problems(item, form[0], child(pointer, index))
    elif isinstance(form, dict):
        if not isinstance(value, dict):
            yield Problem(pointer, "An object is expected here.")
            return
        for key, item in value.items():
            place = child(pointer, key)
            if key not in form:
                yield Problem(place, f"{key!r} has no meaning here.", did_you_mean(key, form), at_key=True)
            elif item is not None:
                yield from _problems(item, form[key], place)


def _missing(case: dict[str, Value], kind: str, pointer: str) -> Iterator[Problem]:
    if kind == "receive" and "request" not in case:
        yield Problem(pointer, "A case of the kind receive needs 'request'.")
    method = METHODS.get(text(case.get("method")), SEND_MESSAGE)
    if kind == "send" and "message" not in case and method.sends_message:
        yield Problem(pointer, "A case of the kind send needs 'message'.")
    if not {"expect", "outcome"} & case.keys():
        needed = "'expect', 'outcome', or both" if kind == "send" else "'expect'"
        yield Problem(pointer, "The case expects nothing.", f"It needs {needed}.")
