"""A Postman collection of version 2: its requests, with what their folders have for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _

from integrations.language.values import load, well_formed
from integrations.studio.importers.report import ImportProblem, is_account, is_credential

MAX_REQUESTS = 2000
# A text of a request with its variables, and the value of one; a sample is smaller.
MAX_TEXT, MAX_VALUE = 60_000, 2_000
_VARIABLE = re.compile(r"\{\{\s*([^{}]{1,80}?)\s*\}\}")


@dataclass(frozen=True)
class Request:
    """A request of the collection; `auths` and `variables` are of its folders, too, the nearest last."""

    name: str
    item: dict[str, Any]
    auths: tuple[Any, ...]
    variables: Mapping[str, str]

    def known(self, text: str, depth: int = 3) -> str:
        """The text with the values of variables, but for credentials and accounts."""

        def value(found: re.Match[str]) -> str:
            known = self.variables.get(found[1], "")
            return known if known and not is_own(found[1]) and len(known) <= MAX_VALUE else found[0]

        replaced = _VARIABLE.sub(value, well_formed(text)[:MAX_TEXT])[:MAX_TEXT]
        return replaced if depth == 0 or replaced == text else self.known(replaced, depth - 1)


def collection_of(text: str) -> dict[str, Any]:
    """The collection that a text is. Raises ImportProblem."""
    if text.lstrip()[:1] != "{":
        raise ImportProblem(_("A Postman collection is exported as JSON."))
    try:
        found = load(text)
    except (ValueError, RecursionError) as error:
        raise ImportProblem(_("The JSON cannot be read: %(problem)s") % {"problem": error}) from None
    if isinstance(found.get("collection"), dict):
        found = found["collection"]
    if not isinstance(found.get("item"), list) or not isinstance(found.get("info"), dict):
        raise ImportProblem(_("This is no Postman collection of version 2: “info” or “item” is missing."))
    return dict(found)


def requests_of(
    node: dict[str, Any], path: str, auths: tuple[Any, ...], variables: Mapping[str, str]
) -> Iterator[Request]:
    """The requests in a collection or a folder, in order; at most 2,000 of each folder."""
    auths = (*auths, node.get("auth"))
    variables = {**variables, **values_of(node.get("variable"))}
    items = node.get("item")
    for item in items[:MAX_REQUESTS] if isinstance(items, list) else ():
        if not isinstance(item, dict):
            continue
        name = f"{path}{text_of(item.get('name')) or '?'}"
        if isinstance(item.get("request"), str):
            item = {**item, "request": {"url": item["request"]}}
        if isinstance(item.get("request"), dict):
            own = {**variables, **values_of(item.get("variable"))}
            yield Request(name, item, (*auths, item.get("auth"), item["request"].get("auth")), own)
        else:
            yield from requests_of(item, f"{name} / ", auths, variables)


def text_of(value: Any) -> str:
    """A value as text, "" for what is no scalar."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


def fields_of(value: Any) -> list[tuple[str, str]]:
    """The key and value of each element that is not disabled."""
    return [
        (text_of(each.get("key")).strip(), well_formed(text_of(each.get("value"))))
        for each in (value if isinstance(value, list) else [])
        if isinstance(each, dict) and each.get("disabled") is not True
    ]


def values_of(value: Any) -> dict[str, str]:
    """The values of such elements, by their keys."""
    return {key: item for key, item in fields_of(value) if key}


def is_own(name: str) -> bool:
    """Whether a variable is a credential or an account, so that its value is a property."""
    return is_credential(name) or is_account(name)


def quoted(text: str) -> str:
    """A name or value of a query, in which variables stay as they are."""
    return quote(text, safe="{}$%/:,+@<> ").replace(" ", "%20").replace("&", "%26")
