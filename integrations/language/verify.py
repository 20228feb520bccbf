"""`verify`: whether a webhook request comes from the provider."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from integrations.language.conditions import Condition, compile_condition
from integrations.language.errors import child, did_you_mean
from integrations.language.names import VERIFY_VARIABLES
from integrations.language.placeholders import is_name, only, steps_of
from integrations.language.scope import Scope
from integrations.language.sections import Headers, check_keys, check_texts, compile_variables
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
from integrations.language.values import Value, Variables, find, text, walk

_Maker = Callable[[Mapping[str, Value], Scope, str], Verify]
NAMES = frozenset(VERIFY_VARIABLES)
# An address of IPv4, or one of IPv6 in brackets, with a port that need not be there in brackets.
_WITH_PORT = re.compile(r"(\d+(?:\.\d+){3}):\d+|\[([^\]]*)\](?::\d+)?")
# What people write between addresses in one text.
_BETWEEN = re.compile(r"[\s,;]+")
_MAPPED_BITS = 96
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


@dataclass(frozen=True, eq=False)
class Verification:
    """The schemes of a `verify`, of which the first whose condition holds checks a request.

    It is `open` if one of them checks nothing, and `reads_request` if one reads the parsed body.
    """

    ways: tuple[tuple[Condition, Verify], ...]
    open: bool
    reads_request: bool

    def __call__(self, values: Variables) -> str | None:
        """ "" for a request that is from the provider, None for one that need not be, or what is wrong."""
        for when, check in self.ways:
            if when(values):
                try:
                    return check(values)
                except _UNREADABLE:
                    return "The credentials or signature in the request cannot be read."
        return "No scheme of 'verify' applies to the request."


def compile_verify(node: Value, scope: Scope, pointer: str) -> Verification | None:
    """The check of one scheme, or of the first in a list whose `when` holds; problems go to the scope.

    Without any other scheme, `none` is the same as no check.
    """
    used: set[str] = set()
    read_outside = scope.used
    scope = replace(scope, names=dict.fromkeys(NAMES, True), exchange=NAMES, webhook=False, used=used)
    if isinstance(node, list):
        ways = [_scheme(item, scope, child(pointer, index)) for index, item in enumerate(node)]
    else:
        ways = [_scheme(node, scope, pointer)]
    is_open = any(check is _unchecked for _, check in ways)
    if all(check is _unchecked for _, check in ways):
        return None
    read_outside.update(used & scope.labels.keys())
    return Verification(tuple(ways), is_open, "request" in used)


def _scheme(node: Value, scope: Scope, pointer: str) -> tuple[Condition, Verify]:
    kind = text(node.get("type")) if isinstance(node, Mapping) else ""
    if not isinstance(node, Mapping) or kind not in SCHEMES:
        place = child(pointer, "type") if isinstance(node, Mapping) and "type" in node else pointer
        scope.report(place, f"There is no verify type {kind!r}.", did_you_mean(kind, SCHEMES))
        for key in ("key", "signature", "value", "token") if isinstance(node, Mapping) else ():
            shape_of(node, key, None, scope, pointer)
        return (lambda values: True), (lambda values: "")
    required, optional, make = SCHEMES[kind]
    check_keys(node, [*COMMON, *required, *optional], scope, pointer)
    check_texts(node, ["name", "over"], scope, pointer)
    for key in required:
        if key not in node:
            scope.report(pointer, f"The verify type {kind} needs {key!r}.")
    own = replace(scope, names=dict(scope.names))
    variables = compile_variables(node.get("variables", {}), own, child(pointer, "variables"))
    when = compile_condition(node.get("when", {}), own, child(pointer, "when"))
    check = make(node, own, pointer)
    if not variables:
        return when, check
    return (lambda values: when(_with(variables, values))), (lambda values: check(_with(variables, values)))


def _with(variables: Headers, values: Variables) -> Variables:
    found = dict(values)
    for name, render in variables:
        found[name] = render(found)
    return found


def _unchecked(values: Variables) -> None:
    """Anybody may send the request."""


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


def _field(node: Mapping[str, Value], scope: Scope, pointer: str) -> Verify:
    scope.used.add("request")
    name, value = text(node.get("name")), shape_of(node, "value", None, scope, pointer)
    path = steps_of(name) if name and is_name(name) else ()

    def check(values: Variables) -> str:
        body = values["request"] if isinstance(values["request"], dict) else {}
        given = find(body, name)
        given = walk(body, path) if given is None and path else given
        return "" if is_one_of(given, value(values)) else f"The field {name} is missing or wrong."

    return check


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
        address = _address(text(values["ip"]))
        words = [word for item in live(ranges(values)) for word in _BETWEEN.split(text(item)) if word]
        nets = {word: _net(word) for word in words}
        if any(net is not None and address in net for net in nets.values()):
            return ""
        unreadable = next((f" {word[:60]!r} is no address or range." for word in words if not nets[word]), "")
        return f"{address} is not one of the provider's addresses.{unreadable}"

    return check


def _net(given: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The range, of IPv4 if it is one that is mapped to IPv6; None for what is no range."""
    try:
        net = ipaddress.ip_network(given, strict=False)
    except ValueError:
        return None
    mapped = getattr(net.network_address, "ipv4_mapped", None)
    if mapped is None or net.prefixlen < _MAPPED_BITS:
        return net
    return ipaddress.ip_network((mapped, net.prefixlen - _MAPPED_BITS))


