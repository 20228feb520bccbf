"""The JSON Schema (draft-07) of documents, made from what the compiler declares, for editors.

What it refuses, the compiler refuses, too; what the compiler refuses by structure, it refuses. Under
`x-patchbay` it says what JSON Schema cannot: the variables of each place, and the filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from integrations.language import auth, document, methods, names, oauth, properties, verify, webhook_events
from integrations.language.api_methods import METHODS, ApiMethod
from integrations.language.filters import FILTERS
from integrations.language.json_web_tokens import ALGORITHMS
from integrations.language.limits import LIMITS
from integrations.language.published import OTHER_CLASSES
from integrations.language.receiving import RECEIVING_KEYS
from integrations.language.schema_methods import method, rule
from integrations.language.schema_parts import (
    ANY,
    BOOLEAN,
    MEDIA_RANGE,
    NUMERIC,
    STEP,
    TEXT,
    Schema,
    any_case,
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
from integrations.language.schema_webhooks import answer, event, needs, webhook
from integrations.language.signatures import ALGORITHMS as DIGESTS
from integrations.language.signatures import ENCODINGS, MAX_TOLERANCE

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
    numbers = dict.fromkeys(LIMITS, positive)
    accepted = numbers | {
        "media_count": {**positive, "type": "integer"},
        "media_types": {"type": "array", "items": {"type": "string", "pattern": MEDIA_RANGE}},
    }
    other = rf"^(?!(?:{any_case(OTHER_CLASSES)})$)"
    # Tokens are obtained whether or not a method needs one; the other schemes are read by methods.
    oauth: Schema = {"if": {**has("type"), "properties": {"type": {"const": "OAuth2"}}}, "then": ref("oauth")}
    # Editors offer them before there is an API.
    kinds: Schema = {"properties": {"type": {"examples": list(auth.TYPES)}}}
    api = {name: described(method.purpose, ref(_method_name(method))) for name, method in METHODS.items()}
    return {
        "id": {
            "type": ["string", "integer", "boolean"],
            "pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]{1,63}$",
            "minimum": 10,
        },
        "name": {"type": ["string", "number", "boolean"], "pattern": r"\S"},
        "class": {**TEXT, "pattern": other, "examples": ["sms"]},
        **dict.fromkeys(["logo", "description", "documentation_url"], TEXT),
        "aliases": {"type": "array", "items": {"type": "string"}},
        "countries": {"type": "array", "items": {"type": "string", "pattern": f"^{document.COUNTRY}$"}},
        "properties": {"type": "array", "items": ref("property")},
        "auth": {**chosen(({"type": "array"}, {"items": oauth}), otherwise=oauth), **kinds},
        "OAuth2": {"if": {"type": "object"}, "then": ref("oauth")},
        "request_headers": {"x-patchbay": {"place": "credentials"}},
        "tables": {"type": "object", "additionalProperties": {"type": "object"}},
        "limits": only(keyed(LIMITS, accepted)),
        "API": only(api),
        "Webhook": ref("webhook"),
        "$schema": ANY,
    }


def _definitions() -> dict[str, Schema]:
    return {
        "property": _property(),
        "auth": chosen(
            ({"type": "array"}, {"items": ref("auth")}), otherwise=_by_type(auth.TYPES, _schemes())
        ),
        "oauth": _oauth(),
        "grant": {"type": "object", "properties": {"when": ref("condition")}},
        "method": method(methods.KEYS),
        "receiving": method(methods.KEYS | RECEIVING_KEYS),
        "rule": rule(),
        "webhook": webhook(),
        "event": event(webhook_events.KEYS),
        "polled": {"allOf": [event(webhook_events.POLLED_KEYS), *needs()]},
        "verify": list_or_one(_by_type(verify.TYPES, _ways())),
        "answer": {**answer()},
    }  # fmt: skip


def _property() -> Schema:
    label = {"type": ["string", "boolean"], "pattern": f"^{STEP}$"}
    keys = {
        **dict.fromkeys(["required", "secret"], BOOLEAN),
        "name": label,
        "type": words(properties.TYPES),
        "choices": {"type": "array"},
        "default": ANY,
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
        "type": ANY,
        "when": ref("condition"),
        "algorithm": words(ALGORITHMS),
        "expires": number(1, auth.LONGEST),
    }
    places = dict.fromkeys(keys, "credentials")
    schemes = {}
    for kind, fields in auth.FIELDS.items():
        required = [key for key in fields if key not in auth.OPTIONAL]
        schemes[kind] = only(keyed(oauth.COMMON | fields, keys, places), "type", *required)
    return schemes | {"OAuth2": {"allOf": [ref("oauth"), ref("grant")]}}


def _oauth() -> Schema:
    def wrapped(schema: Schema) -> Schema:
        alone = {**has("default"), "maxProperties": 1}
        return chosen((alone, {"properties": {"default": schema}}), otherwise=schema)

    encoded: Schema = {"type": ["string", "number", "object"], "if": {"type": "object"}, "then": ref("shape")}
    keys = {
        **dict.fromkeys(["client_id", "client_secret", "request_auth"], wrapped(ref("shape"))),
        **dict.fromkeys(["authorization_endpoint", "token_endpoint"], wrapped(ref("url"))),
        "type": ANY,
        "when": ANY,
        "flow_type": wrapped({"enum": [*oauth.FLOWS, 0]}),
        "authorization_parameters": wrapped(encoded),
        "token_parameters": wrapped({**encoded, "properties": {"content_type": media_type()}}),
        "token_auth": wrapped(words(oauth.TOKEN_AUTH)),
    }  # fmt: skip
    places = dict.fromkeys(oauth.KEYS.keys() - oauth.COMMON.keys() - {"flow_type", "token_auth"}, "oauth")
    without = [word for word, flow in oauth.FLOWS.items() if flow != "authorization_code"]
    return {
        **only(keyed(oauth.KEYS, keys, places), "client_id", "token_endpoint"),
        "if": {**has("flow_type"), "properties": {"flow_type": wrapped({"enum": without})}},
        "else": {"required": ["authorization_endpoint"]},
    }


def _ways() -> dict[str, Schema]:
    keys = {
        **dict.fromkeys(verify.KEYS, ref("shape")),
        "type": ANY,
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
        "oauth": {name: request[name] for name in sorted(oauth.READS)},
        "response": names.RESPONSE_VARIABLES,
        "exchange": names.EXCHANGE_VARIABLES | names.EVENT_KEY,
        "bound": names.BOUND_VARIABLES | {"cursor": names.KEPT_VARIABLES["cursor"]},
        "verify": names.VERIFY_VARIABLES,
    }
    return {group: {name: sentence(each) for name, each in found.items()} for group, found in groups.items()}
