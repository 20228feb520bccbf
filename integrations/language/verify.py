"""`verify`: whether a webhook request comes from the provider."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import replace

from integrations.language.conditions import Condition, compile_condition
from integrations.language.errors import child, did_you_mean
from integrations.language.placeholders import only
from integrations.language.scope import Scope
from integrations.language.sections import check_keys
from integrations.language.signatures import (
    Verify,
    check_ed25519,
    check_hmac,
    check_jwt,
    check_standard,
    check_url_and_form,
    is_one_of,
    live,
    shape_of,
)
from integrations.language.values import Value, Variables, find, text

_Maker = Callable[[Mapping[str, Value], Scope, str], Verify]
NAMES = frozenset(["query", "headers", "body", "method", "url", "ip", "now"])


def compile_verify(node: Value, scope: Scope, pointer: str) -> Verify:
    """The check of one scheme, or of the first in a list whose `when` holds; problems go to the scope."""
    scope = replace(scope, names=dict.fromkeys(NAMES, True), webhook=False)
    if isinstance(node, list):
        ways = [_scheme(item, scope, child(pointer, index)) for index, item in enumerate(node)]
    else:
        ways = [_scheme(node, scope, pointer)]

    def verify(values: Variables) -> str:
        for when, check in ways:
            if when(values):
                try:
                    return check(values)
                except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
                    return "The credentials or signature in the request cannot be read."
        return "No scheme of 'verify' applies to the request."

    return verify


def _scheme(node: Value, scope: Scope, pointer: str) -> tuple[Condition, Verify]:
    kind = text(node.get("type")) if isinstance(node, Mapping) else ""
    if not isinstance(node, Mapping) or kind not in SCHEMES:
        place = child(pointer, "type") if isinstance(node, Mapping) and "type" in node else pointer
        scope.report(place, f"There is no verify type {kind!r}.", did_you_mean(kind, SCHEMES))
        for key in ("key", "signature", "value", "token") if isinstance(node, Mapping) else ():
            shape_of(node, key, None, scope, pointer)
        return (lambda values: True), (lambda values: "")
    required, optional, make = SCHEMES[kind]
    check_keys(node, ["type", "when", *required, *optional], scope, pointer)
    for key in required:
        if key not in node:
            scope.report(pointer, f"The verify type {kind} needs {key!r}.")
    return compile_condition(node.get("when", {}), scope, child(pointer, "when")), make(node, scope, pointer)


def _header(node: Mapping[str, Value], scope: Scope, pointer: str) -> Verify:
    name, value = text(node.get("name")), shape_of(node, "value", None, scope, pointer)
    return lambda values: (
        ""
        if is_one_of(find(values["headers"], name), value(values))
        else f"The header {name} is missing or wrong."
    )


def _query(node: Mapping[str, Value], scope: Scope, pointer: str) -> Verify:
    name, value = text(node.get("name")), shape_of(node, "value", None, scope, pointer)
    return lambda values: (
        ""
        if is_one_of(find(values["query"], name), value(values))
        else f"The query field {name} is missing or wrong."
    )


def _basic(node: Mapping[str, Value], scope: Scope, pointer: str) -> Verify:
    username, password = (shape_of(node, key, None, scope, pointer) for key in ("username", "password"))
    whose = only(node.get("username"))
    if whose is not None and len(whose.steps) == 1 and scope.labels.get(whose.root) is False:
        scope.compared.add(whose.root)
        scope.claims.append((whose.root, lambda values: _sign_in(values)[0]))

    def check(values: Variables) -> str:
        name, word = _sign_in(values)
        # Both are compared, whatever the result of the first.
        if is_one_of(name, username(values)) & is_one_of(word, password(values)):
            return ""
        return "The user name or password is missing or wrong."

    return check


def _sign_in(values: Variables) -> tuple[str, str]:
    """User name and password as the request has them; raises ValueError for what is not Base64."""
    scheme, _, token = text(find(values["headers"], "authorization")).partition(" ")
    if scheme.casefold() != "basic":
        return "", ""
    name, _, word = base64.b64decode(token).decode().partition(":")
    return name, word


def _ip(node: Mapping[str, Value], scope: Scope, pointer: str) -> Verify:
    ranges = shape_of(node, "ranges", [], scope, pointer)

    def check(values: Variables) -> str:
        address = ipaddress.ip_address(text(values["ip"]))
        nets = [
            ipaddress.ip_network(word.strip(), strict=False)
            for item in live(ranges(values))
            for word in text(item).split(",")
        ]
        return (
            ""
            if any(address in net for net in nets)
            else f"{address} is not one of the provider's addresses."
        )

    return check


SCHEMES: dict[str, tuple[list[str], list[str], _Maker]] = {
    "header": (["name", "value"], [], _header),
    "query": (["name", "value"], [], _query),
    "basic": (["username", "password"], [], _basic),
    "hmac": (["key", "signature"], ["algorithm", "encoding", "over", "timestamp", "tolerance"], check_hmac),
    "ed25519": (["key", "signature"], ["over", "timestamp", "tolerance"], check_ed25519),
    "jwt": (["key"], ["token", "tolerance"], check_jwt),
    "standard-webhooks": (["key"], ["tolerance"], check_standard),
    "url-and-form-hmac": (["key"], ["signature"], check_url_and_form),
    "ip": (["ranges"], [], _ip),
}
