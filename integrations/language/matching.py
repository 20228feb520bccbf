"""Shapes matched against a document, which binds variables."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.language.batch import NoElementFits
from integrations.language.bindings import binder, leaf, literal, pattern, shown, text_leaf
from integrations.language.budget import spend
from integrations.language.errors import child
from integrations.language.expressions import parts_of
from integrations.language.frames import Frame, Match
from integrations.language.list_matching import Elements, as_list, each_element, elements_that_match, in_order
from integrations.language.placeholders import Placeholder, only, parse
from integrations.language.scope import Scope
from integrations.language.shapes import optional_key
from integrations.language.values import Value, dump, find, is_empty, is_string

WHOLE_LISTS = [("urls",), ("url",), ("to",), ("members",)]


def compile_match(node: Value, scope: Scope, pointer: str, *, elements: Elements) -> Match:
    """A function that matches a value and binds variables in frames; problems go to the scope.

    `elements` says which elements of a list must match a shape of one element: "all", each with its frame;
    "each" for itself, but all of the lists inside it; "some", also of the lists inside; or the "first" that
    matches. Elements that an earlier event has taken are passed over, and a Batch in the frames notes those
    that do not match. Where only these are the reason, it is a NoElementFits.
    """
    spend(1)
    if is_string(node):
        return _text(node, scope, pointer)
    if isinstance(node, Mapping):
        if "$first" in node:
            return _first(node, scope, pointer, elements)
        return _object(node, scope, pointer, elements)
    if isinstance(node, list):
        return _list(node, scope, pointer, elements)
    return literal(node, pointer)


def _text(source: str, scope: Scope, pointer: str) -> Match:
    parts = parts_of(source, scope, pointer)
    whole = only(source)
    if whole is not None:
        if whole.steps == ("urls",) and not whole.filters and not scope.knows("urls"):
            scope.warn(
                pointer,
                f"{whole.source} keeps only the last file of a list.",
                f'Write ["{whole.source}"] to keep all of them, or $url$ if there is never more than one.',
                whole.column,
            )
        bind = binder(whole, scope, pointer)
        return lambda value, frames: bind(text_leaf(value), frames)
    if not any(isinstance(part, Placeholder) for part in parts):
        return literal("".join(map(str, parts)), pointer)
    return pattern(parts, scope, pointer)


def _object(node: Mapping[str, Value], scope: Scope, pointer: str, elements: Elements) -> Match:
    literals: list[tuple[str, str, bool, Match]] = []
    others: list[tuple[str, str, bool, Match]] = []
    for key, value in node.items():
        place = child(pointer, key)
        name, optional = optional_key(key)
        if key.startswith("$") and key in ("$when", "$each", "$value", "$as"):
            scope.report(place, f"{key!r} can only be rendered, not matched.", at_key=True)
        elif any(isinstance(part, Placeholder) for part in parse(key)):
            scope.report(place, "Keys hold no placeholders.", at_key=True)
        inner = compile_match(value, scope, place, elements=elements)
        (literals if _is_literal(value) else others).append((name, _local(name), optional, inner))
    # Literals bind nothing, and are what most requests for other events lack.
    entries = literals + others

    def match(value: Value, frames: list[Frame]) -> str:
        value = leaf(value)
        missing = value is None and bool(entries)
        if missing:
            value = {}
        elif not isinstance(value, dict):
            return f"{pointer or 'the document'}: expected an object, got {shown(value)}{_xml(value)}"
        spend(len(entries))
        unfit = ""
        for name, local, optional, inner in entries:
            item = find(value, name)
            if item is None and local:
                item = find(value, local)
            if optional and is_empty(item):
                continue
            if reason := inner(item, frames):
                if missing:
                    return f"{pointer or 'the document'}: expected an object, got nothing"
                if not isinstance(reason, NoElementFits):
                    return reason
                unfit = unfit or reason
        return unfit

    return match


def _xml(value: Value) -> str:
    """What to try if the value may be a document of XML that was read as a text."""
    written = is_string(value) and value.lstrip()[:1] == "<"
    return '. If it is XML, write "request_content_type" or "response_format": "xml"' if written else ""


def _local(name: str) -> str:
    """The name without the prefix that it may have in XML, which is not read; "" if it has none."""
    prefix, colon, local = name.removeprefix("@").partition(":")
    return ("@" if name.startswith("@") else "") + local if prefix and colon and local else ""


def _list(node: list[Value], scope: Scope, pointer: str, elements: Elements) -> Match:
    if len(node) == 1:
        return _one_shape(node[0], scope, pointer, elements)
    parts = [
        compile_match(item, scope, child(pointer, index), elements=elements)
        for index, item in enumerate(node)
    ]
    if node and all(_is_literal(item) for item in node):
        reason = f"This matches a list of exactly these {len(node)} values in this order, not one of them."
        scope.warn(pointer, reason, f'For one of several values, write {{"$first": {dump(node)}}}.')
    return in_order(parts, pointer)


def _one_shape(node: Value, scope: Scope, pointer: str, elements: Elements) -> Match:
    """A list of one shape, which all its elements may match; some placeholders bind it whole."""
    place, whole = child(pointer, 0), only(node)
    if whole is not None and not scope.knows(whole.root):
        if whole.steps in WHOLE_LISTS:
            bind = binder(whole, scope, place, elements=True)
            return lambda value, frames: bind(as_list(value), frames)
        if whole.root not in {*scope.bindable, "_"}:
            taken = (
                "the first element" if elements == "first" else "each element by itself, an event for each"
            )
            reason = f"This takes {taken}; only $urls$, $url$, $to$ and $members$ bind a whole list."
            suggestion = "To use the whole list, read it in 'variables', as in $request.items|pluck:'id'$."
            scope.warn(place, reason, suggestion, whole.column)
    inner = compile_match(node, scope, place, elements="all" if elements == "each" else elements)
    if elements in ("each", "some"):
        return each_element(inner, pointer)
    return elements_that_match(inner, pointer, elements)


def _is_literal(node: Value) -> bool:
    return not isinstance(node, list | dict) and not any(
        isinstance(part, Placeholder) for part in (parse(node) if is_string(node) else ())
    )


def iterates(node: Value) -> bool:
    """Whether a shape has a list of one shape, which takes elements one by one."""
    if isinstance(node, Mapping):
        return any(map(iterates, node.values()))
    if not isinstance(node, list):
        return False
    whole = only(node[0]) if len(node) == 1 else None
    return (len(node) == 1 and (whole is None or whole.steps not in WHOLE_LISTS)) or any(map(iterates, node))


def _first(node: Mapping[str, Value], scope: Scope, pointer: str, elements: Elements) -> Match:
    place = child(pointer, "$first")
    if set(node) != {"$first"} or not isinstance(node["$first"], list) or not node["$first"]:
        scope.report(place, "$first must be the only key of its object and needs a list of shapes.")
        return lambda value, frames: ""
    known, options = dict(scope.names), []
    # Whether an alternative matches is decided where it stands, not when the files are known.
    blank_texts, scope.blank_texts = scope.blank_texts, False
    outside, scope.alternative = scope.alternative, True
    reached = dict(known)
    for index, item in enumerate(node["$first"]):
        # Each alternative binds names on its own, so none may compare with the binding of another.
        scope.names = dict(known)
        options.append(compile_match(item, scope, child(place, index), elements=elements))
        reached |= scope.names
    scope.names, scope.blank_texts, scope.alternative = reached, blank_texts, outside

    def match(value: Value, frames: list[Frame]) -> str:
        reason = ""
        for option in options:
            spend(len(frames))
            copies = [dict(frame) for frame in frames]
            reason = option(value, copies)
            if not reason:
                frames[:] = copies
                return ""
        return reason

    return match
