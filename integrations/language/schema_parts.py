"""Parts of the JSON Schema of documents: words, conditions, and shapes by what may be written there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from integrations.language.conditions import OPERATORS
from integrations.language.sections import MEDIA_TYPES, REQUEST_METHODS, RESERVED

Schema = dict[str, Any]

# The grammar of placeholders.py for engines whose \w is ASCII: all that is not ASCII counts as a letter.
STEP = r"[^\x00-@\[-^`{-\x7f](?:[^\x00-\x1f!-,./:-@\[-^`{-\x7f]{0,98}[^\x00-,./:-@\[-^`{-\x7f])?"
_NAME = rf"{STEP}(?:\.{STEP}|\[[0-9]{{1,4}}\])*"
_ARGUMENT = rf"'(?:[^']|'')*'|-?[0-9]+(?:\.[0-9]+)?|{_NAME}"
WHOLE = rf"^\${_NAME}\??(?:\|[A-Za-z0-9_]+(?::(?:{_ARGUMENT}))*)*\$$"
MEDIA_RANGE = r"^[^\x00-*,/:-@\[-^`{-\x7f]+/[^\x00-),/:-@\[-^`{-\x7f]+$"
URL = r"^(?:https?://|\$)"
ANY: Schema = {}
BOOLEAN: Schema = {"type": "boolean"}
TEXT: Schema = {"type": ["string", "number", "boolean", "null"]}
_NUMERAL = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
# A number, or a text that is one.
NUMERIC: Schema = {
    "anyOf": [{"type": ["number", "null"]}, {"type": "string", "pattern": rf"^\s*{_NUMERAL}\s*$"}]
}
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def sentence(words: str) -> str:
    """A line of the reference as editors show it: without links, and what else refers to the page."""
    plain = _LINK.sub(r"\1", words).replace("; see below", "")
    return plain[:1].upper() + plain[1:] + ("" if plain.endswith(".") else ".")


def ref(name: str) -> Schema:
    """A definition, by its name."""
    return {"$ref": f"#/definitions/{name}"}


def described(words: str, schema: Schema, place: str = "") -> Schema:
    """The schema with what editors show; a reference is wrapped, since nothing beside one counts.

    `place` says which variables its placeholders may have.
    """
    found = {"allOf": [schema]} if "$ref" in schema else schema
    return {"description": sentence(words), **found, **({"x-patchbay": {"place": place}} if place else {})}


def keyed(
    declared: Mapping[str, str], schemas: Mapping[str, Schema], places: Mapping[str, str] | None = None
) -> dict[str, Schema]:
    """The properties of an object with these keys. Raises KeyError for a key without a schema."""
    return {
        key: described(words, schemas[key], (places or {}).get(key, "")) for key, words in declared.items()
    }


def words(declared: Mapping[str, str] | Iterable[str]) -> Schema:
    """One of these words, with what each means if that is declared."""
    schema: Schema = {"enum": list(declared)}
    if isinstance(declared, Mapping):
        schema["enumDescriptions"] = [sentence(each) for each in declared.values()]
    return schema


def any_case(known: Iterable[str]) -> str:
    """A pattern of these words in any case."""
    return "|".join(
        "".join(
            f"[{each.upper()}{each.lower()}]" if each.isalpha() else re.escape(each).replace("\\-", "-")
            for each in word
        )
        for word in known
    )


def spelled(known: Mapping[str, bool]) -> Schema:
    """A boolean, or a word for one."""
    pattern = rf"^\s*(?:{any_case(known)})\s*$"
    return {
        "anyOf": [{"type": ["boolean", "null"]}, {"enum": [0, 1]}, {"type": "string", "pattern": pattern}]
    }


def number(low: float, high: float) -> Schema:
    """A number from one to the other."""
    return {"type": "number", "minimum": low, "maximum": high}


def only(properties: Mapping[str, Schema], *required: str) -> Schema:
    """An object with these keys and no others."""
    schema: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**schema, "required": list(required)} if required else schema


def has(*keys: str) -> Schema:
    """An object with these keys, whatever they hold."""
    return {"type": "object", "required": list(keys)}


def chosen(*cases: tuple[Schema, Schema], otherwise: Schema) -> Schema:
    """The schema of the first case whose condition holds."""
    for condition, schema in reversed(cases):
        otherwise = {"if": condition, "then": schema, "else": otherwise}
    return otherwise


def list_or_one(schema: Schema) -> Schema:
    """The schema, or a list of what it describes."""
    return chosen(({"type": "array"}, {"items": schema}), otherwise=schema)


def media_type(*, optional: bool = False) -> Schema:
    """A short name in any case, or a full media type."""
    pattern = rf"^\s*(?:{any_case(MEDIA_TYPES)}|[ -~]*/[ -~]*)\s*$"
    options: list[Schema] = [{"enum": list(MEDIA_TYPES)}, {"type": "string", "pattern": pattern}]
    return {"anyOf": [*options, {"enum": ["", None]}] if optional else options}


def of_type(key: str, short: str, *full: str) -> Schema:
    """An object whose key has a media type: its short name, or a full one of a pattern."""
    pattern = rf"^\s*(?:{any_case([short])}|(?:{'|'.join(full)})\s*(?:;.*)?)\s*$"
    return {**has(key), "properties": {key: {"type": "string", "pattern": pattern}}}


def _directive(inner: Schema, each: Schema) -> list[tuple[Schema, Schema]]:
    """The cases of an object that is a directive, which chooses among `inner` or loops over `each`."""
    options = {"type": "array", "minItems": 1, "items": inner}
    loop = {"$each": {"type": "string", "pattern": WHOLE}, "$as": {"type": "string"}, "$value": ref("shape")}
    return [
        (has("$first"), only({"$first": described("the first shape that gives a value", options)})),
        (has("$when"), only({"$when": ref("condition"), "$value": inner}, "$value")),
        (has("$each"), {"allOf": [only(loop, *loop), each]}),
    ]


def _chosen(otherwise: Schema, *, each: Schema | None = None, name: str) -> Schema:
    plain = {"properties": {"$value": False, "$as": False}, **otherwise}
    return chosen(*_directive(ref(name), {} if each is None else each), otherwise=plain)


def definitions() -> dict[str, Schema]:
    """Conditions and shapes, each under its name."""
    comparison = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{_NUMERAL}$"}]}
    operands = dict.fromkeys(OPERATORS, comparison) | {"not": ref("expected"), "matches": {"type": "string"}}
    no_list: Schema = {"not": {"type": ["object", "array"]}}
    pair: Schema = {"type": ["object", "string", "null"], "pattern": WHOLE}
    looped = {"properties": {"$value": ref("item")}}
    unknown: Schema = {"properties": dict.fromkeys(["$when", "$each", "$value", "$as"], False)}
    return {
        "condition": {
            "type": ["object", "array"],
            "items": ref("condition"),
            "propertyNames": {"pattern": WHOLE},
            "additionalProperties": ref("expected"),
        },
        "expected": {
            "items": ref("expected"),
            "properties": keyed(OPERATORS, operands),
            "additionalProperties": False,
        },
        "shape": _chosen({"items": ref("shape"), "additionalProperties": ref("shape")}, name="shape"),
        "matched": chosen(
            (has("$first"), only({"$first": {"type": "array", "minItems": 1, "items": ref("matched")}})),
            otherwise={**unknown, "items": ref("matched"), "additionalProperties": ref("matched")},
        ),
        "header name": {
            "type": ["string", "number", "boolean"],
            "pattern": rf"^(?!(?:{any_case(sorted(RESERVED))})$)[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        },
        # A text, or what gives one.
        "header": _chosen(no_list, each=no_list, name="header"),
        "headers": {
            "type": "object",
            "propertyNames": ref("header name"),
            "additionalProperties": ref("header"),
        },
        # An object of texts and lists of texts: a query or a form.
        "query": _chosen({**pair, "additionalProperties": ref("field")}, each=no_list, name="query"),
        "field": _chosen({"not": {"type": "object"}, "items": ref("item")}, each=looped, name="field"),
        "item": _chosen(no_list, each=looped, name="item"),
        # The bodies of the other media types.
        "multipart": _chosen(
            {**pair, "additionalProperties": ref("shape")}, each=no_list, name="multipart"
        ),
        "json": _chosen(
            {"pattern": WHOLE, "items": ref("shape"), "additionalProperties": ref("shape")}, name="json"
        ),
        "xml": _chosen(
            {"type": ["object", "string", "null"], "minProperties": 1, "additionalProperties": ref("shape")},
            each=no_list, name="xml",
        ),
        "text": _chosen(no_list, each=no_list, name="text"),
        "variables": {
            "type": "object",
            "propertyNames": {"pattern": f"^{STEP}$"},
            "additionalProperties": ref("shape"),
        },
        "url": {"type": "string", "pattern": URL},
    }  # fmt: skip


def body(key: str, type_key: str, *, answer: bool = False) -> Schema:
    """What the body under a key may be, by the media type under another key."""

    def under(name: str) -> Schema:
        return {"properties": {key: ref(name)}}

    form = any_case(["application/x-www-form-urlencoded"])
    cases = [
        (of_type(type_key, "form", form), under("query")),
        (of_type(type_key, "multipart", any_case(["multipart/"]) + "[^;]*"), under("multipart")),
        (of_type(type_key, "xml", "[^;]*" + any_case(["xml"])), under("xml")),
        (of_type(type_key, "json", "[^;]*" + any_case(["json"])), under("json")),
    ]
    if answer:
        cases.append((of_type(type_key, "text", any_case(["text/"]) + "[^;]*"), under("text")))
        return chosen(*cases, otherwise=under("shape"))
    cases.append(({"not": has(type_key)}, under("json")))
    return chosen(*cases, otherwise=under("shape"))


def http_method() -> Schema:
    """A method of HTTP, in any case."""
    return {
        "anyOf": [
            {"enum": REQUEST_METHODS},
            {"type": "string", "pattern": f"^(?:{any_case(REQUEST_METHODS)})$"},
        ]
    }
