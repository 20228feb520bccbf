"""The part of the JSON Schema of documents that describes webhooks: events, their defaults, and answers."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.language import webhook_events
from integrations.language.schema_parts import (
    ANY,
    BOOLEAN,
    Schema,
    body,
    chosen,
    has,
    http_method,
    keyed,
    list_or_one,
    media_type,
    only,
    ref,
    words,
)
from integrations.language.webhook import SECTION_KEYS
from integrations.language.webhook_responses import HIGHEST, LOWEST, OTHER_KEYS
from integrations.language.webhook_responses import KEYS as RESPONSE_KEYS


def webhook() -> Schema:
    """The section: an object with `events`, or one event, or several, without defaults."""
    return chosen((has("events"), _section()), otherwise=_of_each(_complete()))


def answer() -> Schema:
    """What a webhook request is answered with."""
    return {**only(_answer_keys()), **body("body", "content_type", answer=True)}


def event(declared: Mapping[str, str]) -> Schema:
    """An event with some of these keys, as others may come from its section."""
    keys = {
        "event_type": words(webhook_events.TYPES),
        "event_key": ANY,
        "path": {"type": ["string", "array", "null"], "items": {"type": "string"}},
        "request_method": list_or_one(http_method()),
        **dict.fromkeys(["request_query", "request_headers", "request_parameters"], ref("matched")),
        "request_content_type": media_type(optional=True),
        "request_charset": {"type": ["string", "number", "null"]},
        "when": ref("condition"),
        "variables": ref("variables"),
        "status_map": {"type": "object", "additionalProperties": words(webhook_events.STATUSES)},
        "continue": BOOLEAN,
        "concat": only(keyed(webhook_events.CONCAT, dict.fromkeys(webhook_events.CONCAT, ref("shape"))),
                       *webhook_events.CONCAT),
        "verify": ref("verify"),
        "media_auth": {"anyOf": [BOOLEAN, {"type": "array", "minItems": 1, "items": _host()}]},
        "media_path": {"type": "string", "pattern": "^/"},
        "response": ref("answer"),
    }  # fmt: skip
    places = {
        **dict.fromkeys(["request_query", "request_headers", "request_parameters"], "event"),
        "when": "exchange",
        **dict.fromkeys(["variables", "concat", "response"], "bound"),
        "verify": "verify",
    }
    other = {**has("event_type"), "properties": {"event_type": {"not": {"const": "messageStatus"}}}}
    return {
        **only(keyed(declared, keys, places)),
        "if": other,
        "then": {"properties": {"status_map": False}},
    }


def needs() -> list[Schema]:
    """What an event needs that has no defaults: its type, and what that asks for."""
    return [{"required": ["event_type"]}, _needs_map()]


def _needs_map() -> Schema:
    of_status = {**has("event_type"), "properties": {"event_type": {"const": "messageStatus"}}}
    return {"if": of_status, "then": {"required": ["status_map"]}}


def _complete() -> Schema:
    return {"allOf": [ref("event"), *needs()]}


def _of_each(event: Schema) -> Schema:
    """One event, a list of them, or an object of named ones."""
    named = {"not": {"additionalProperties": {"not": has("event_type")}}}
    is_named = {"type": "object", "allOf": [{"not": has("event_type")}, named]}
    return chosen(
        ({"type": "array"}, {"items": event}),
        (is_named, {"additionalProperties": event}),
        otherwise=event,
    )


def _section() -> Schema:
    """The object with `events`; the other keys are their defaults."""
    others = keyed(
        OTHER_KEYS, dict.fromkeys(OTHER_KEYS, ref("answer")), dict.fromkeys(OTHER_KEYS, "exchange")
    )
    said = {**only(_answer_keys() | others), **body("body", "content_type", answer=True)}
    keys = {**event(webhook_events.KEYS)["properties"]}
    keys["response"] = {**keys["response"], "allOf": [said]}
    events = keyed(SECTION_KEYS, {"events": _of_each(ref("event"))})

    def without(key: str, needed: Schema) -> Schema:
        return {"if": {"not": has(key)}, "then": {"properties": {"events": _of_each(needed)}}}

    typed: Schema = {"required": ["event_type"]}
    return {
        **only(events | keys),
        "allOf": [without("event_type", typed), without("status_map", _needs_map())],
    }


def _answer_keys() -> dict[str, Schema]:
    digits = {"type": "string", "pattern": "^[2-5][0-9][0-9]$"}
    keys = {
        "status": {"anyOf": [{"type": "integer", "minimum": LOWEST, "maximum": HIGHEST}, digits]},
        "content_type": media_type(optional=True),
        "headers": ref("headers"),
        "body": ref("shape"),
    }
    return keyed(RESPONSE_KEYS, keys)


def _host() -> Schema:
    return {"type": "string", "pattern": r"^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+$"}
