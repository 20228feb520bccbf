"""How access tokens are obtained: OAuth 2.0 (RFC 6749, RFC 7636)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast
from urllib.parse import parse_qsl

from integrations.language.errors import child, did_you_mean
from integrations.language.scope import Scope
from integrations.language.sections import check_keys, choice, media_type
from integrations.language.shapes import Render, compile_render
from integrations.language.urls import Url, compile_url
from integrations.language.values import Value, text

Flow = Literal["authorization_code", "client_credentials", "password"]
COMMON = {
    "type": "which scheme this is",
    "when": "the first scheme of a list is used whose [condition](#conditions) holds; without it, any",
}
KEYS = {
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
    check_keys(node, KEYS, scope, pointer)
    scope = replace(scope, names=dict.fromkeys(READS, False), used=set(), private=set())
    consent = replace(scope, used=set())

    def at(key: str, scope: Scope) -> tuple[Value, Scope, str]:
        value, place = unwrapped(node, key, pointer)
        return value, scope, place

    def shape(key: str) -> Render:
        return compile_render(*at(key, scope))

    word = text(unwrapped(node, "flow_type", pointer, "0")[0])
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
    way = {"token_auth": unwrapped(node, "token_auth", pointer, "body")[0]}
    return OAuth2(
        pointer, flow, client_id, shape("client_secret"), endpoints.get("authorization_endpoint"),
        compile_render(cast(Value, asked), consent, asked_place),
        endpoints["token_endpoint"], compile_render(cast(Value, parameters), scope, place),
        media_type(kind, scope, child(place, "content_type")),
        choice(way, "token_auth", TOKEN_AUTH, scope, pointer) == "basic",
        frozenset(scope.used), frozenset(consent.used),
    )  # fmt: skip


def unwrapped(node: Mapping[str, Value], key: str, pointer: str, missing: Value = None) -> tuple[Value, str]:
    """The value under a key and its place; Ringotel writes any as {"default": value}."""
    value, place = node.get(key, missing), child(pointer, key)
    if isinstance(value, Mapping) and "default" in value and len(value) == 1:
        return value["default"], child(place, "default")
    return value, place


def _parameters(
    node: Mapping[str, Value], key: str, scope: Scope, pointer: str
) -> tuple[dict[str, Value], str]:
    given, place = unwrapped(node, key, pointer, {})
    if isinstance(given, str):
        return dict(parse_qsl(given.removeprefix("?"), keep_blank_values=True)), place
    if not isinstance(given, Mapping):
        scope.report(place, f"{key!r} is an object, or an encoded query.")
        return {}, place
    return dict(given), place
