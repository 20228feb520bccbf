"""The schema of a case, checked before the case runs, so that a typo cannot make it pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from integrations.case_http import BODIES
from integrations.language.api_methods import METHODS, RECEIVE_MESSAGES, SEND_FILE, SEND_GROUP, SEND_MESSAGE
from integrations.language.document import Template
from integrations.language.errors import Problem, child, did_you_mean
from integrations.language.names import BOUND, KEPT, SENDING
from integrations.language.values import Value, text
from integrations.language.webhook_events import TYPES

# An object of known keys, a list with its elements' schema, a tuple of words, a type, or None for anything.
Schema = dict[str, Any] | list[Any] | tuple[str, ...] | type | None

RESULTS = ("sent", "failed", "retry", "throttled", "opted_out", "unauthorized", "unknown")
FAULTS = ("connect", "timeout", "tls")
_PART = dict.fromkeys(("name", "filename", "content_type", "json", "text", "base64"))
_BODY: dict[str, Schema] = dict.fromkeys(BODIES) | {"multipart": [_PART]}
REQUEST: dict[str, Schema] = {**dict.fromkeys(("method", "url", "path", "query")), "headers": dict, **_BODY}
_RESPONSE: dict[str, Schema] = {"status": int, "headers": dict, **_BODY}
FILE = dict.fromkeys(("url", "content_type", "filename", "size", "base64"))
COMMON = dict.fromkeys(("name", "now", "nonce", "message_uuid", "webhook_url", "country"))
OAUTH2 = "OAuth2"  # in place of a method: the token request
# What an outcome says, besides its result: also what the method's shapes bind.
OUTCOME = sorted(
    {"code", "text", "refresh_token"}.union(*(method.binds or () for method in METHODS.values()))
)
SCHEMAS: dict[str, dict[str, Any]] = {
    "send": {
        **COMMON,
        "method": (*METHODS, OAUTH2),
        "grant": dict,
        "message": {**dict.fromkeys(SENDING | KEPT), "media": [FILE]},
        "expect": [REQUEST],
        "responses": [{**_RESPONSE, "error": FAULTS}],
        "outcome": {"result": RESULTS, **dict.fromkeys(OUTCOME)},
    },
    "receive": {
        **COMMON,
        "request": {**REQUEST, "ip": None},
        "method": tuple(name for name, method in METHODS.items() if method.receives),
        "cursor": None,
        "responses": [_RESPONSE],
        "expect": {
            "requests": [REQUEST],
            "cursor": None,
            "events": [{**dict.fromkeys(BOUND), "type": tuple(TYPES), "concat": None}],
            "response": _RESPONSE,
            "unmatched": None,
        },
    },
}


def check_case(template: Template, case: Value, pointer: str = "") -> list[Problem]:
    """All unknown keys, wrong values and missing keys of a case; `pointer` is the case's place."""
    kinds = tuple(SCHEMAS)
    if not isinstance(case, dict):
        return [Problem(pointer, "A case must be an object.")]
    kind = case.get("kind")
    if kind not in kinds:
        place = child(pointer, "kind") if "kind" in case else pointer
        word = f"There is no kind {text(kind)!r}." if "kind" in case else "The case needs 'kind'."
        return [Problem(place, word, f"Use {' or '.join(kinds)}.")]
    labels = dict.fromkeys(item.label for item in template.properties)
    if kind == "send" or "method" in case:
        labels["access_token"] = None
    schema: Schema = {"kind": kinds, "properties": labels, **SCHEMAS[kind]}
    return [
        *_problems(case, schema, pointer),
        *_missing(case, kind, pointer),
        *_unset(template, case, kind, pointer),
    ]


def check_message(message: Value) -> list[Problem]:
    """All unknown keys and wrong values in the variables of a message."""
    return list(_problems(message, SCHEMAS["send"]["message"], ""))


def check_request(request: Value) -> list[Problem]:
    """All unknown keys and wrong values in a webhook request, which may also have a case's common keys."""
    schema = {**SCHEMAS["receive"]["request"], **COMMON}
    return list(_problems(request, schema, ""))


def _problems(value: Value, schema: Schema, pointer: str) -> Iterator[Problem]:
    if schema is int and not text(value).isdigit():
        yield Problem(pointer, f"This must be a whole number, not {text(value)!r}.")
    elif schema is dict and not isinstance(value, dict):
        yield Problem(pointer, "This must be an object.")
    elif isinstance(schema, tuple):
        if value not in schema:
            yield Problem(
                pointer, f"{text(value)!r} is not a valid value.", did_you_mean(text(value), schema)
            )
    elif isinstance(schema, list):
        if not isinstance(value, list):
            yield Problem(pointer, "This must be a list.", "Put it in square brackets.")
            return
        for index, item in enumerate(value):
            yield from _problems(item, schema[0], child(pointer, index))
    elif isinstance(schema, dict):
        if not isinstance(value, dict):
            yield Problem(pointer, "This must be an object.")
            return
        for key, item in value.items():
            place = child(pointer, key)
            if key not in schema:
                yield Problem(place, f"Unknown key {key!r}.", did_you_mean(key, schema), at_key=True)
            elif item is not None:
                yield from _problems(item, schema[key], place)


def _unset(template: Template, case: dict[str, Value], kind: str, pointer: str) -> Iterator[Problem]:
    """A problem for each required property that is read and has no value."""
    given = case.get("properties") or {}
    message = case.get("message") or {}
    if not isinstance(given, dict) or not isinstance(message, dict):
        return
    named = METHODS.get(text(case.get("method")))
    files = any(message.get(name) for name in ("media", "urls", "url"))
    single = [SEND_MESSAGE, *([SEND_FILE] if files else [])]
    called = [named] if named else [SEND_GROUP] if isinstance(message.get("to"), list) else single
    called = called if case.get("method") != OAUTH2 else []  # each grant reads others
    methods = [template.methods[method.name] for method in called if method.name in template.methods]
    if kind == "receive" and named is None:
        read = template.webhook.reads
    elif case.get("method") == OAUTH2:
        read = template.oauth.reads if template.oauth else frozenset()
    else:
        read = frozenset().union(*(each.reads for each in methods))
    place = child(pointer, "properties") if "properties" in case else pointer
    for item in template.properties:
        value = given.get(item.label)
        blank = value is None or value == [] or (isinstance(value, str) and not value.strip())
        if item.required and item.default is None and item.label in read and blank:
            yield Problem(place, f"The required property {item.label!r} has no value.")


def _missing(case: dict[str, Value], kind: str, pointer: str) -> Iterator[Problem]:
    if kind == "receive":
        polled = case.get("method") == RECEIVE_MESSAGES.name
        needed, other = ("responses", "request") if polled else ("request", "responses")
        if needed not in case:
            yield Problem(pointer, f"A case of kind 'receive' needs {needed!r}.")
        if other in case:
            reason = f"{other!r} is not for a case {'with' if polled else 'without'} 'method'."
            yield Problem(child(pointer, other), reason, at_key=True)
    name = text(case.get("method"))
    needs_message = name != OAUTH2 and METHODS.get(name, SEND_MESSAGE).sends_message
    if kind == "send" and "message" not in case and needs_message:
        yield Problem(pointer, "A case of kind 'send' needs 'message'.")
    if not {"expect", "outcome"} & case.keys():
        needed = "'expect', 'outcome', or both" if kind == "send" else "'expect'"
        yield Problem(pointer, "The case expects nothing.", f"Add {needed}.")
