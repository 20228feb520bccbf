"""Files of an event: whether it has any, and from where they are fetched with credentials."""

from __future__ import annotations

import re
from collections.abc import Mapping

from integrations.language.placeholders import Placeholder, parse
from integrations.language.scope import Scope
from integrations.language.values import Value, is_string, text

_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


def has_files(node: Mapping[str, Value]) -> bool:
    """Whether the event may bind files."""
    shapes = [node.get(key) for key in ("request_query", "request_headers", "request_parameters")]
    variables = node.get("variables")
    made = isinstance(variables, Mapping) and bool({"url", "urls"} & variables.keys())
    return made or any(_binds_files(shape) for shape in shapes)


def _binds_files(shape: Value) -> bool:
    if isinstance(shape, Mapping | list):
        return any(map(_binds_files, shape.values() if isinstance(shape, Mapping) else shape))
    parts = parse(shape) if is_string(shape) else []
    return any(isinstance(part, Placeholder) and part.steps in (("url",), ("urls",)) for part in parts)


def media_hosts(
    node: Mapping[str, Value], trusted: bool, scope: Scope, pointer: str
) -> tuple[str, ...] | None:
    """The hosts from which files are fetched with the outgoing auth; empty: those of the API.

    That needs a `trusted` event; problems go to the scope.
    """
    given = node.get("media_auth", False)
    if given is False:
        return None
    if not trusted:
        reason = "Files are fetched with credentials only if the webhook is verified."
        scope.report(pointer, reason, "Add 'verify'.")
    if given is True:
        return ()
    if not isinstance(given, list) or not given or not all(_HOST.fullmatch(text(item)) for item in given):
        scope.report(pointer, "'media_auth' must be true (the hosts of the API) or a list of host names.")
        return None
    return tuple(text(item).casefold() for item in given)


def media_path(node: Mapping[str, Value], scope: Scope, pointer: str) -> str:
    """The path below which files are fetched with credentials; problems go to the scope."""
    path = text(node.get("media_path", "/"))
    if not path.startswith("/"):
        scope.report(pointer, "'media_path' must begin with a slash, such as \"/media\".")
    return path
