"""The JSON Schema (draft-07) of documents, made from what the compiler declares, for editors.

What it refuses, the compiler refuses, too; what the compiler refuses by structure, it refuses. Under
`x-patchbay` it says what JSON Schema cannot: the variables of each place, and the filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from integrations.language import auth, document, methods, names, properties, verify, webhook_events
from integrations.language.api_methods import METHODS, ApiMethod
from integrations.language.filters import FILTERS
from integrations.language.json_web_tokens import ALGORITHMS
from integrations.language.published import KEYS as PUBLISHED_KEYS
from integrations.language.published import OTHER_CLASSES
from integrations.language.receiving import LONGEST, RECEIVING_KEYS, SHORTEST
from integrations.language.response_rules import FORMATS, RESULTS, RULE_KEYS
from integrations.language.schema_parts import (
    MEDIA_RANGE,
    NUMERIC,
    STEP,
    TEXT,
    URL,
    Schema,
    any_case,
    body,
    chosen,
    definitions,
    described,
    has,
    keyed,
    list_or_one,
    media_type,
    number,
    only,
    ref,
    sentence,
    spelled,
    words,
)
from integrations.language.sections import REQUEST_METHODS
from integrations.language.signatures import ALGORITHMS as DIGESTS
from integrations.language.signatures import ENCODINGS, MAX_TOLERANCE
from integrations.language.webhook import SECTION_KEYS
from integrations.language.webhook_responses import HIGHEST, LOWEST, OTHER_KEYS
from integrations.language.webhook_responses import KEYS as RESPONSE_KEYS

_ANY: Schema = {}
_BOOLEAN: Schema = {"type": "boolean"}
# The places of placeholders: whether a shape is rendered or matched there, and which groups of variables it
# reads and binds. What an API method reads and binds is its own; secrets are properties like any other.
PLACES: dict[str, dict[str, Any]] = {
    "request": {"shape": "rendered", "reads": ["method"]},
    "response": {"shape": "matched", "reads": ["method"], "binds": ["method"]},
    "outcome": {"shape": "rendered", "reads": ["method", "response"]},
    "credentials": {"shape": "rendered", "reads": ["method", "token"]},
    "oauth": {"shape": "rendered", "reads": ["oauth"]},
    "event": {"shape": "matched", "reads": ["exchange"], "binds": ["bound"], "secrets": False},
    "exchange": {"shape": "rendered", "reads": ["exchange"], "secrets": False},
    "bound": {"shape": "rendered", "reads": ["exchange", "bound"], "secrets": False},
    "verify": {"shape": "rendered", "reads": ["verify"]},
}


@cache
def schema() -> Schema:
    """The schema. It is shared, so it must not be changed."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Patchbay template",
        "description": "A document that describes one messaging provider.",
        "type": "object",
        "required": ["id", "name"],
        "anyOf": [{"required": ["API"]}, {"required": ["Webhook"]}],
        "properties": keyed(document.KEYS, _document()),
        # Only methods read these keys.
        "if": {"required": ["API"], "properties": {"API": {"minProperties": 1}}},
        "then": {
            "properties": {"auth": ref("auth"), "OAuth2": ref("grant"), "request_headers": ref("headers")}
        },
        "definitions": {**definitions(), **_definitions()},
        "x-patchbay": {
            "places": PLACES,
            "variables": _variables(),
            "methods": {name: _names(method) for name, method in METHODS.items()},
            "events": {kind: list(map(sorted, webhook_events.NEEDS[kind])) for kind in webhook_events.TYPES},
            "filters": {
                name: {
                    "usage": item.usage,
                    "description": item.doc,
                    "arguments": [item.least, item.most],
                    "argument": item.argument,
                }
                for name, item in FILTERS.items()
            },
        },
    }  # fmt: skip


