"""Requests as flat collections of values, each with the path that leads to it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from integrations import bodies, case_http
from integrations.events import RenderedRequest
from integrations.language.values import Value, load, text

Path = tuple[str | int, ...]


def flatten(value: Value, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every value in a tree that is not a list or object, as text, with the keys that lead to it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flatten(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from flatten(item, (*path, index))
    else:
        yield path, text(value)


def flatten_request(request: RenderedRequest) -> Iterator[tuple[Path, str]]:
    """The values in path, query, headers and body; fields that may repeat are always lists."""
    parts = urlsplit(request.url)
    yield from flatten(unquote(parts.path).split("/"), ("path",))
    yield from flatten(_lists(bodies.pairs(parts.query)), ("query",))
    for name, value in request.headers.items():
        if name.lower() != "content-type":
            yield ("headers", name.lower()), value
    for way, body in _body(request).items():
        if way == "multipart":
            body = _fields(body)
        elif way == "form":
            body = _lists(body)
        yield from flatten(body, ("body",))


def files_of(request: RenderedRequest) -> tuple[bytes, ...]:
    """The files in a multipart body."""
    return tuple(
        base64.b64decode(part["base64"]) for part in _body(request).get("multipart", []) if "base64" in part
    )


def _body(request: RenderedRequest) -> dict[str, Any]:
    kinds = (value for name, value in request.headers.items() if name.lower() == "content-type")
    return case_http.shown_body(request.body or b"", next(kinds, ""))


def _lists(fields: Mapping[str, Value]) -> dict[str, list[Value]]:
    return {name: value if isinstance(value, list) else [value] for name, value in fields.items()}


def _fields(parts: list[Mapping[str, Value]]) -> dict[str, list[Value]]:
    """The texts of the parts by name, each followed by its JSON object or list, if it is one."""
    found: dict[str, list[Value]] = {}
    for part in parts:
        if "text" in part:
            values = found.setdefault(text(part.get("name")), [])
            values += [part["text"], _object(part["text"])]
    return found


def _object(source: str) -> Value:
    try:
        value = load(source)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict | list) else {}
