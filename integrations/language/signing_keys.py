"""Which secrets of a document never leave Patchbay, because requests are only signed with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from integrations.language.placeholders import is_name, parse, steps_of
from integrations.language.values import Value

_REQUESTS = ("auth", "OAuth2", "request_headers", "API")


def only_signing(document: Mapping[str, Value], labels: Collection[str]) -> frozenset[str]:
    """Those of the labels that requests name nowhere but as the key of a JWT or of an `hmac_…` filter."""
    signing, sent = set[str](), set[str]()
    for node in (document.get(key) for key in _REQUESTS):
        for name, is_key in _names(node):
            (signing if is_key else sent).add(name)
    return frozenset((signing - sent).intersection(labels))


def _names(node: Value, *, key_of_jwt: bool = False) -> Iterator[tuple[str, bool]]:
    """Each name that is read, and whether it is a key there."""
    if isinstance(node, Mapping):
        is_jwt = node.get("type") == "JWT"
        for key, item in node.items():
            yield from _names(key)
            yield from _names(item, key_of_jwt=is_jwt and key == "key")
    elif isinstance(node, list):
        for item in node:
            yield from _names(item)
    elif isinstance(node, str):
        for part in parse(node):
            if isinstance(part, str):
                continue
            # A key that is changed before it signs is treated as one that is sent.
            yield part.root, key_of_jwt and not part.filters
            for call in part.filters:
                for place, argument in enumerate(call.arguments):
                    if is_name(argument):
                        is_key = call.name.startswith("hmac_") and place == 0
                        yield str(steps_of(argument)[0]), is_key