def _address(given: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address without a port; one of IPv4 that is mapped to IPv6 (RFC 4291, 2.5.5.2) is of IPv4."""
    with_port = _WITH_PORT.fullmatch(given.strip())
    address = ipaddress.ip_address((with_port[1] or with_port[2]) if with_port else given.strip())
    return getattr(address, "ipv4_mapped", None) or address


COMMON = ["type", "when", "variables"]
KEYS = {
    "type": "how requests are authenticated",
    "when": "the first scheme of a list is used whose [condition](#conditions) holds; without it, any",
    "variables": "[values of your own](#variables-of-your-own), as for a signature over fields",
    "name": "the name of the header or field",
    "value": "the shared secret; in a list, each is valid",
    "username": "the user name",
    "password": "the password",
    "key": "the secret with which requests are signed, or the provider's public key; in a list, each is "
    "valid",
    "signature": "where the signature is",
    "algorithm": "of `hmac`: `sha256` (the default), `sha1`, `sha512` or `md5`; of `jwt`: `HS256` (the "
    "default), `RS256` or `ES256`",
    "encoding": "of the signature: `hex` (the default), `base64` or `base64url`",
    "over": "the signed text, `$body$` by default",
    "timestamp": "where the time of the signature is: seconds or milliseconds since 1970, or ISO 8601",
    "tolerance": "how many seconds the time may differ from now; 300 by default",
    "token": "where the token is, by default `Authorization: Bearer …`",
    "ranges": "a list of addresses and ranges, or a text with commas, semicolons or blanks between them",
}
TYPES = {
    "none": "takes requests from anybody",
    "header": "a [shared secret](#shared-secrets-header-query-basic) in a header",
    "query": "a [shared secret](#shared-secrets-header-query-basic) in the query",
    "field": "a [shared secret](#shared-secrets-header-query-basic) in a field of the body",
    "basic": "a [user name and password](#shared-secrets-header-query-basic) (RFC 7617)",
    "hmac": "an [HMAC](#hmac) over the body, or a text of your own",
    "ed25519": "a [signature with Ed25519](#ed25519)",
    "jwt": "a [JSON Web Token](#jwt) (RFC 7519)",
    "standard-webhooks": "a signature by [Standard Webhooks](#standard-webhooks)",
    "url-and-form-hmac": "an [HMAC-SHA1 over URL and form](#url-and-form-hmac), Twilio's scheme",
    "ip": "the [address](#ip) that the request comes from",
}
SCHEMES: dict[str, tuple[list[str], list[str], _Maker]] = {
    "none": ([], [], lambda node, scope, pointer: _unchecked),
    "header": (["name", "value"], [], _header),
    "query": (["name", "value"], [], _query),
    "field": (["name", "value"], [], _field),
    "basic": (["username", "password"], [], _basic),
    "hmac": (["key", "signature"], ["algorithm", "encoding", "over", "timestamp", "tolerance"], check_hmac),
    "ed25519": (["key", "signature"], ["over", "timestamp", "tolerance"], check_ed25519),
    "jwt": (["key"], ["algorithm", "token", "tolerance"], check_jwt),
    "standard-webhooks": (["key"], ["tolerance"], check_standard),
    "url-and-form-hmac": (["key"], ["signature"], check_url_and_form),
    "ip": (["ranges"], [], _ip),
}
