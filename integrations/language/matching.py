"""Shapes matched against a document, which binds variables."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Literal

import re2

from integrations.language.batch import Batch, NoElementFits
from integrations.language.budget import spend
from integrations.language.errors import child, did_you_mean
from integrations.language.expressions import filtering, parts_of
from integrations.language.patterns import Pattern
from integrations.language.placeholders import Placeholder, only, parse
from integrations.language.scope import Scope
from integrations.language.shapes import optional_key
from integrations.language.values import ANY, Value, dump, find, is_empty, is_string, plain, text, walk

Frame = dict[str, Value]
# Binds in every frame; lists may multiply the frames. Returns "" or the reason why the value does not match.
Match = Callable[[Value, list[Frame]], str]
Elements = Literal["each", "all", "some", "first"]
_Bind = Callable[[Value, list[Frame]], str]
# Under this name, a frame may hold what properties that are not known yet were compared with.
COMPARED = "\0compared"
# Under these, the Batch of a webhook request, and the elements of lists from which a frame was made.
BATCH, ELEMENTS = "\0batch", "\0elements"
# Under this, why a text that is empty does not match, unless the event has files.
BLANK = "\0blank"
Compared = dict[str, set[str]]
WHOLE_LISTS = [("urls",), ("url",), ("to",)]
# Bound without white space at their ends, which some providers write.
_IDS = frozenset(["messageid", "message_uuid", "subscription_id"])
MAX_EVENTS = 1000
_TOO_MANY = f"{{}}: one request can have at most {MAX_EVENTS} events"


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
    return _literal(node, pointer)


def _leaf(value: Value) -> Value:
    if isinstance(value, list):
        return value[-1] if value else None
    return value


def _text_leaf(value: Value) -> Value:
    return plain(_leaf(value))


def _stripped(value: str) -> str:
    """The text without white space at its ends; a Number has none, and stays one."""
    return value.strip() if value[:1].isspace() or value[-1:].isspace() else value


def _shown(value: Value) -> str:
    found = text(value)
    return "nothing" if value is None else repr(found if len(found) <= 60 else found[:60] + "…")


def _xml(value: Value) -> str:
    """What to try if the value may be a document of XML that was read as a text."""
    written = is_string(value) and value.lstrip()[:1] == "<"
    return '. If it is XML, write "request_content_type" or "response_format": "xml"' if written else ""


def _literal(expected: Value, pointer: str) -> Match:
    literal = text(expected)
    if expected is None:
        return lambda value, frames: (
            "" if value is None else f"{pointer}: expected nothing, got {_shown(value)}"
        )

    def match(value: Value, frames: list[Frame]) -> str:
        value = _text_leaf(value)
        return "" if text(value) == literal else f"{pointer}: expected {literal!r}, got {_shown(value)}"

    return match


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
        bind = _binder(whole, scope, pointer)
        return lambda value, frames: bind(_text_leaf(value), frames)
    if not any(isinstance(part, Placeholder) for part in parts):
        return _literal("".join(map(str, parts)), pointer)
    return _pattern(parts, scope, pointer)


def _pattern(parts: list[str | Placeholder], scope: Scope, pointer: str) -> Match:
    expression, binders = "", []
    for index, part in enumerate(parts):
        if isinstance(part, str):
            expression += re2.escape(part)
            continue
        if index and isinstance(parts[index - 1], Placeholder):
            scope.report(pointer, "Two placeholders need a literal between them.", column=part.column)
        expression += "(.*?)" if part.optional else "(.+?)"
        binders.append(_binder(part, scope, pointer))
    try:
        pattern = Pattern(expression, dot_all=True)
    except re2.error:
        scope.report(pointer, "This text is too long to be matched around placeholders.")
        pattern = Pattern("")

    def match(value: Value, frames: list[Frame]) -> str:
        value = _text_leaf(value)
        found = pattern.fullmatch(text(value))
        if found is None:
            return f"{pointer}: {_shown(value)} does not match the text of the shape"
        for bind, group in zip(binders, found.groups(), strict=True):
            if reason := bind(group, frames):
                return reason
        return ""

    return match


def _binder(placeholder: Placeholder, scope: Scope, pointer: str, *, elements: bool = False) -> _Bind:
    name, optional = placeholder.root, placeholder.optional
    if name in scope.exchange and len(placeholder.steps) == 1:
        scope.report(
            pointer,
            f"${name}$ is part of the request or response and cannot be bound.",
            column=placeholder.column,
        )
        filtering(placeholder, scope, pointer)
        return lambda value, frames: ""
    if len(placeholder.steps) > 1 or scope.knows(name):
        return _comparison(placeholder, scope, pointer)
    apply = filtering(placeholder, scope, pointer, of_sender=name == "from" and name in scope.bindable)
    may_be_blank = scope.blank_texts and name in ("text", "content") and not optional
    if name != "_":
        if name not in scope.bindable:
            scope.own.setdefault(name, (pointer, placeholder.column))
        scope.names[name] = True

    def bind(value: Value, frames: list[Frame]) -> str:
        spend(len(frames))
        for frame in frames:
            found = value
            if apply is not None:
                found = [apply(item, frame) for item in value] if elements and value else apply(value, frame)
            if name in _IDS and isinstance(found, str):
                found = _stripped(found)
            if elements and isinstance(found, list):
                found = [item for item in found if not is_empty(item)]
            if is_empty(found) and found is not ANY:
                if may_be_blank:
                    frame[BLANK] = f"{pointer}: ${name}$ is missing or empty"
                elif not optional:
                    return f"{pointer}: ${name}$ is missing or empty"
                found = None
            if name == "_" or found is None:
                continue
            if name in frame and text(frame[name]) != text(found):
                return f"{pointer}: ${name}$ is {_shown(found)} here, but was {_shown(frame[name])} before"
            frame[name] = found
        return ""

    return bind


def _comparison(placeholder: Placeholder, scope: Scope, pointer: str) -> _Bind:
    name, optional, steps = placeholder.root, placeholder.optional, placeholder.steps[1:]
    apply = filtering(placeholder, scope, pointer)
    if not scope.resolve(placeholder.steps, pointer, placeholder.column):
        return lambda value, frames: ""
    bound_here = name in scope.bindable or name in scope.own
    # A secret is never compared with what a request says in plain sight; `resolve` reports it.
    public = not steps and scope.labels.get(name) is False
    if public:
        scope.compared.add(name)

    def compare(value: Value, frames: list[Frame]) -> str:
        spend(len(frames))
        for frame in frames:
            found = apply(value, frame) if apply is not None else value
            if name in _IDS and not steps and isinstance(found, str):
                found = _stripped(found)
            if is_empty(found) and optional:
                continue
            if bound_here and not steps and name not in frame:
                if is_empty(found):
                    return f"{pointer}: ${name}$ is missing or empty"
                frame[name] = found
                continue
            expected = walk(frame.get(name), steps)
            if expected is ANY:
                if public and COMPARED in frame:
                    frame[COMPARED].setdefault(name, set()).add(text(found))
            elif text(found) != text(expected):
                return f"{pointer}: {_shown(found)} is not the value of {placeholder.source}"
        return ""

    return compare


def _object(node: Mapping[str, Value], scope: Scope, pointer: str, elements: Elements) -> Match:
    entries: list[tuple[str, str, bool, Match]] = []
    for key, value in node.items():
        place = child(pointer, key)
        name, optional = optional_key(key)
        if key.startswith("$") and key in ("$when", "$each", "$value", "$as"):
            scope.report(place, f"{key!r} can only be rendered, not matched.", at_key=True)
        elif any(isinstance(part, Placeholder) for part in parse(key)):
            scope.report(place, "Keys hold no placeholders.", at_key=True)
        entries.append((name, _local(name), optional, compile_match(value, scope, place, elements=elements)))

    def match(value: Value, frames: list[Frame]) -> str:
        value = _leaf(value)
        missing = value is None and bool(entries)
        if missing:
            value = {}
        elif not isinstance(value, dict):
            return f"{pointer or 'the document'}: expected an object, got {_shown(value)}{_xml(value)}"
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


def _local(name: str) -> str:
    """The name without the prefix that it may have in XML, which is not read; "" if it has none."""
    prefix, colon, local = name.removeprefix("@").partition(":")
    return ("@" if name.startswith("@") else "") + local if prefix and colon and local else ""


def _list(node: list[Value], scope: Scope, pointer: str, elements: Elements) -> Match:
    if len(node) == 1:
        whole = only(node[0])
        if whole is not None and whole.steps in WHOLE_LISTS and not scope.knows(whole.root):
            bind = _binder(whole, scope, child(pointer, 0), elements=True)
            return lambda value, frames: bind(_as_list(value), frames)
        if whole is not None and not scope.knows(whole.root) and whole.root not in {*scope.bindable, "_"}:
            taken = (
                "the first element" if elements == "first" else "each element by itself, an event for each"
            )
            reason = f"This takes {taken}; only $urls$, $url$ and $to$ bind a whole list."
            suggestion = "To use the whole list, read it in 'variables', as in $request.items|pluck:'id'$."
            scope.warn(child(pointer, 0), reason, suggestion, whole.column)
        inner = compile_match(
            node[0], scope, child(pointer, 0), elements="all" if elements == "each" else elements
        )
        return _each(inner, pointer) if elements in ("each", "some") else _elements(inner, pointer, elements)
    parts = [
        compile_match(item, scope, child(pointer, index), elements=elements)
        for index, item in enumerate(node)
    ]
    if node and all(_is_literal(item) for item in node):
        reason = f"This matches a list of exactly these {len(node)} values in this order, not one of them."
        scope.warn(pointer, reason, f'For one of several values, write {{"$first": {dump(node)}}}.')

    def match(value: Value, frames: list[Frame]) -> str:
        items = _as_list(value) or []
        if not parts:
            return f"{pointer}: [] matches nothing; that a list is empty is a condition for 'when'"
        if not items or len(items) > len(parts):
            return f"{pointer}: expected a list of {len(parts)} elements, got {len(items)}"
        for part, item in itertools.zip_longest(parts, items):
            if reason := part(item, frames):
                return reason
        return ""

    return match


def _is_literal(node: Value) -> bool:
    return not isinstance(node, list | dict) and not any(
        isinstance(part, Placeholder) for part in (parse(node) if is_string(node) else ())
    )


def _as_list(value: Value) -> list[Value] | None:
    return value if isinstance(value, list) or value is None else [value]


def iterates(node: Value) -> bool:
    """Whether a shape has a list of one shape, which takes elements one by one."""
    if isinstance(node, Mapping):
        return any(map(iterates, node.values()))
    if not isinstance(node, list):
        return False
    whole = only(node[0]) if len(node) == 1 else None
    return (len(node) == 1 and (whole is None or whole.steps not in WHOLE_LISTS)) or any(map(iterates, node))


def _each(inner: Match, pointer: str) -> Match:
    def match(value: Value, frames: list[Frame]) -> str:
        if value is None or value == []:
            return f"{pointer}: expected a list that is not empty, got {_shown(value)}"
        batch = frames[0].get(BATCH) or Batch()
        rest = batch.rest(value)
        if not rest:
            return f"{pointer}: all elements of the list fit earlier events"
        if len(rest) * len(frames) > MAX_EVENTS:
            return _TOO_MANY.format(pointer)
        collected: list[Frame] = []
        reason = ""
        for key, item in rest:
            spend(len(frames))
            copies = [{**frame, ELEMENTS: (*frame.get(ELEMENTS, ()), key)} for frame in frames]
            if reason := inner(item, copies):
                batch.miss(key, reason)
            else:
                collected += copies
        if not collected:
            return NoElementFits(reason)
        frames[:] = collected
        return "" if len(collected) <= MAX_EVENTS else _TOO_MANY.format(pointer)

    return match


def _elements(inner: Match, pointer: str, elements: Elements) -> Match:
    def match(value: Value, frames: list[Frame]) -> str:
        items = _as_list(value)
        if not items:
            return f"{pointer}: expected a list that is not empty, got {_shown(value)}"
        if elements != "first" and len(items) * len(frames) > MAX_EVENTS:
            return _TOO_MANY.format(pointer)
        collected: list[Frame] = []
        reason = ""
        alone = not isinstance(value, list)
        for index, item in enumerate(items):
            spend(len(frames))
            copies = [dict(frame) for frame in frames]
            if ELEMENTS in copies[0]:
                key = (id(value), -1 if alone else index)
                for frame in copies:
                    frame[ELEMENTS] = (*frame[ELEMENTS], key)
            reason = inner(item, copies)
            if reason and elements == "all":
                return reason
            if not reason:
                collected += copies
                if elements == "first":
                    break
        if not collected:
            return reason
        frames[:] = collected
        return "" if len(collected) <= MAX_EVENTS else _TOO_MANY.format(pointer)

    return match


def _first(node: Mapping[str, Value], scope: Scope, pointer: str, elements: Elements) -> Match:
    place = child(pointer, "$first")
    if set(node) != {"$first"} or not isinstance(node["$first"], list) or not node["$first"]:
        scope.report(place, "$first must be the only key of its object and needs a list of shapes.")
        return lambda value, frames: ""
    known, options = dict(scope.names), []
    # Whether an alternative matches is decided where it stands, not when the files are known.
    blank_texts, scope.blank_texts = scope.blank_texts, False
    reached = dict(known)
    for index, item in enumerate(node["$first"]):
        # Each alternative binds names on its own, so none may compare with the binding of another.
        scope.names = dict(known)
        options.append(compile_match(item, scope, child(place, index), elements=elements))
        reached |= scope.names
    scope.names, scope.blank_texts = reached, blank_texts

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


def unused_names(scope: Scope) -> None:
    """Warns of each name of the author's own that a shape binds and nothing reads."""
    for name, (pointer, column) in scope.own.items():
        if name not in scope.used:
            scope.warn(
                pointer, f"${name}$ is bound but never used.", did_you_mean(name, scope.bindable), column
            )
