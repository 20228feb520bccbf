"""What only the published format has, brought into the plain form before a document is compiled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from integrations.language.errors import Problem, child
from integrations.language.values import Value, is_string, text

# The classes of the publisher's other products, and what their documents describe.
OTHER_CLASSES = {"crm": "a CRM system", "sso": "a way to sign in"}
KEYS = {
    "request_path": "what follows `request_url`, or the one property that is of type `url` or called a URL, "
    "base, endpoint or server",
}
_BASE = re.compile(r"\b(?:url|uri|base|endpoint|server)\b", re.IGNORECASE)


@dataclass(frozen=True)
class _Join:
    """Where a path begins in a joined URL; `shift` is the difference of columns, `alone` without a URL."""

    begins: int
    shift: int
    alone: bool


@dataclass(frozen=True)
class Plain:
    """A document in the plain form, and what leads from its places to those of the author."""

    document: dict[str, Value]
    joins: Mapping[str, _Join]

    def as_written(self, problem: Problem) -> Problem:
        """The problem with pointer and column in the document as its author wrote it."""
        join = self.joins.get(problem.pointer)
        if join is None or not (join.alone or (problem.column or 0) > join.begins):
            return problem
        pointer = problem.pointer.removesuffix("url") + "path"
        return replace(
            problem, pointer=pointer, column=problem.column and max(problem.column - join.shift, 1)
        )


def plain(document: dict[str, Value], problems: list[Problem]) -> Plain:
    """The document with each `request_path` joined to its base, the method's `request_url`.

    Without it, the base is the one property that is of type url, or is called so; a warning names it.
    """
    api = document.get("API")
    joins: dict[str, _Join] = {}
    if not isinstance(api, dict) or not any(
        isinstance(method, dict) and "request_path" in method for method in api.values()
    ):
        return Plain(document, joins)
    methods = dict(api)
    for name, method in api.items():
        if isinstance(method, dict) and "request_path" in method:
            place = child("/API", name)
            methods[name] = _joined(method, document.get("properties"), place, problems, joins)
    return Plain({**document, "API": methods}, joins)


def _joined(
    method: dict[str, Value], properties: Value, place: str, problems: list[Problem], joins: dict[str, _Join]
) -> dict[str, Value]:
    rest = {key: value for key, value in method.items() if key != "request_path"}
    path, base, pointer = method["request_path"], method.get("request_url"), child(place, "request_path")
    if not is_string(path):
        problems.append(Problem(pointer, "'request_path' must be a text, such as \"/messages\"."))
        return rest
    if base is None:
        bases = _bases(properties)
        if len(bases) != 1:
            reason = "'request_path' needs 'request_url', or exactly one property that holds the base URL."
            problems.append(Problem(pointer, reason, 'Add "request_url".'))
            return {**rest, "request_url": "https://missing.invalid"}
        base = f"${bases[0]}$"
        reason = f"The request goes to the URL in {bases[0]!r}, followed by this path."
        problems.append(Problem(pointer, reason, f'Write "request_url": "{base}".', severity="warning"))
    if not is_string(base) or "?" in base or "#" in base:
        reason = "A path can only follow a URL without a query."
        problems.append(Problem(pointer, reason, "Write both in 'request_url'."))
        return rest
    begin, end = base.rstrip("/"), path.lstrip("/")
    slash = "" if end.startswith("?") or not end else "/"
    shift = len(begin + slash) - (len(path) - len(end))
    joins[child(place, "request_url")] = _Join(len(begin), shift, "request_url" not in method)
    return {**rest, "request_url": begin + slash + end}


def _bases(properties: Value) -> list[str]:
    found = []
    for item in properties if isinstance(properties, list) else []:
        label = text(item.get("name")) if isinstance(item, dict) else item if is_string(item) else ""
        is_url = isinstance(item, dict) and item.get("type") == "url"
        if is_url or (_BASE.search(label) and "$" not in label):
            found.append(label)
    return found
