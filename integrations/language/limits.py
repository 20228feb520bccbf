"""What a provider accepts: messages per second, and the size, number and types of files in a request."""

from __future__ import annotations

import re
from dataclasses import dataclass

from integrations.language.errors import child
from integrations.language.scope import Scope
from integrations.language.sections import check_keys
from integrations.language.values import Value, is_number, is_string, text

MAX_LIMIT = 2**40
LIMITS = {
    "per_second": "how many messages per second, in total",
    "per_number_per_second": "how many messages per second from one number",
    "media_bytes": "the total size in bytes of the files in one request",
    "media_count": "the number of files in one request; more files go as further requests",
    "media_types": 'the types of files, such as `["image/*", "video/mp4"]`',
}


@dataclass(frozen=True)
class Limits:
    """What the provider accepts: messages per second; size, types and number of files in one request.

    0 and empty mean no limit.
    """

    per_second: float = 0
    per_number_per_second: float = 0
    media_bytes: int = 0
    media_types: tuple[str, ...] = ()
    media_count: int = 0


def compile_limits(node: Value, scope: Scope) -> Limits:
    """The limits of a document; problems go to the scope."""
    if not isinstance(node, dict):
        scope.report("/limits", "Limits must be an object.")
        return Limits()
    check_keys(node, LIMITS, scope, "/limits")
    names = [name for name in LIMITS if name != "media_types"]
    numbers = {name: node[name] for name in names if name in node}
    for name, value in numbers.items():
        if is_string(value) or not is_number(value) or float(text(value)) <= 0:
            scope.report(child("/limits", name), f"{name!r} must be a number greater than 0.")
            numbers[name] = 0
    if not float(text(numbers.get("media_count", 0))).is_integer():
        scope.report("/limits/media_count", "'media_count' must be a whole number.")
    types = node.get("media_types", [])
    if not isinstance(types, list) or not all(
        re.fullmatch(r"[\w.+-]+/[\w.+*-]+", text(item)) for item in types
    ):
        scope.report("/limits/media_types", 'media_types must be a list, such as ["image/*", "video/mp4"].')
        types = []
    amounts = [min(float(text(numbers.get(name, 0))), MAX_LIMIT) for name in names]
    return Limits(amounts[0], amounts[1], int(amounts[2]), tuple(map(text, types)), int(amounts[3]))
