"""The `auth` section: the header that authenticates requests, and OAuth 2.0 (RFC 6749, RFC 7636)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast
from urllib.parse import parse_qsl

from integrations.language.conditions import Condition, compile_condition
from integrations.language.errors import child, did_you_mean
from integrations.language.scope import Scope
from integrations.language.sections import check_header, check_keys, choice, media_type
from integrations.language.shapes import Render, compile_render
from integrations.language.urls import Url, compile_url
from integrations.language.values import Value, raw, text

Scheme = tuple[Condition, str, Render]
Flow = Literal["authorization_code", "client_credentials", "password"]
FIELDS = {"Basic": ["username", "password"], "Bearer": ["token"], "Header": ["name", "value"], "OAuth2": []}
OAUTH_KEYS = [
    "type",
    "when",
    "client_id",
    "client_secret",
    "flow_type",
    "authorization_endpoint",
    "authorization_parameters",
    "token_endpoint",
    "token_parameters",
    "token_auth",
    "request_auth",
]
FLOWS: dict[str, Flow] = {
    "0": "authorization_code",
    "authorization_code": "authorization_code",
    "client_credentials": "client_credentials",
    "password": "password",
}


@dataclass(frozen=True)
class OAuth2:
    """How access tokens are obtained: the requests to the authorization and token endpoints.

    `reads` are the names that the token requests read, `consent_reads` those of the authorization request.
    """

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


def compile_auth(node: Value, scope: Scope, pointer: str) -> tuple[Scheme, ...]:
    """Each scheme's condition, header name and value; the first whose condition holds is sent."""
    if isinstance(node, list):
        return tuple(
            scheme
            for index, item in enumerate(node)
            for scheme in compile_auth(item, scope, child(pointer, index))
        )
    if not isinstance(node, Mapping) or "type" not in node:
        scope.report(pointer, f"auth is an object with 'type' ({', '.join(FIELDS)}), or a list of these.")
        return ()
    kind = text(node["type"])
    if kind not in FIELDS:
        reason = f"There is no auth type {kind!r}."
        scope.report(child(pointer, "type"), reason, did_you_mean(kind, FIELDS))
        return ()
    when = compile_condition(node.get("when", {}), scope, child(pointer, "when"))
    if kind == "OAuth2":
        prefix = compile_render(node.get("request_auth", "Bearer"), scope, child(pointer, "request_auth"))
        scope.used.add("access_token")
        return ((when, "Authorization", _prefixed(prefix, lambda variables: variables.get("access_token"))),)
    check_keys(node, ["type", "when", *FIELDS[kind]], scope, pointer)
    for name in FIELDS[kind]:
        if name not in node and name != "name":
            scope.report(pointer, f"{kind} needs {name!r}.")
    parts = [compile_render(node.get(name), scope, child(pointer, name)) for name in FIELDS[kind]]
    if kind == "Bearer":
        return ((when, "Authorization", _prefixed(lambda variables: "Bearer", parts[0])),)
    if kind == "Basic":
        return ((when, "Authorization", lambda variables: basic(parts[0](variables), parts[1](variables))),)
    header = text(node.get("name", "Authorization"))
    check_header(header, scope, child(pointer, "name"))
    return ((when, header, parts[1]),)


def basic(username: Value, password: Value) -> str:
    """The value of an Authorization header for Basic authentication (RFC 7617)."""
    return "Basic " + base64.b64encode(raw(username) + b":" + raw(password)).decode()


def _prefixed(prefix: Render, token: Render) -> Render:
    def render(variables: Mapping[str, Value]) -> str | None:
        value = text(token(variables))
        return f"{text(prefix(variables))} {value}" if value else None

    return render


def compile_oauth(node: Value, scope: Scope, pointer: str) -> OAuth2 | None:
    """The OAuth2 scheme of `auth`, if there is one; problems go to the scope."""
    if isinstance(node, list):
        found = [compile_oauth(item, scope, child(pointer, index)) for index, item in enumerate(node)]
        return next((item for item in found if item is not None), None)
    if not isinstance(node, Mapping) or node.get("type") != "OAuth2":
        return None
    check_keys(node, OAUTH_KEYS, scope, pointer)
    scope = replace(scope, names={"webhook_url": False, "domain": False}, used=set(), private=set())
    consent = replace(scope, used=set())

    def shape(key: str) -> Render:
        return compile_render(node.get(key), scope, child(pointer, key))

    given = node.get("flow_type", "0")
    # Ringotel writes a choice as {"default": "0"}.
    word = text(given.get("default") if isinstance(given, Mapping) else given)
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
        key: compile_url(node[key], asked, child(pointer, key))
        for key, asked in (("authorization_endpoint", consent), ("token_endpoint", scope))
        if key in node
    }
    if flow is None or "token_endpoint" not in endpoints:
        return None
    parameters = _parameters(node, "token_parameters", scope, pointer)
    kind = parameters.pop("content_type", "form")
    place = child(pointer, "token_parameters")
    client_id = shape("client_id")
    consent.used |= scope.used
    return OAuth2(
        flow, client_id, shape("client_secret"), endpoints.get("authorization_endpoint"),
        compile_render(
            cast(Value, _parameters(node, "authorization_parameters", scope, pointer)),
            consent, child(pointer, "authorization_parameters"),
        ),
        endpoints["token_endpoint"], compile_render(cast(Value, parameters), scope, place),
        media_type(kind, scope, child(place, "content_type")),
        choice(node, "token_auth", ["body", "basic"], scope, pointer) == "basic",
        frozenset(scope.used), frozenset(consent.used),
    )  # fmt: skip


def _parameters(node: Mapping[str, Value], key: str, scope: Scope, pointer: str) -> dict[str, Value]:
    given = node.get(key, {})
    if isinstance(given, str):
        return dict(parse_qsl(given, keep_blank_values=True))
    if not isinstance(given, Mapping):
        scope.report(child(pointer, key), f"{key!r} is an object, or an encoded query.")
        return {}
    return dict(given)
