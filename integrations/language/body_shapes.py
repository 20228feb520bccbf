"""Shapes of bodies, queries and headers: refused where their type can never write what they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from integrations.language.budget import spend
from integrations.language.errors import child
from integrations.language.placeholders import only
from integrations.language.scope import Scope
from integrations.language.shapes import Render, compile_render, may_be_dropped, optional_key
from integrations.language.values import Value, is_string
from integrations.language.xml import is_name
from integrations.language.xml_texts import compile_xml_text

Written = Literal["unknown", "text", "object", "list", "value"]
_FORM = "application/x-www-form-urlencoded"


def compile_body(
    key: str,
    node: Mapping[str, Value],
    content_type: str,
    scope: Scope,
    pointer: str,
    *,
    answer: bool = False,
) -> Render | None:
    """The shape under a key as body of a type, or None if there is none; problems go to the scope.

    A text under an XML type is a document. In an `answer` to a webhook, a text type takes only a text.
    """
    if key not in node:
        return None
    shape, place, kind = node[key], child(pointer, key), content_type.partition(";")[0].strip().casefold()
    is_xml = kind.endswith("xml")
    for part, where in _chosen(shape, place):
        if kind == _FORM:
            _check_pairs(part, scope, where)
        elif kind.startswith("multipart/") and _written(part) in ("text", "list", "value"):
            scope.refuse(where, "A multipart body needs an object of names and values.")
        elif is_xml:
            _check_xml(part, scope, where)
        elif kind.endswith("json") and _written(part) == "text":
            reason = "A text is no JSON body: it would be sent as one quoted string."
            suggestion = "Write the object itself, without quotes around it, or name another content type."
            scope.refuse(where, reason, suggestion)
        elif answer and kind.startswith("text/") and _written(part) in ("object", "list"):
            reason = f"An answer of type {kind!r} must be a text, not an object or list."
            scope.refuse(where, reason, "Leave 'content_type' out for JSON, or write xml.")
    return compile_render(shape, scope, place, compile_xml_text if is_xml else None)


def compile_query(key: str, node: Mapping[str, Value], scope: Scope, pointer: str) -> Render | None:
    """The shape under a key as a query, or None if there is none; problems go to the scope."""
    return compile_body(key, node, _FORM, scope, pointer)


def check_header_value(name: str, node: Value, scope: Scope, pointer: str) -> None:
    """Reports a header that is always an object or a list."""
    for part, where in _chosen(node, pointer):
        if _written(part) in ("object", "list"):
            scope.refuse(where, f"The header {name!r} must be a text, not an object or list.")


def _written(node: Value) -> Written:
    """What a shape gives whatever the values are, with a directive resolved by `_chosen`."""
    if is_string(node):
        return "text" if only(node) is None else "unknown"
    if isinstance(node, list) or (isinstance(node, Mapping) and "$each" in node):
        return "list"
    return "object" if isinstance(node, Mapping) else "unknown" if node is None else "value"


def _chosen(node: Value, pointer: str) -> Iterator[tuple[Value, str]]:
    """The shapes that may stand in for a shape, by its directives, and their places."""
    spend(1)
    if isinstance(node, Mapping) and "$first" in node:
        options = node["$first"]
        for index, option in enumerate(options if isinstance(options, list) else []):
            yield from _chosen(option, child(child(pointer, "$first"), index))
    elif isinstance(node, Mapping) and "$when" in node:
        yield from _chosen(node.get("$value"), child(pointer, "$value"))
    else:
        yield node, pointer


def _elements(node: Value, pointer: str) -> Iterator[tuple[Value, str]]:
    """The shapes of a list's elements, those of an `$each`, too."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            for part, where in _chosen(item, child(pointer, index)):
                spliced = isinstance(part, Mapping) and "$each" in part
                yield from _elements(part, where) if spliced else [(part, where)]
    elif isinstance(node, Mapping) and "$each" in node:
        for part, where in _chosen(node.get("$value"), child(pointer, "$value")):
            yield from (
                _elements(part, where) if isinstance(part, Mapping) and "$each" in part else [(part, where)]
            )


def _check_pairs(node: Value, scope: Scope, pointer: str) -> None:
    if _written(node) in ("text", "list", "value"):
        scope.refuse(
            pointer,
            "A query or form needs an object of names and values.",
            'Write {"name": "$value$"}, or name another content type.',
        )
    elif isinstance(node, Mapping):
        for key, value in node.items():
            for part, where in _chosen(value, child(pointer, key)):
                inner = list(_elements(part, where)) if _written(part) == "list" else []
                bad = [place for item, place in inner if _written(item) in ("object", "list")]
                for place in [where] if _written(part) == "object" else bad:
                    reason = f"{key!r} is an object; a query or form can hold only texts and lists of texts."
                    scope.refuse(place, reason, "To send it as JSON text, make it a variable and use |json.")


def _check_xml(node: Value, scope: Scope, pointer: str) -> None:
    if _written(node) in ("list", "value") or node == {}:
        scope.refuse(pointer, "XML needs an object with one key, the root element, or a text.")
    elif isinstance(node, Mapping):
        certain = [
            optional_key(key)[0]
            for key, value in node.items()
            if not optional_key(key)[1] and not may_be_dropped(value)
        ]
        if len(certain) > 1:
            reason = f"XML can have only one root element, not {len(certain)}: {', '.join(certain)}."
            scope.refuse(pointer, reason, "Put them into one object under the name of the root.")
        for key, value in node.items():
            if key.startswith(("@", "#")):
                reason = f"{key!r} cannot be the root element."
                scope.refuse(child(pointer, key), reason)
                continue
            for part, where in _chosen(value, child(pointer, key)):
                if _written(part) == "list":
                    scope.refuse(where, "XML can have only one root element, not a list of them.")
        _check_names(node, scope, pointer)


def _check_names(node: Value, scope: Scope, pointer: str) -> None:
    """Reports what cannot be the name of an element or attribute."""
    for part, place in _chosen(node, pointer):
        if _written(part) == "list":
            for item, where in _elements(part, place):
                _check_names(item, scope, where)
        elif isinstance(part, Mapping):
            for key, value in part.items():
                name = optional_key(key)[0]
                what = "attribute" if name.startswith("@") else "element"
                if name != "#text" and not is_name(name.removeprefix("@")) and "$" not in name:
                    reason = f"{name[:60]!r} cannot be the name of an XML {what}."
                    scope.refuse(child(place, key), reason)
                if what == "element" and name != "#text":
                    _check_names(value, scope, child(place, key))
