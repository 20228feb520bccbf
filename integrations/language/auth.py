"""The header that authenticates requests."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from integrations.language.conditions import Condition, compile_condition
from integrations.language.dates import parse_date
from integrations.language.errors import RenderError, child, did_you_mean
from integrations.language.json_web_tokens import ALGORITHMS, UnreadableKey, signed
from integrations.language.oauth import COMMON, unwrapped
from integrations.language.scope import Scope
from integrations.language.sections import check_header, check_keys, choice, number
from integrations.language.shapes import Render, compile_render
from integrations.language.values import Value, raw, text

TYPES = {
    "Basic": "`Authorization: Basic …` (RFC 7617)",
    "Bearer": "`Authorization: Bearer <token>`",
    "Header": "`<name>: <value>`",
    "JWT": "`Authorization: Bearer <token>`, a [token that is signed for each request](#signed-requests-jwt)",
    "OAuth2": "`Authorization: Bearer <access token>`, by [OAuth 2.0](#oauth2)",
}
FIELDS: dict[str, dict[str, str]] = {
    "Basic": {"username": "the user name", "password": "the password"},
    "Bearer": {"token": "the token"},
    "Header": {
        "name": "the name of the header, by default `Authorization`",
        "value": "the value of the header",
    },
    "JWT": {
        "algorithm": "`RS256`, `ES256` or `HS256`",
        "key": "for RS256 and ES256 the private key as PEM, not encrypted; its line ends may be missing, as "
        "in a field of one line. For HS256 the shared secret",
        "claims": "an object. `iat` and `exp` are added where it does not have them",
        "header": "more fields of the header, besides `typ` and `alg`",
        "expires": "seconds from `iat` to `exp`: 1 to 86,400; 300 by default",
    },
    "OAuth2": {},
}
OPTIONAL = ["name", "claims", "header", "expires"]
LONGEST = 86_400  # seconds that a token is valid


class Scheme(NamedTuple):
    """A header that authenticates requests: when it is sent, its name and its value.

    If it `signs`, the value is made of a key and cannot be found by it, so it must not be shown.
    """

    when: Condition
    name: str
    value: Render
    signs: bool = False


def compile_schemes(document: Mapping[str, Value], scope: Scope) -> tuple[tuple[Scheme, ...], ...]:
    """The document's schemes in groups: of each, the first whose condition holds is sent.

    A header of a later group replaces that of an earlier one. Where the scope has no access token, as when
    one is requested, the schemes that name it are left out.
    """
    found = []
    if "OAuth2" in document:
        found.append(_schemes(document["OAuth2"], scope, "/OAuth2", "OAuth2"))
    if "auth" in document:
        found.append(_schemes(document["auth"], scope, "/auth"))
    return tuple(found)


def _schemes(node: Value, scope: Scope, pointer: str, kind: str = "") -> tuple[Scheme, ...]:
    if isinstance(node, list) and not kind:
        return tuple(
            scheme
            for index, item in enumerate(node)
            for scheme in _schemes(item, scope, child(pointer, index))
        )
    if not isinstance(node, Mapping) or not (kind or "type" in node):
        kinds = f"an object with 'type' ({', '.join(FIELDS)}), or a list of these"
        scope.report(pointer, f"{pointer[1:]} must be an object." if kind else f"auth is {kinds}.")
        return ()
    kind = kind or text(node["type"])
    if kind not in FIELDS:
        reason = f"There is no auth type {kind!r}."
        scope.report(child(pointer, "type"), reason, did_you_mean(kind, FIELDS))
        return ()
    own = replace(scope, names=scope.names | {"access_token": True}, used=set())
    when = compile_condition(node.get("when", {}), own, child(pointer, "when"))
    scheme = _scheme(node, kind, own, pointer)
    if "access_token" in own.used and "access_token" not in scope.names:
        return ()
    scope.used |= own.used
    return (scheme._replace(when=when),) if scheme else ()


def _scheme(node: Mapping[str, Value], kind: str, scope: Scope, pointer: str) -> Scheme | None:
    if kind == "OAuth2":
        word, place = unwrapped(node, "request_auth", pointer, "Bearer")
        prefix = compile_render(word, scope, place)
        scope.used.add("access_token")
        return _header("Authorization", _prefixed(prefix, lambda variables: variables.get("access_token")))
    check_keys(node, {**COMMON, **FIELDS[kind]}, scope, pointer)
    for name in FIELDS[kind]:
        if name not in node and name not in OPTIONAL:
            scope.report(pointer, f"{kind} needs {name!r}.")
    if kind == "JWT":
        token = _prefixed(lambda variables: "Bearer", _token(node, scope, pointer))
        return _header("Authorization", token)._replace(signs=True)
    parts = [compile_render(node.get(name), scope, child(pointer, name)) for name in FIELDS[kind]]
    if kind == "Bearer":
        return _header("Authorization", _prefixed(lambda variables: "Bearer", parts[0]))
    if kind == "Basic":
        return _header("Authorization", lambda variables: basic(parts[0](variables), parts[1](variables)))
    header = text(node.get("name", "Authorization"))
    check_header(header, scope, child(pointer, "name"))
    return _header(header, parts[1])


def _header(name: str, value: Render) -> Scheme:
    return Scheme(lambda variables: True, name, value)


def _token(node: Mapping[str, Value], scope: Scope, pointer: str) -> Render:
    """A JSON Web Token (RFC 7519), signed anew for each request."""
    algorithm = choice(node, "algorithm", ALGORITHMS, scope, pointer)
    expires = int(number(node, "expires", 300, 1, LONGEST, scope, pointer))
    key = compile_render(node.get("key"), scope, child(pointer, "key"))
    shapes = {
        name: compile_render(node.get(name, {}), scope, child(pointer, name)) for name in ("claims", "header")
    }
    for name in shapes:
        if not isinstance(node.get(name, {}), Mapping):
            scope.report(child(pointer, name), f"{name!r} must be an object.")

    def render(variables: Mapping[str, Value]) -> str:
        moment = parse_date(text(variables.get("now")))
        start = int(moment.timestamp()) if moment else 0
        given = {name: shape(variables) for name, shape in shapes.items()}
        for name, value in given.items():
            if not isinstance(value, dict):
                raise RenderError(f"{name!r} must be an object.", child(pointer, name))
        said = {"iat": start, "exp": start + expires, **given["claims"]}
        said = {name: value for name, value in said.items() if value is not None}
        try:
            return signed(algorithm, key(variables), said, given["header"])
        except UnreadableKey as error:
            raise RenderError(str(error), child(pointer, "key")) from None

    return render


def basic(username: Value, password: Value) -> str:
    """The value of an Authorization header for Basic authentication (RFC 7617)."""
    return "Basic " + base64.b64encode(raw(username) + b":" + raw(password)).decode()


def _prefixed(prefix: Render, token: Render) -> Render:
    def render(variables: Mapping[str, Value]) -> str | None:
        value = text(token(variables))
        return f"{text(prefix(variables))} {value}" if value else None

    return render
