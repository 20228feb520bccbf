"""As much of JSON Schema as the API's description uses."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

_TYPES = {"object": dict, "string": str, "integer": int, "null": type(None)}
_FORMATS = {"uuid": UUID, "date-time": datetime.fromisoformat}
_SAID = {"description", "examples"}


def check(value: Any, schema: dict[str, Any], description: dict[str, Any]) -> None:
    """Fails unless the value is as the schema says, and the schema says nothing that is not checked here."""
    schema = dict(schema)
    for word in _SAID & set(schema):
        del schema[word]
    if "$ref" in schema:
        (reference,) = schema.values()
        check(value, resolved(reference, description), description)
        return
    properties = schema.pop("properties", {})
    if "type" in schema:
        allowed = schema.pop("type")
        assert isinstance(
            value, tuple(_TYPES[name] for name in (allowed if isinstance(allowed, list) else [allowed]))
        )
    if "const" in schema:
        assert value == schema.pop("const")
    if "enum" in schema:
        assert value in schema.pop("enum")
    if "format" in schema:
        _FORMATS[schema.pop("format")](value)
    assert set(schema.pop("required", [])) <= (set(value) if isinstance(value, dict) else set())
    if schema.pop("additionalProperties", True) is False:
        assert set(value) <= set(properties)
    assert len(value or "") <= schema.pop("maxLength", 1_000_000) if not isinstance(value, int) else True
    assert schema == {}
    for name, inner in properties.items():
        if name in value:
            check(value[name], inner, description)


def resolved(reference: str, description: dict[str, Any]) -> dict[str, Any]:
    """What a reference within the description points to."""
    found: Any = description
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)
