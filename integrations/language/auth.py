"""The header that authenticates requests, and OAuth 2.0 (RFC 6749, RFC 7636)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, cast
from urllib.parse import parse_qsl

from integrations.language.conditions import Condition, compile_condition
from integrations.language.dates import parse_date
from integrations.language.errors import RenderError, child, did_you_mean
from integrations.language.json_web_tokens import ALGORITHMS, UnreadableKey, signed
from integrations.language.scope import Scope
from integrations.language.sections import check_header, check_keys, choice, media_type, number
from integrations.language.shapes import Render, compile_render
from integrations.language.urls import Url, compile_url
from integrations.language.values import Value, raw, text

Flow = Literal["authorization_code", "client_credentials", "password"]
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
COMMON = {
    "type": "which scheme this is",
    "when": "the first scheme of a list is used whose [condition](#conditions) holds; without it, any",
}
OAUTH_KEYS = {
    **COMMON,
    "client_id": "the id of Patchbay at the provider",
    "client_secret": "the secret that belongs to it; optional",
    "flow_type": '`authorization_code` (also written `"0"`, the default, or `{"default": "0"}`): an '
    "administrator gives consent at the provider. `client_credentials`, `password`: no consent is needed",
    "authorization_endpoint": "the URL of the consent page, which `authorization_code` needs",
    "authorization_parameters": "additional query parameters of that URL: an object, or an encoded query",
    "token_endpoint": "the URL that issues tokens",
    "token_parameters": "additional fields of the request for a token, an object or an encoded query; they "
    "replace default fields of the same name, and `null` removes one. The flow `password` needs `username` "
    "and `password` here. With `content_type`, the request can be JSON instead of a form",
    "token_auth": "`body` (the default) sends the client's id and secret as fields, `basic` in a header",
    "request_auth": "the word before the token in the header, `Bearer` by default",
}
READS = ["webhook_url", "domain"]
TOKEN_AUTH = ["body", "basic"]
FLOWS: dict[str, Flow] = {
    "0": "authorization_code",
    "authorization_code": "authorization_code",
    "client_credentials": "client_credentials",
    "password": "password",
}


class Scheme(NamedTuple):
    """A header that authenticates requests: when it is sent, its name and its value.

    If it `signs`, the value is made of a key and cannot be found by it, so it must not be shown.
    """

    when: Condition
    name: str
    value: Render
    signs: bool = False


@dataclass(frozen=True)
class Grant:
    """How access tokens are obtained: by OAuth2, or by the method Login.

    `reads` are the names that the token requests read. An administrator must give consent if `by_consent`.
    """

    reads: frozenset[str]
    by_consent: bool = False


@dataclass(frozen=True)
class OAuth2:
    """The requests to the authorization and token endpoints; `pointer` is their place in the document.

    `reads` are the names that the token requests read, `consent_reads` those of the authorization request.
    """

    pointer: str
    flow: Flow
    client_id: Render
    client_secret: Render
    authorization_endpoint: Url | None
    authorization_parameters: Render
    token_endpoint: Url
    token_parameters: Render
    token_content_type: str
    basic: bool
    reads: frozenset[str]
    consent_reads: frozenset[str]


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
        word, place = _unwrapped(node, "request_auth", pointer, "Bearer")
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


def compile_oauth(document: Mapping[str, Value], scope: Scope) -> OAuth2 | None:
    """What the document says of OAuth2, in a key of its own or in `auth`; problems go to the scope."""
    auth = document.get("auth")
    listed = [("/auth", auth)]
    if isinstance(auth, list):
        listed = [(child("/auth", index), item) for index, item in enumerate(auth)]
    places = [
        (pointer, item)
        for pointer, item in listed
        if isinstance(item, Mapping) and item.get("type") == "OAuth2"
    ]
    if isinstance(own := document.get("OAuth2"), Mapping):
        if places:
            scope.report("/OAuth2", f"OAuth2 is described twice: here and at {places[0][0]}.", "Keep one.")
        places.insert(0, ("/OAuth2", own))
    found = [_oauth(node, scope, pointer) for pointer, node in places]
    return next((item for item in found if item is not None), None)


def _oauth(node: Mapping[str, Value], scope: Scope, pointer: str) -> OAuth2 | None:
    check_keys(node, OAUTH_KEYS, scope, pointer)
    scope = replace(scope, names=dict.fromkeys(READS, False), used=set(), private=set())
    consent = replace(scope, used=set())

    def at(key: str, scope: Scope) -> tuple[Value, Scope, str]:
        value, place = _unwrapped(node, key, pointer)
        return value, scope, place

    def shape(key: str) -> Render:
        return compile_render(*at(key, scope))

    word = text(_unwrapped(node, "flow_type", pointer, "0")[0])
    flow = FLOWS.get(word)
    if flow is None:
        scope.report(
            child(pointer, "flow_type"), f"There is no flow type {word!r}.", did_you_mean(word, FLOWS)
        )
    needed = ["client_id", "token_endpoint"]
    if flow == "authorization_code":
        needed.append("authorization_endpoint")
    for key in needed:
        if key not in node:
            scope.report(pointer, f"OAuth2 needs {key!r}.")
    endpoints = {
        key: compile_url(*at(key, asked))
        for key, asked in (("authorization_endpoint", consent), ("token_endpoint", scope))
        if key in node
    }
    if flow is None or "token_endpoint" not in endpoints:
        return None
    parameters, place = _parameters(node, "token_parameters", scope, pointer)
    kind = parameters.pop("content_type", "form")
    client_id = shape("client_id")
    consent.used |= scope.used
    asked, asked_place = _parameters(node, "authorization_parameters", scope, pointer)
    way = {"token_auth": _unwrapped(node, "token_auth", pointer, "body")[0]}
    return OAuth2(
        pointer, flow, client_id, shape("client_secret"), endpoints.get("authorization_endpoint"),
        compile_render(cast(Value, asked), consent, asked_place),
        endpoints["token_endpoint"], compile_render(cast(Value, parameters), scope, place),
        media_type(kind, scope, child(place, "content_type")),
        choice(way, "token_auth", TOKEN_AUTH, scope, pointer) == "basic",
        frozenset(scope.used), frozenset(consent.used),
    )  # fmt: skip


def _unwrapped(node: Mapping[str, Value], key: str, pointer: str, missing: Value = None) -> tuple[Value, str]:
    """The value under a key and its place; Ringotel writes any as {"default": value}."""
    value, place = node.get(key, missing), child(pointer, key)
    if isinstance(value, Mapping) and "default" in value and len(value) == 1:
        return value["default"], child(place, "default")
    return value, place


def _parameters(
    node: Mapping[str, Value], key: str, scope: Scope, pointer: str
) -> tuple[dict[str, Value], str]:
    given, place = _unwrapped(node, key, pointer, {})
    if isinstance(given, str):
        return dict(parse_qsl(given.removeprefix("?"), keep_blank_values=True)), place
    if not isinstance(given, Mapping):
        scope.report(place, f"{key!r} is an object, or an encoded query.")
        return {}, place
    return dict(given), place