def _document() -> dict[str, Schema]:
    positive: Schema = {"type": "number", "exclusiveMinimum": 0}
    numbers = dict.fromkeys(document.LIMITS, positive)
    limits = numbers | {
        "media_count": {**positive, "type": "integer"},
        "media_types": {"type": "array", "items": {"type": "string", "pattern": MEDIA_RANGE}},
    }
    other = rf"^(?!(?:{any_case(OTHER_CLASSES)})$)"
    api = {name: described(method.purpose, ref(_method_name(method))) for name, method in METHODS.items()}
    return {
        "id": {
            "type": ["string", "integer", "boolean"],
            "pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]{1,63}$",
            "minimum": 10,
        },
        "name": {"type": ["string", "number", "boolean"], "pattern": r"\S"},
        "class": {**TEXT, "pattern": other},
        **dict.fromkeys(["logo", "description", "documentation_url"], TEXT),
        "aliases": {"type": "array", "items": {"type": "string"}},
        "countries": {"type": "array", "items": {"type": "string", "pattern": f"^{document.COUNTRY}$"}},
        "properties": {"type": "array", "items": ref("property")},
        "auth": _ANY,
        "OAuth2": {"if": {"type": "object"}, "then": ref("oauth")},
        "request_headers": {"x-patchbay": {"place": "credentials"}},
        "tables": {"type": "object", "additionalProperties": {"type": "object"}},
        "limits": only(keyed(document.LIMITS, limits)),
        "API": only(api),
        "Webhook": ref("webhook"),
        "$schema": _ANY,
    }


def _definitions() -> dict[str, Schema]:
    return {
        "property": _property(),
        "auth": chosen(
            ({"type": "array"}, {"items": ref("auth")}), otherwise=_by_type(auth.TYPES, _schemes())
        ),
        "oauth": _oauth(),
        "grant": {"type": "object", "properties": {"when": ref("condition")}},
        "method": _method(methods.KEYS),
        "receiving": _method(methods.KEYS | RECEIVING_KEYS),
        "rule": only(_rule()),
        "webhook": chosen((has("events"), _section()), otherwise=_of_each(_complete())),
        "event": _event(webhook_events.KEYS),
        "polled": {"allOf": [_event(webhook_events.POLLED_KEYS), *_needs()]},
        "verify": list_or_one(_by_type(verify.TYPES, _ways())),
        "answer": {**only(_answer()), **body("body", "content_type", answer=True)},
    }  # fmt: skip


def _property() -> Schema:
    label = {"type": ["string", "boolean"], "pattern": f"^{STEP}$"}
    keys = {
        **dict.fromkeys(["required", "secret"], _BOOLEAN),
        "name": label,
        "type": words(properties.TYPES),
        "choices": {"type": "array"},
        "default": _ANY,
        "help": TEXT,
    }
    of_choice = chosen(
        (_of("choice"), {"required": ["choices"], "properties": {"choices": {"minItems": 1}}}),
        otherwise={"properties": {"choices": {"maxItems": 0}}},
    )
    default = chosen(
        (_of("list"), {}),
        (_of("boolean"), {"properties": {"default": spelled(properties.BOOLEANS)}}),
        (_of("number"), {"properties": {"default": NUMERIC}}),
        otherwise={"properties": {"default": {"type": ["string", "number", "null"]}}},
    )
    return {
        **only(keyed(properties.KEYS, keys), "name"),
        "type": ["string", "object"],
        "pattern": f"^{STEP}$",
        "allOf": [{"if": {"type": "object"}, "then": {"allOf": [of_choice, default]}}],
    }


def _of(kind: str) -> Schema:
    """An object of this `type`."""
    return {**has("type"), "properties": {"type": {"const": kind}}}


def _by_type(types: Mapping[str, str], schemas: Mapping[str, Schema]) -> Schema:
    """An object whose `type` says which of the schemas it has."""
    return {
        "type": "object",
        "required": ["type"],
        "properties": {"type": words(types)},
        "allOf": [{"if": _of(kind), "then": schemas[kind]} for kind in types],
    }


def _schemes() -> dict[str, Schema]:
    shape = ref("shape")
    claims: Schema = {"allOf": [{"type": "object"}, shape]}
    keys = {
        **dict.fromkeys({key for fields in auth.FIELDS.values() for key in fields}, shape),
        **dict.fromkeys(["claims", "header"], claims),
        "name": ref("header name"),
        "type": _ANY,
        "when": ref("condition"),
        "algorithm": words(ALGORITHMS),
        "expires": number(1, auth.LONGEST),
    }
    places = dict.fromkeys(keys, "credentials")
    schemes = {}
    for kind, fields in auth.FIELDS.items():
        required = [key for key in fields if key not in auth.OPTIONAL]
        schemes[kind] = only(keyed(auth.COMMON | fields, keys, places), "type", *required)
    return schemes | {"OAuth2": {"allOf": [ref("oauth"), ref("grant")]}}


