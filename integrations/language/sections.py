"""What the sections of a document share: known keys, media types, headers, variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from integrations.language.body_shapes import check_header_value
from integrations.language.budget import TooMuchWork
from integrations.language.errors import child, did_you_mean
from integrations.language.placeholders import STEP
from integrations.language.scope import Scope
from integrations.language.shapes import Render, compile_render
from integrations.language.values import Number, Value, Variables, depth_of, is_number, is_string, text

Headers = tuple[tuple[str, Render], ...]
MEDIA_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "xml": "application/xml",
    "multipart": "multipart/form-data",
    "text": "text/plain; charset=utf-8",
}
REQUEST_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
MAX_DEPTH = 100
RESERVED = {"host", "content-length", "transfer-encoding", "connection"}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def check_keys(node: Mapping[str, Value], known: Iterable[str], scope: Scope, pointer: str) -> None:
    """Reports unknown keys."""
    for key in node:
        if key not in known:
            reason = f"Unknown key {key!r}."
            scope.report(child(pointer, key), reason, did_you_mean(key, known), at_key=True)


def check_texts(node: Mapping[str, Value], keys: Iterable[str], scope: Scope, pointer: str) -> None:
    """Reports an object or a list where a text belongs; a number or boolean counts as a text."""
    for key in keys:
        if isinstance(node.get(key), dict | list):
            scope.refuse(child(pointer, key), f"{key!r} must be a text, not an object or list.")


def choice(node: Mapping[str, Value], key: str, known: Iterable[str], scope: Scope, pointer: str) -> str:
    """The word under a key, or the first of the known words if the key is missing; reports any other word."""
    known = list(known)
    word = text(node.get(key, known[0]))
    if word in known:
        return word
    scope.report(
        child(pointer, key), f"{word!r} is not a valid value for {key!r}.", did_you_mean(word, known)
    )
    return known[0]


def boolean(node: Mapping[str, Value], key: str, scope: Scope, place: str) -> bool:
    """The boolean under a key, false if it is missing."""
    value = node.get(key, False)
    if not isinstance(value, bool):
        scope.report(place, f"{key!r} must be true or false.")
    return value is True


def number(
    node: Mapping[str, Value], key: str, default: float, low: float, high: float, scope: Scope, pointer: str
) -> float:
    """The number under a key; reports one outside the limits."""
    value = node.get(key, Number(default))
    if is_string(value) or not is_number(value):
        scope.report(child(pointer, key), f"{key!r} must be a number from {low:g} to {high:g}.")
    elif not low <= float(text(value)) <= high:
        scope.report(child(pointer, key), f"{key!r} must be from {low:g} to {high:g}, not {text(value)}.")
    else:
        return float(text(value))
    return default


def media_type(value: Value, scope: Scope, pointer: str) -> str:
    """The media type for a short name, or the full media type as it is."""
    name = text(value).strip()
    kind = MEDIA_TYPES.get(name.casefold(), name)
    if (
        isinstance(value, dict | list)
        or "/" not in kind
        or any(not " " <= character <= "~" for character in kind)
    ):
        scope.report(
            pointer,
            f"{name!r} is not a content type.",
            "Use json, form, xml, multipart, or a full media type.",
        )
    return kind


def compile_headers(node: Value, scope: Scope, pointer: str) -> Headers:
    """The headers in an object; reports names that only the transport may set."""
    if not isinstance(node, Mapping):
        scope.report(pointer, "Headers must be an object of names and values.")
        return ()
    headers = []
    for name, value in node.items():
        place = child(pointer, name)
        check_header(name, scope, place, at_key=True)
        check_header_value(name, value, scope, place)
        headers.append((name, compile_render(value, scope, place)))
    return tuple(headers)


def check_header(name: str, scope: Scope, pointer: str, *, at_key: bool = False) -> None:
    """Reports a header name that cannot be sent."""
    if not _TOKEN.fullmatch(name):
        scope.report(pointer, f"{name!r} is not a valid header name.", at_key=at_key)
    elif name.casefold() in RESERVED:
        reason = f"The header {name!r} is set by the transport and cannot be changed."
        scope.report(pointer, reason, at_key=at_key)


def compile_shape(key: str, node: Mapping[str, Value], scope: Scope, pointer: str) -> Render | None:
    """The shape under a key, or None if there is none."""
    return compile_render(node[key], scope, child(pointer, key)) if key in node else None


def _shallow(render: Render) -> Render:
    """A variable is a value like one that was received: not as deep as one that holds all those before it."""

    def bounded(variables: Variables) -> Value:
        value = render(variables)
        if isinstance(value, list | dict) and depth_of(value) > MAX_DEPTH:
            raise TooMuchWork
        return value

    return bounded


def compile_variables(node: Value, scope: Scope, pointer: str) -> Headers:
    """Named shapes, in order; each may read those before it and the variable that it replaces."""
    if not isinstance(node, Mapping):
        scope.report(pointer, "Variables must be an object of names and shapes.")
        return ()
    compiled = []
    for name, value in node.items():
        place = child(pointer, name)
        if not re.fullmatch(STEP, name) or name in scope.labels or name in scope.exchange:
            scope.report(place, f"{name!r} cannot be the name of a variable.", at_key=True)
        # A variable of properties and literals alone may be part of a host, so what it reads decides.
        reads = replace(scope, used=set())
        compiled.append((name, _shallow(compile_render(value, reads, place))))
        scope.used |= reads.used
        scope.names[name] = any(
            read not in scope.labels and scope.names.get(read, True) for read in reads.used
        )
        if any(map(scope.is_private, reads.used)):
            scope.private.add(name)
        else:
            scope.private.discard(name)
    return tuple(compiled)
