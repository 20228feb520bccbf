"""Property values that nobody has, for previews and cases."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from integrations.events import InboundRequest
from integrations.language.document import Template
from integrations.language.properties import Property, check_values
from integrations.sandbox.catalog_entry import CatalogEntry, HostedEntry
from integrations.sandbox.signing import sign
from integrations.sandbox.signing_keys import SigningKeys
from integrations.studio.invented.shapes import address

URL = "https://api.example.com"
TOKEN = "invented-access-token"  # noqa: S105 (invented)
_BY_TYPE: dict[str, Any] = {"url": URL, "boolean": True, "number": 1, "list": ["one", "two"]}


def values_for(
    template: Template, given: Mapping[str, Any] | None = None, optional: Collection[str] = ()
) -> dict[str, Any]:
    """A value for each property that is required or has a default, and an access token if requests have one.

    Those that are `optional` get one, too, if their labels are named. `given` values take their place where
    they are valid. Keys with which a provider or Patchbay signs are real key pairs, used for nothing else.
    """
    invented = {
        item.label: invented_value(item)
        for item in template.properties
        if item.required or item.label in optional
    }
    found = _hosted(template, invented).values | {
        label: value
        for label, value in invented.items()
        if any(item.label == label and item.type == "url" for item in template.properties)
    }
    values, _errors = check_values(template.properties, {**found, **(given or {})})
    return values | ({"access_token": TOKEN} if template.grant is not None else {})


def invented_value(item: Property) -> Any:
    """A value of the property's type, else its default."""
    if item.default is not None:
        return item.default
    if item.type == "choice":
        return item.choices[0]
    if item.secret and item.type not in _BY_TYPE:
        # Some are read as Base64.
        word = f"invented {re.sub(r'[^A-Za-z0-9 ]', '', item.label)[:40]}"
        return base64.b64encode((word + " " * (-len(word) % 3)).encode()).decode()
    slug = re.sub(r"[^a-z0-9]+", "-", item.label.casefold()).strip("-")
    return _BY_TYPE.get(item.type, f"invented-{slug or 'value'}"[:60])


def secrets_in(template: Template, values: Mapping[str, Any]) -> list[str]:
    """The texts among the values that are not shown."""
    secret = {item.label for item in template.properties if item.secret} | {"access_token"}
    found = (value for label, value in values.items() if label in secret)
    return [str(item) for value in found for item in (value if isinstance(value, list) else [value])]


def signed(
    template: Template, request: InboundRequest, values: Mapping[str, Any], event: int | None
) -> InboundRequest:
    """The request as the provider signs it with these values, and from an address that it calls from.

    `event` is the place of the event among those of the template that the request is for, if that is known.
    """
    if not template.webhook.events:
        return request
    hosted = _hosted(template, values)
    schemes = hosted.verify_of(event or 0)
    if any(scheme.get("type") == "ip" for scheme in schemes):
        request = replace(request, ip=address(schemes))
    try:
        return sign(schemes, request, request, dict(values), hosted.signing_keys)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        return request  # it has no place for a signature, or the values are no keys


def _hosted(template: Template, values: Mapping[str, Any]) -> HostedEntry:
    entry = CatalogEntry(template.document, template, ({"properties": dict(values)},), b"")
    hosted = HostedEntry(entry, URL)
    hosted.signing_keys = _keys()
    return hosted


@cache
def _keys() -> SigningKeys:
    """Made once for each process, because to make them takes long."""
    return SigningKeys()