def _oauth() -> Schema:
    def wrapped(schema: Schema) -> Schema:
        alone = {**has("default"), "maxProperties": 1}
        return chosen((alone, {"properties": {"default": schema}}), otherwise=schema)

    encoded: Schema = {"type": ["string", "number", "object"], "if": {"type": "object"}, "then": ref("shape")}
    keys = {
        **dict.fromkeys(["client_id", "client_secret", "request_auth"], wrapped(ref("shape"))),
        **dict.fromkeys(["authorization_endpoint", "token_endpoint"], wrapped(ref("url"))),
        "type": _ANY,
        "when": _ANY,
        "flow_type": wrapped({"enum": [*auth.FLOWS, 0]}),
        "authorization_parameters": wrapped(encoded),
        "token_parameters": wrapped({**encoded, "properties": {"content_type": media_type()}}),
        "token_auth": wrapped(words(auth.TOKEN_AUTH)),
    }  # fmt: skip
    places = dict.fromkeys(auth.OAUTH_KEYS.keys() - auth.COMMON.keys() - {"flow_type", "token_auth"}, "oauth")
    without = [word for word, flow in auth.FLOWS.items() if flow != "authorization_code"]
    return {
        **only(keyed(auth.OAUTH_KEYS, keys, places), "client_id", "token_endpoint"),
        "if": {**has("flow_type"), "properties": {"flow_type": wrapped({"enum": without})}},
        "else": {"required": ["authorization_endpoint"]},
    }


def _method(declared: Mapping[str, str]) -> Schema:
    split = {
        "max": number(1, methods.MAX_PART),
        "unit": words(methods.UNITS),
        "into": words(methods.INTO),
    }
    keys = {
        "request_method": _http_method(),
        "request_url": {"pattern": URL},
        "request_path": {"type": "string"},
        "request_content_type": media_type(),
        "request_parameters": ref("shape"),
        "request_query": ref("query"),
        "request_headers": ref("headers"),
        "when": ref("condition"),
        "variables": ref("variables"),
        "split": only(keyed(methods.SPLIT, split), "max"),
        "for_each": {"enum": ["media", None]},
        "response_format": {"enum": [*FORMATS, None]},
        "response_map": ref("matched"),
        "response_headers": ref("matched"),
        "response_success": ref("condition"),
        "response_errors": list_or_one(ref("rule")),
        "timeout": number(methods.SHORTEST, methods.LONGEST),
        "idempotent": _BOOLEAN,
        "interval": number(SHORTEST, LONGEST),
        "events": chosen(
            ({"type": "array"}, {"minItems": 1, "items": ref("polled")}), otherwise=ref("polled")
        ),
    }
    requested = ["url", "parameters", "query", "headers"]
    places = {
        **dict.fromkeys([f"request_{part}" for part in requested] + ["when", "variables"], "request"),
        **dict.fromkeys(["response_map", "response_headers"], "response"),
        **dict.fromkeys(["response_success", "response_errors"], "outcome"),
    }
    get = {**has("request_method"), "properties": {"request_method": {"pattern": f"^{any_case(['GET'])}$"}}}
    required = ["events"] if "events" in declared else []
    return {
        **only(keyed({**declared, **PUBLISHED_KEYS}, keys, places), *required),
        "allOf": [
            chosen(
                (has("request_path"), {"properties": {"request_url": {"type": ["string", "null"]}}}),
                otherwise={"required": ["request_url"], "properties": {"request_url": {"type": "string"}}},
            ),
            chosen(
                (get, {"properties": {"request_parameters": ref("query")}}),
                otherwise=body("request_parameters", "request_content_type"),
            ),
        ],
    }


def _rule() -> dict[str, Schema]:
    shape = ref("shape")
    keys = {"when": ref("condition"), "result": words(RESULTS), "code": shape, "text": shape}
    return keyed(RULE_KEYS, keys, dict.fromkeys(RULE_KEYS.keys() - {"result"}, "outcome"))


