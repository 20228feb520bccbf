"""The part of the JSON Schema of documents that describes API methods, and the rules for their responses."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.language import methods
from integrations.language.published import KEYS as PUBLISHED_KEYS
from integrations.language.receiving import LONGEST, SHORTEST
from integrations.language.response_rules import FORMATS, RESULTS, RULE_KEYS
from integrations.language.schema_parts import (
    BOOLEAN,
    URL,
    Schema,
    any_case,
    body,
    chosen,
    has,
    http_method,
    keyed,
    list_or_one,
    media_type,
    number,
    only,
    ref,
    words,
)


def rule() -> Schema:
    """A rule of `response_errors`."""
    return only(_rule_keys())


def method(declared: Mapping[str, str]) -> Schema:
    """A method with these keys."""
    split = {
        "max": number(1, methods.MAX_PART),
        "unit": words(methods.UNITS),
        "into": words(methods.INTO),
    }
    keys = {
        "request_method": http_method(),
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
        "idempotent": BOOLEAN,
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


def _rule_keys() -> dict[str, Schema]:
    shape = ref("shape")
    keys = {"when": ref("condition"), "result": words(RESULTS), "code": shape, "text": shape}
    return keyed(RULE_KEYS, keys, dict.fromkeys(RULE_KEYS.keys() - {"result"}, "outcome"))
