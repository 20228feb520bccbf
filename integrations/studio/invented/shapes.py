"""Values that shapes and conditions of the language probably accept; whether they do must be tried."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from integrations.language.placeholders import Placeholder, only, parse
from integrations.language.shapes import optional_key
from integrations.language.values import Number, text

# Optional values that are invented all the same.
_WHOLE = ("from", "to", "text", "content", "url", "urls", "messageid", "message_uuid", "status")


def filled(shape: Any, known: Mapping[str, Any]) -> Any:
    """A value that the shape probably matches; `known` has those of names, and under "_" that of all others.

    Without "_", optional values of other names are left out.
    """
    if isinstance(shape, str):
        parts = parse(shape)
        if (alone := only(shape)) is not None:
            return _of(alone, known)
        return "".join(part if isinstance(part, str) else text(_of(part, known)) for part in parts)
    if isinstance(shape, list):
        made = [filled(item, known) for item in shape]
        return made[0] if len(made) == 1 and isinstance(made[0], list) else made
    if not isinstance(shape, Mapping):
        return shape
    if "$first" in shape:
        return filled(shape["$first"][0], known)
    entries = {}
    for key, value in shape.items():
        name, optional = optional_key(key)
        alone = only(value)
        may_lack = optional or (alone is not None and alone.optional)
        wanted = alone is not None and (alone.root in _WHOLE or "_" in known)
        if value is None or (may_lack and not wanted):
            continue
        entries[name] = filled(value, known)
    return entries


def _of(part: Placeholder, known: Mapping[str, Any]) -> Any:
    value = known.get(part.root, known.get("_", "x"))
    for step in part.steps[1:]:
        value = value[step]
    names = {call.name for call in part.filters}
    if isinstance(value, str) and "unbase64" in names:
        return base64.b64encode(value.encode()).decode()
    return value


def hold(condition: Any, found: dict[str, Any], known: Mapping[str, Any] | None = None) -> None:
    """Changes what was found so that the condition probably holds."""
    if isinstance(condition, list):
        condition = condition[0] if condition else {}
    for key, expected in (condition or {}).items():
        place = only(key)
        if place is None or place.root not in found or isinstance(expected, Mapping):
            continue
        while isinstance(expected, list) and expected:
            expected = expected[0]
        value: Any = Number("1") if expected is True else expected
        if isinstance(value, str):
            value = filled(value, known or {})
        if expected in (None, False):
            continue
        if len(place.steps) == 1:
            found[place.root] = value
            continue
        node = found[place.root]
        for step in place.steps[1:-1]:
            node = node.setdefault(step, {}) if isinstance(node, dict) else node[step]
        if expected is not True or place.steps[-1] not in node:
            node[place.steps[-1]] = value


def signature_place(scheme: Mapping[str, Any]) -> dict[str, str]:
    """The header in which a signature is, with what the signature then takes the place of."""
    if scheme.get("type") == "jwt":
        found = "$headers.Authorization$" if "token" not in scheme else text(scheme["token"])
        seed = "Bearer seed00.e30.seed00" if "token" not in scheme else "seed00.e30.seed00"
    else:
        source = scheme.get("signature", "")
        source = source["$first"][0] if isinstance(source, Mapping) and source.get("$first") else source
        found, seed = text(source), "seed-of-a-signature"
    place = only(found)
    if place is None or place.root != "headers" or len(place.steps) != 2:
        return {}
    return {text(place.steps[1]): seed}


def address(schemes: Sequence[Mapping[str, Any]]) -> str:
    """An address from which a request may come."""
    for scheme in schemes:
        ranges = scheme.get("ranges") if scheme.get("type") == "ip" else []
        for each in ranges if isinstance(ranges, list) else [ranges]:
            with suppress(ValueError):
                return str(ipaddress.ip_network(text(each).strip(), strict=False)[0])
    return "192.0.2.1"