def _event(declared: Mapping[str, str]) -> Schema:
    keys = {
        "event_type": words(webhook_events.TYPES),
        "event_key": _ANY,
        "path": {"type": ["string", "array", "null"], "items": {"type": "string"}},
        "request_method": list_or_one(_http_method()),
        **dict.fromkeys(["request_query", "request_headers", "request_parameters"], ref("matched")),
        "request_content_type": media_type(optional=True),
        "request_charset": {"type": ["string", "number", "null"]},
        "when": ref("condition"),
        "variables": ref("variables"),
        "status_map": {"type": "object", "additionalProperties": words(webhook_events.STATUSES)},
        "continue": _BOOLEAN,
        "concat": only(keyed(webhook_events.CONCAT, dict.fromkeys(webhook_events.CONCAT, ref("shape"))),
                       *webhook_events.CONCAT),
        "verify": ref("verify"),
        "media_auth": {"anyOf": [_BOOLEAN, {"type": "array", "minItems": 1, "items": _host()}]},
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


def _needs() -> list[Schema]:
    """What an event needs that has no defaults: its type, and what that asks for."""
    return [{"required": ["event_type"]}, _needs_map()]


def _needs_map() -> Schema:
    of_status = {**has("event_type"), "properties": {"event_type": {"const": "messageStatus"}}}
    return {"if": of_status, "then": {"required": ["status_map"]}}


def _complete() -> Schema:
    return {"allOf": [ref("event"), *_needs()]}


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
    answer = {**only(_answer() | others), **body("body", "content_type", answer=True)}
    keys = {**_event(webhook_events.KEYS)["properties"]}
    keys["response"] = {**keys["response"], "allOf": [answer]}
    events = keyed(SECTION_KEYS, {"events": _of_each(ref("event"))})

    def without(key: str, needed: Schema) -> Schema:
        return {"if": {"not": has(key)}, "then": {"properties": {"events": _of_each(needed)}}}

    typed: Schema = {"required": ["event_type"]}
    return {
        **only(events | keys),
        "allOf": [without("event_type", typed), without("status_map", _needs_map())],
    }


def _ways() -> dict[str, Schema]:
    keys = {
        **dict.fromkeys(verify.KEYS, ref("shape")),
        "type": _ANY,
        "when": ref("condition"),
        "variables": ref("variables"),
        "name": TEXT,
        "encoding": words(ENCODINGS),
        "over": TEXT,
        "tolerance": number(1, MAX_TOLERANCE),
    }
    ways = {}
    for kind, (required, optional, _) in verify.SCHEMES.items():
        own = {**keys, "algorithm": words(ALGORITHMS if kind == "jwt" else DIGESTS)}
        declared = {key: verify.KEYS[key] for key in [*verify.COMMON, *required, *optional]}
        ways[kind] = only(keyed(declared, own, dict.fromkeys(declared, "verify")), "type", *required)
    return ways


def _answer() -> dict[str, Schema]:
    digits = {"type": "string", "pattern": "^[2-5][0-9][0-9]$"}
    keys = {
        "status": {"anyOf": [{"type": "integer", "minimum": LOWEST, "maximum": HIGHEST}, digits]},
        "content_type": media_type(optional=True),
        "headers": ref("headers"),
        "body": ref("shape"),
    }
    return keyed(RESPONSE_KEYS, keys)


def _http_method() -> Schema:
    return {
        "anyOf": [
            {"enum": REQUEST_METHODS},
            {"type": "string", "pattern": f"^(?:{any_case(REQUEST_METHODS)})$"},
        ]
    }


def _host() -> Schema:
    return {"type": "string", "pattern": r"^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+$"}


def _method_name(method: ApiMethod) -> str:
    return "receiving" if method.receives else "method"


def _names(method: ApiMethod) -> dict[str, Any]:
    """What the shapes of a method may read, and what those of its response may bind (null: any name)."""
    return {
        "reads": sorted(method.variables),
        "binds": None if method.binds is None else sorted(method.binds),
        "called_when": sentence(method.called_when),
    }


def _variables() -> dict[str, dict[str, str]]:
    """All variables by their groups, with what their values are."""
    request = names.REQUEST_VARIABLES
    groups = {
        "method": request | names.KEPT_VARIABLES | names.RESULT_VARIABLES,
        "token": {"access_token": request["access_token"]},
        "oauth": {name: request[name] for name in sorted(auth.READS)},
        "response": names.RESPONSE_VARIABLES,
        "exchange": names.EXCHANGE_VARIABLES | names.EVENT_KEY,
        "bound": names.BOUND_VARIABLES | {"cursor": names.KEPT_VARIABLES["cursor"]},
        "verify": names.VERIFY_VARIABLES,
    }
    return {group: {name: sentence(each) for name, each in found.items()} for group, found in groups.items()}
