"""Texts in shapes: literals to be equal to, and placeholders, which bind a variable or compare with it."""

from __future__ import annotations

import re2

from integrations.language.budget import spend
from integrations.language.errors import did_you_mean
from integrations.language.expressions import filtering
from integrations.language.frames import BLANK, COMPARED, OWNED, Frame, Match
from integrations.language.patterns import Pattern
from integrations.language.placeholders import Placeholder
from integrations.language.scope import Scope
from integrations.language.values import ANY, Value, is_empty, plain, text, walk

# Bound without white space at their ends, which some providers write.
_IDS = frozenset(["messageid", "message_uuid", "subscription_id"])


def leaf(value: Value) -> Value:
    """The value where no list is expected: the last of its elements."""
    if isinstance(value, list):
        return value[-1] if value else None
    return value


def text_leaf(value: Value) -> Value:
    """The value where a text is expected."""
    return value if isinstance(value, str) else plain(leaf(value))


def _stripped(value: str) -> str:
    """The text without white space at its ends; a Number has none, and stays one."""
    return value.strip() if value[:1].isspace() or value[-1:].isspace() else value


def shown(value: Value) -> str:
    """The value as reasons show it."""
    found = text(value)
    return "nothing" if value is None else repr(found if len(found) <= 60 else found[:60] + "…")


def literal(expected: Value, pointer: str) -> Match:
    """A function that matches what is equal to a value, as text."""
    wanted = text(expected)
    if expected is None:
        return lambda value, frames: (
            "" if value is None else f"{pointer}: expected nothing, got {shown(value)}"
        )

    def match(value: Value, frames: list[Frame]) -> str:
        value = text_leaf(value)
        return "" if text(value) == wanted else f"{pointer}: expected {wanted!r}, got {shown(value)}"

    return match


def pattern(parts: list[str | Placeholder], scope: Scope, pointer: str) -> Match:
    """A function that matches a text of literals with placeholders between them."""
    expression, binders = "", []
    for index, part in enumerate(parts):
        if isinstance(part, str):
            expression += re2.escape(part)
            continue
        if index and isinstance(parts[index - 1], Placeholder):
            scope.report(pointer, "Two placeholders need a literal between them.", column=part.column)
        expression += "(.*?)" if part.optional else "(.+?)"
        binders.append(binder(part, scope, pointer))
    try:
        compiled = Pattern(expression, dot_all=True)
    except re2.error:
        scope.report(pointer, "This text is too long to be matched around placeholders.")
        compiled = Pattern("")

    def match(value: Value, frames: list[Frame]) -> str:
        value = text_leaf(value)
        found = compiled.fullmatch(text(value))
        if found is None:
            return f"{pointer}: {shown(value)} does not match the text of the shape"
        for bind, group in zip(binders, found.groups(), strict=True):
            if reason := bind(group, frames):
                return reason
        return ""

    return match


def binder(placeholder: Placeholder, scope: Scope, pointer: str, *, elements: bool = False) -> Match:
    """A function that binds a placeholder's name, or compares with what has the name already.

    With `elements`, it binds a list whole.
    """
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
                return f"{pointer}: ${name}$ is {shown(found)} here, but was {shown(frame[name])} before"
            frame[name] = found
        return ""

    return bind


def _comparison(placeholder: Placeholder, scope: Scope, pointer: str) -> Match:
    name, optional, steps = placeholder.root, placeholder.optional, placeholder.steps[1:]
    apply = filtering(placeholder, scope, pointer)
    if not scope.resolve(placeholder.steps, pointer, placeholder.column):
        return lambda value, frames: ""
    bound_here = name in scope.bindable or name in scope.own
    # A secret is never compared with what a request says in plain sight; `resolve` reports it.
    public = not steps and scope.labels.get(name) is False
    decides = not scope.alternative
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
                    if decides and not is_empty(found):
                        frame[OWNED] = True
            elif text(found) != text(expected):
                return f"{pointer}: {shown(found)} is not the value of {placeholder.source}"
        return ""

    return compare


def unused_names(scope: Scope) -> None:
    """Warns of each name of the author's own that a shape binds and nothing reads."""
    for name, (pointer, column) in scope.own.items():
        if name not in scope.used:
            scope.warn(
                pointer, f"${name}$ is bound but never used.", did_you_mean(name, scope.bindable), column
            )
