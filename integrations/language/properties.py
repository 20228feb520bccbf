"""Properties: the values that a template asks an administrator for, and their validation."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from integrations.language.errors import child, did_you_mean
from integrations.language.names import RECENT
from integrations.language.placeholders import STEP
from integrations.language.scope import Scope
from integrations.language.sections import check_keys, check_texts
from integrations.language.values import Value, is_number, is_string, text

KEYS = {
    "name": "the label: a letter or `_`, then letters (of any alphabet), digits, `_`, `-` and inner spaces, "
    "at most 100 characters. It must not be the name of a built-in variable",
    "type": 'one of the types below; by default `secret`, or `text` with `"secret": false`',
    "choices": "the possible values, for the type `choice` only",
    "default": "the value if the field is left blank",
    "required": "true by default",
    "secret": "the value is never shown again. By default true for a label alone and for the type `secret`, "
    "false for any other type",
    "help": "a sentence below the field",
}
TYPES = {
    "text": "a text",
    "secret": "a text that is never shown again",
    "url": "a complete URL; only such a property may begin the URL of a request",
    "boolean": "true or false",
    "number": "a number",
    "choice": "one of `choices`",
    "list": "several texts, one per line",
}
BOOLEANS = dict.fromkeys(["true", "1", "yes", "on"], True) | dict.fromkeys(["false", "0", "no", "off"], False)


@dataclass(frozen=True)
class Property:
    """A value that an administrator enters."""

    label: str
    type: str = "text"
    required: bool = True
    secret: bool = True
    default: Any = None
    choices: tuple[str, ...] = ()
    help: str = ""


def compile_properties(
    node: Value,
    taken: Collection[str],
    scope: Scope,
    begin_urls: Collection[str] = (),
    in_hosts: Collection[str] = (),
) -> tuple[Property, ...]:
    """The properties of a document; none may have a name in `taken`. Problems go to the scope.

    A label alone is a required secret, unless a URL begins with it (then it is of type url), or it is part of
    a host name (then it is not secret, because people see where requests go).
    """
    if not isinstance(node, list):
        scope.report("/properties", "Properties must be a list of labels or objects.")
        return ()
    found: dict[str, Property] = {}
    for index, item in enumerate(node):
        place = child("/properties", index)
        parsed = _property(item, scope, place)
        if parsed is None:
            continue
        if is_string(item) and item in begin_urls:
            parsed = replace(parsed, type="url")
            suggestion = f'Write {{"name": "{item}", "type": "url", "secret": true}}.'
            scope.warn(place, f"A URL begins with {item!r}, so its value must be a URL.", suggestion)
        elif is_string(item) and item in in_hosts:
            parsed = replace(parsed, type="text", secret=False)
            suggestion = f'Write {{"name": "{item}", "secret": false}}.'
            scope.warn(place, f"{item!r} is part of a host name, so it is not kept secret.", suggestion)
        if parsed.label in found:
            scope.report(place, f"There are two properties named {parsed.label!r}.")
        elif parsed.label in taken:
            (scope.refuse if parsed.label in RECENT else scope.report)(
                place,
                f"{parsed.label!r} is the name of a variable.",
                f"Try {parsed.label.title() + ' value'!r}.",
            )
        elif not re.fullmatch(STEP, parsed.label):
            simple = " ".join(re.sub(r"[^\w -]+", " ", parsed.label).strip(" -")[:90].split())
            suggestion = f"Try {simple if re.fullmatch(STEP, simple) else f'Value {simple}'.strip()!r}."
            reason = (
                f"{parsed.label!r} is not a valid label. Use a letter, then letters, digits, _, - or spaces."
            )
            scope.refuse(place, reason, suggestion)
        found[parsed.label] = parsed
    return tuple(found.values())


def _property(node: Value, scope: Scope, pointer: str) -> Property | None:
    if is_string(node):
        return Property(node, "secret")
    if not isinstance(node, dict):
        scope.report(pointer, "A property must be a label or an object with 'name'.")
        return None
    check_keys(node, KEYS, scope, pointer)
    check_texts(node, ["help"], scope, pointer)
    kind = text(node.get("type", "text" if node.get("secret") is False else "secret"))
    if kind not in TYPES:
        scope.report(
            child(pointer, "type"), f"There is no property type {kind!r}.", did_you_mean(kind, TYPES)
        )
    choices = node.get("choices", [])
    if not isinstance(choices, list) or (kind == "choice") != bool(choices):
        scope.report(
            pointer, "A property of type choice needs 'choices', a list of texts; no other type has it."
        )
        choices = []
    for key in ("required", "secret"):
        if not isinstance(node.get(key, True), bool):
            scope.report(child(pointer, key), f"{key!r} must be true or false.")
    parsed = Property(
        text(node.get("name")), kind, node.get("required", True) is True,
        node.get("secret", kind == "secret") is True,
        node.get("default"), tuple(map(text, choices)), text(node.get("help")),
    )  # fmt: skip
    if parsed.default is not None and kind in TYPES:
        try:
            parsed = replace(parsed, default=_coerced(parsed, parsed.default))
        except ValueError as error:
            reason, suggestion, given = str(error), "", parsed.default
            if isinstance(given, bool | list) and kind not in ("boolean", "list"):
                fitting = "list" if isinstance(given, list) else "boolean"
                reason = f"{parsed.label} is of type {kind!r}, so its default cannot be {text(given)}."
                suggestion = f'Write "type": "{fitting}".'
            scope.report(child(pointer, "default"), reason, suggestion)
    return parsed


def check_values(
    properties: Iterable[Property], values: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """An administrator's values, converted to their types, and an error message for each wrong label.

    A blank value is left out or replaced by the default; a required one without a default is an error.
    """
    clean: dict[str, Any] = {}
    errors: dict[str, str] = {}
    known = {item.label: item for item in properties}
    for label in values:
        if label not in known:
            errors[label] = f"There is no property {label!r}. {did_you_mean(label, known)}".strip()
    for label, item in known.items():
        value = values.get(label)
        if value is None or value == [] or (isinstance(value, str) and not value.strip()):
            value = item.default
        if value is None:
            if item.required:
                errors[label] = f"{label} is required."
            continue
        try:
            clean[label] = _coerced(item, value)
        except ValueError as error:
            errors[label] = str(error)
    return clean, errors


def _coerced(item: Property, value: Value) -> Any:
    label = item.label
    if item.type == "list":
        parts = value if isinstance(value, list | tuple) else re.split(r"[\n,]", text(value))
        return [text(part).strip() for part in parts if text(part).strip()]
    if item.type == "boolean":
        word = text(value).strip().casefold()
        if word not in BOOLEANS:
            raise ValueError(f"{label} must be true or false.")
        return BOOLEANS[word]
    if isinstance(value, list | dict | bool):
        raise ValueError(f"{label} must be a text.")
    given = text(value).strip()
    if item.type == "number":
        if not is_number(given) or len(given) > 40 or math.isinf(float(given)):
            raise ValueError(f"{label} must be a number, such as 10 or 2.5.")
        return int(given) if given.lstrip("-").isdigit() else float(given)
    if item.type == "choice" and given not in item.choices:
        raise ValueError(f"{label} must be one of: {', '.join(item.choices)}.")
    if item.type == "url":
        _check_url(label, given)
    return given


def _check_url(label: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"{label} is not a valid URL.") from None
    if parts.scheme not in ("http", "https") or not host or any(character <= " " for character in url):
        raise ValueError(f"{label} must be a complete URL, such as https://api.example.com.")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{label} must not contain a user name or password.")
    if parts.fragment:
        raise ValueError(f"{label} must not contain a fragment (#).")
