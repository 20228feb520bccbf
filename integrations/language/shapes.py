"""Shapes (JSON trees with placeholders), rendered with variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from integrations.language.budget import spend
from integrations.language.conditions import compile_condition
from integrations.language.errors import child
from integrations.language.expressions import getter, parts_of
from integrations.language.placeholders import STEP, Placeholder, only, parse
from integrations.language.scope import Scope
from integrations.language.values import Value, Variables, is_empty, is_string, text

Render = Callable[[Variables], Value]
Compile = Callable[[str, Scope, str], Render]
_Directive = Callable[[Mapping[str, Value], Scope, str, Compile | None], Render]


def compile_render(node: Value, scope: Scope, pointer: str, whole: Compile | None = None) -> Render:
    """A function that renders the shape; a value is never parsed as a shape again.

    `whole` compiles a text that is all that the shape gives, or all that a directive chooses.
    """
    spend(1)
    if is_string(node):
        return (whole or compile_text)(node, scope, pointer)
    if isinstance(node, Mapping):
        directive = _directive(node)
        return directive(node, scope, pointer, whole) if directive else _object(node, scope, pointer)
    if isinstance(node, list):
        return _list(node, scope, pointer)
    return lambda variables: node


def optional_key(key: str) -> tuple[str, bool]:
    """A key without its trailing `?`, and whether it had one; `??` is a `?` that belongs to the name."""
    if key.endswith("??"):
        return key[:-1], False
    return (key[:-1], True) if key.endswith("?") else (key, False)


def compile_text(source: str, scope: Scope, pointer: str) -> Render:
    """A function that renders a text; one that is a single placeholder gives the value itself."""
    pieces: list[str | Render] = [
        getter(part, scope, pointer) if isinstance(part, Placeholder) else part
        for part in parts_of(source, scope, pointer)
    ]
    if not pieces:
        return lambda variables: ""
    if len(pieces) == 1:
        piece = pieces[0]
        return (lambda variables: piece) if isinstance(piece, str) else piece

    def render(variables: Variables) -> str:
        texts = [piece if isinstance(piece, str) else text(piece(variables)) for piece in pieces]
        spend(sum(map(len, texts)) >> 4)
        return "".join(texts)

    return render


def may_be_dropped(node: Value) -> bool:
    """Whether a key or element with this value is left out while the value is unset."""
    return only(node) is not None or (isinstance(node, Mapping) and _directive(node) is not None)


def _object(node: Mapping[str, Value], scope: Scope, pointer: str) -> Render:
    entries: list[tuple[str, Render, bool, bool]] = []
    for key, value in node.items():
        place = child(pointer, key)
        name, optional = optional_key(key)
        if any(isinstance(part, Placeholder) for part in parse(key)):
            scope.report(place, "Keys cannot contain placeholders.", at_key=True)
        elif key in ("$value", "$as"):
            scope.report(place, f"{key!r} can only be used together with $when or $each.", at_key=True)
        entries.append((name, compile_render(value, scope, place), optional, may_be_dropped(value)))

    def render(variables: Variables) -> dict[str, Value]:
        spend(len(entries))
        result = {}
        for name, part, optional, droppable in entries:
            value = part(variables)
            if (value is None and droppable) or (optional and is_empty(value)):
                continue
            result[name] = value
        return result

    return render


def _splices(node: Value) -> bool:
    """Whether the rendered elements are spliced into a list: those of an `$each`, also of a chosen one."""
    if not isinstance(node, Mapping):
        return False
    if "$first" in node:
        return isinstance(node["$first"], list) and any(map(_splices, node["$first"]))
    return "$each" in node or ("$when" in node and _splices(node.get("$value")))


def _list(node: list[Value], scope: Scope, pointer: str) -> Render:
    elements = [
        (compile_render(item, scope, child(pointer, index)), may_be_dropped(item), _splices(item))
        for index, item in enumerate(node)
    ]

    def render(variables: Variables) -> list[Value]:
        spend(len(elements))
        result: list[Value] = []
        for part, droppable, spliced in elements:
            value = part(variables)
            if value is None and droppable:
                continue
            if spliced and isinstance(value, list):
                result += value
            else:
                result.append(value)
        return result

    return render


def _keys(node: Mapping[str, Value], wanted: set[str], scope: Scope, pointer: str) -> bool:
    if set(node) == wanted:
        return True
    scope.report(pointer, f"This directive must have exactly these keys: {', '.join(sorted(wanted))}.")
    if "$value" in node and "$each" not in node:
        compile_render(node["$value"], scope, child(pointer, "$value"))
    return False


def _first(node: Mapping[str, Value], scope: Scope, pointer: str, whole: Compile | None) -> Render:
    place = child(pointer, "$first")
    if not _keys(node, {"$first"}, scope, pointer):
        return lambda variables: None
    if not isinstance(node["$first"], list) or not node["$first"]:
        scope.report(place, "$first needs a list of shapes.")
        return lambda variables: None
    options = [
        compile_render(item, scope, child(place, index), whole) for index, item in enumerate(node["$first"])
    ]
    return lambda variables: next(
        (value for option in options if (value := option(variables)) is not None), None
    )


def _when(node: Mapping[str, Value], scope: Scope, pointer: str, whole: Compile | None) -> Render:
    if not _keys(node, {"$when", "$value"}, scope, pointer):
        return lambda variables: None
    holds = compile_condition(node["$when"], scope, child(pointer, "$when"))
    part = compile_render(node["$value"], scope, child(pointer, "$value"), whole)
    return lambda variables: part(variables) if holds(variables) else None


def _each(node: Mapping[str, Value], scope: Scope, pointer: str, whole: Compile | None) -> Render:
    if not _keys(node, {"$each", "$as", "$value"}, scope, pointer):
        return lambda variables: None
    name, source = node["$as"], only(node["$each"])
    if source is None:
        scope.report(
            child(pointer, "$each"), '$each needs a single placeholder for a list, such as "$media$".'
        )
        return lambda variables: None
    if not isinstance(name, str) or not re.fullmatch(STEP, name) or scope.knows(name):
        scope.report(
            child(pointer, "$as"),
            f"{text(name)!r} cannot name the element. Use a word that is not a variable yet.",
        )
        return lambda variables: None
    items = getter(source, scope, child(pointer, "$each"))
    # The value is rendered as in a list: unset ones are dropped, and a nested $each is spliced.
    inner = _list([node["$value"]], scope.within([name]), pointer)

    def render(variables: Variables) -> list[Value] | None:
        found = items(variables)
        found = [] if found is None else found if isinstance(found, list) else [found]
        return [value for item in found for value in inner({**variables, name: item})] or None

    return render


def _directive(node: Mapping[str, Value]) -> _Directive | None:
    return next((_DIRECTIVES[key] for key in _DIRECTIVES if key in node), None)


_DIRECTIVES: dict[str, _Directive] = {
    "$first": _first,
    "$when": _when,
    "$each": _each,
}
