"""How requests authenticate themselves: tokens that are signed, issued by OAuth2 in all its spellings, or by Login."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from integrations import cases, token_requests
from integrations.events import HttpResponse
from integrations.language.document import Template, compile_document
from integrations.language.errors import DocumentError, RenderError
from integrations.redact import Redactor
from integrations.requests import build, plan
from integrations.sandbox.signing_keys import SigningKeys

KEYS = SigningKeys()
NOW, STAMP = "2026-03-04T05:06:07Z", 1772600767
MESSAGE = {"from": "+12025550001", "to": "+12025550002", "text": "Hi", "now": NOW}
SEND = {
    "SendMessage": {"request_url": "https://a.example/texts", "request_parameters": {"text": "$content$"}}
}
CLIENT = {
    "client_id": "$Client ID$",
    "token_endpoint": "https://a.example/token",
    "flow_type": "client_credentials",
}


def template(**document: Any) -> Template:
    base = {
        "id": "acme",
        "name": "Acme",
        "properties": ["Key", {"name": "Client ID", "secret": False}],
        "API": SEND,
    }
    return compile_document({**base, **document})


def header(compiled: Template, properties: dict[str, Any], **message: Any) -> str:
    return str(plan(compiled, properties, {**MESSAGE, **message})[0].request.headers.get("Authorization", ""))


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256"])
@pytest.mark.parametrize("one_line", [False, True])
def test_a_token_is_signed_for_each_request(algorithm: str, one_line: bool) -> None:
    secret = "a-shared-secret-of-more-than-32-bytes"
    private, public = (
        (secret, secret) if algorithm == "HS256" else (KEYS.private(algorithm), KEYS.public(algorithm))
    )
    compiled = template(
        auth={
            "type": "JWT",
            "algorithm": algorithm,
            "key": "$Key$",
            "claims": {"sub": "$Client ID$", "jti": "$nonce$", "nothing": "$username$", "exp?": "$username$"},
            "header": {"kid": "k-$Client ID$", "alg": "none"},
            "expires": 60,
        }
    )
    values = {"Key": private.replace("\n", " ") if one_line else private, "Client ID": "c-1"}
    first, second = (header(compiled, values).removeprefix("Bearer ") for _ in range(2))
    read = [
        jwt.decode(token, public, [algorithm], options={"verify_exp": False}) for token in (first, second)
    ]
    assert read[0]["jti"] != read[1]["jti"] and len(read[0]["jti"]) == 32
    assert {**read[0], "jti": ""} == {"iat": STAMP, "exp": STAMP + 60, "sub": "c-1", "jti": ""}
    assert jwt.get_unverified_header(first) == {"typ": "JWT", "alg": algorithm, "kid": "k-c-1"}
    fixed = jwt.decode(
        header(compiled, values, nonce="n-1")[7:], public, [algorithm], options={"verify_exp": False}
    )
    assert fixed["jti"] == "n-1"


def test_traces_show_no_signed_token() -> None:
    compiled = template(auth={"type": "JWT", "algorithm": "RS256", "key": "$Key$"})
    [part] = plan(compiled, {"Key": KEYS.private("RS256")}, MESSAGE)
    assert part.request.headers["Authorization"].count(".") == 2
    assert dict(part.shown.headers) == {"Authorization": "•••", "Content-Type": "application/json"}
    assert part.shown.body == part.request.body


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize(
    "key", [None, "", "no key", KEYS.public("RS256"), SigningKeys().private("RS256")[:-60]]
)
def test_a_key_that_cannot_be_read_is_told_without_it(algorithm: str, key: str | None) -> None:
    compiled = template(auth={"type": "JWT", "algorithm": algorithm, "key": "$Key$"})
    with pytest.raises(RenderError) as caught:
        plan(compiled, {"Key": key}, MESSAGE)
    kind = "an RSA key" if algorithm == "RS256" else "a key of the curve P-256"
    assert str(caught.value) == (
        f"/auth/key: The key cannot be read: {algorithm} needs {kind} as PEM, not encrypted, which begins with "
        "-----BEGIN PRIVATE KEY-----."
    )


def token_case(document: dict[str, Any], fields: dict[str, Any], **more: Any) -> str:
    """How the token request of a document differs from the expected form."""
    case = {
        "kind": "send",
        "method": "OAuth2",
        "properties": {"Client ID": "c-1", "Key": "s-1"},
        "expect": [{"method": "POST", "url": "https://a.example/token", "form": fields}],
        "responses": [{"json": {"access_token": "at-1", "refresh_token": "rt-1", "expires_in": 3600}}],
        "outcome": {"result": "sent", "access_token": "at-1", "refresh_token": "rt-1", "expires_in": 3600},
    }
    return cases.run(template(**document), {**case, **more})


FORM = {"grant_type": "client_credentials", "client_id": "c-1"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, FORM),
        ({key: {"default": value} for key, value in CLIENT.items()}, FORM),
        ({"client_secret": {"default": "$Key$"}}, {**FORM, "client_secret": "s-1"}),
        ({"token_parameters": "scope=sms+mms&audience=%24Client ID%24"}, {**FORM, "scope": "sms mms", "audience": "c-1"}),
        ({"token_parameters": {"default": "?scope=sms&empty="}}, {**FORM, "scope": "sms", "empty": ""}),
        ({"token_parameters": {"default": {"scope": "$Key$"}}}, {**FORM, "scope": "s-1"}),
        ({"token_parameters": {"client_id": None, "grant_type": "api_key", "api_key": "$Key$"}}, {"grant_type": "api_key", "api_key": "s-1"}),
        ({"token_auth": {"default": "basic"}}, {"grant_type": "client_credentials"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["OAuth2", "auth", "listed"])
def test_oauth2_in_all_its_spellings(changes: dict[str, Any], expected: dict[str, Any], place: str) -> None:
    settings = {**CLIENT, **changes}
    auth: Any = {"type": "OAuth2", **settings}
    document = {"OAuth2": settings} if place == "OAuth2" else {"auth": [auth] if place == "listed" else auth}
    assert token_case(document, expected) == ""
    assert template(**document).warnings == ()


def test_a_refresh_and_a_refusal_can_be_cases() -> None:
    grant = {"grant_type": "refresh_token", "refresh_token": "rt-0"}
    refused = {"responses": [{"status": 400, "json": {"error": "invalid_grant"}}]}
    outcome = {
        "result": "failed",
        "text": "The provider returned no access token (status 400). invalid_grant",
    }
    form = {**grant, "client_id": "c-1"}
    assert token_case({"OAuth2": CLIENT}, form, grant=grant, **refused, outcome=outcome) == ""
    without = token_case({}, form)
    assert without.startswith("Expected 1 requests, got 0. The template does not describe OAuth2.")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"OAuth2": CLIENT}, {"Authorization": "Bearer at-1"}),
        ({"OAuth2": {**CLIENT, "request_auth": {"default": "Token"}}}, {"Authorization": "Token at-1"}),
        ({"OAuth2": CLIENT, "auth": {"type": "Header", "name": "X-Key", "value": "$Key$"}}, {"Authorization": "Bearer at-1", "X-Key": "s-1"}),
        ({"OAuth2": CLIENT, "auth": {"type": "Basic", "username": "a", "password": "b"}}, {"Authorization": "Basic YTpi"}),
        ({"OAuth2": CLIENT, "request_headers": {"authorization": "$access_token$"}}, {"authorization": "at-1"}),
    ],
)  # fmt: skip
def test_oauth2_beside_auth(document: dict[str, Any], expected: dict[str, str]) -> None:
    values = {"Key": "s-1", "access_token": "at-1"}
    headers = dict(plan(template(**document), values, MESSAGE)[0].request.headers)
    assert headers == {**expected, "Content-Type": "application/json"}


LOGIN = {
    "Login": {
        "request_url": "https://a.example/login",
        "request_parameters": {"key": "$Key$", "n": "$nonce$", "at": "$now$", "hook": "$webhook_url$", "org": "$orgid$ $domain$"},
        "response_map": {"t": "$access_token$", "life?": "$expires_in?$", "until?": "$expires_at?$"},
        "response_errors": [{"when": {"$response.error$": True}, "text": "$response.error$"}],
    },
    **SEND,
}  # fmt: skip
WITH_TOKEN = {
    "auth": [
        {"type": "Header", "name": "X-Token", "value": "t $access_token$", "when": {"$access_token$": True}},
        {"type": "Header", "name": "X-Key", "value": "$Key$"},
    ],
    "request_headers": {"X-Also": "$access_token|upper$", "X-Always": "yes"},
}


def test_a_login_sends_what_names_no_token() -> None:
    compiled = template(API=LOGIN, **WITH_TOKEN)
    fixed = {
        "now": NOW,
        "nonce": "n-1",
        "webhook_url": "https://p.example/s",
        "orgid": "o1",
        "domain": "d.example",
    }
    request = build(compiled, "Login", {"Key": "s-1", "access_token": "old"}, fixed)
    assert dict(request.headers) == {"X-Key": "s-1", "X-Always": "yes", "Content-Type": "application/json"}
    assert request.body == (
        b'{"key":"s-1","n":"n-1","at":"2026-03-04T05:06:07Z","hook":"https://p.example/s","org":"o1 d.example"}'
    )
    assert request.reads == {"Key", "nonce", "now", "webhook_url", "orgid", "domain"}
    sent = plan(compiled, {"Key": "s-1", "access_token": "new"}, MESSAGE)[0].request
    assert (sent.headers["X-Token"], sent.headers["X-Also"]) == ("t new", "NEW")
    assert "X-Key" not in sent.headers


@pytest.mark.parametrize(
    ("status", "body", "token", "seconds", "problem", "temporary"),
    [
        (200, b'{"t": "at-1", "life": 60}', "at-1", 60, "", False),
        (200, b'{"t": "at-1", "life": "60"}', "at-1", 60, "", False),
        (200, b'{"t": "at-1"}', "at-1", None, "", False),
        (200, b'{"t": "at-1", "until": "2026-03-04T06:06:07+00:00"}', "at-1", 3600, "", False),
        (200, b'{"t": "at-1", "until": "Wed, 04 Mar 2026 06:06:07 +0100"}', "at-1", None, "", False),
        (200, b'{"t": "at-1", "until": 1772601367}', "at-1", 600, "", False),
        (200, b'{"t": "at-1", "until": "never", "life": -1}', "at-1", None, "", False),
        (200, b'{"token": "secret-1"}', "", None, "The provider issued no access token. The template does not describe its response.", False),
        (200, b'{"error": "Wrong key s-1"}', "", None, "The provider issued no access token. Wrong key •••", False),
        (401, b"", "", None, "The provider issued no access token. The provider responded with status 401.", False),
        (503, b"", "", None, "The provider issued no access token. The provider responded with status 503.", True),
    ],
)  # fmt: skip
def test_what_a_login_answers(
    status: int,
    body: bytes,
    token: str,
    seconds: int | None,
    problem: str,
    temporary: bool,
    time_machine: Any,
) -> None:
    time_machine.move_to(NOW, tick=False)
    compiled, values = template(API=LOGIN), {"Key": "s-11", "access_token": "old"}
    found = token_requests.read(
        compiled, values, {}, HttpResponse(status, {}, body.replace(b"s-1", b"s-11")), Redactor(["s-11"])
    )
    assert (found.access_token, found.problem, found.temporary) == (token, problem, temporary)
    assert (found.lifetime.total_seconds() if found.lifetime else None) == seconds


def test_a_property_named_like_a_new_variable_stays_where_it_was_stored() -> None:
    document = {
        "id": "acme",
        "name": "Acme",
        "properties": ["nonce"],
        "auth": {"type": "Bearer", "token": "$nonce$"},
        "API": SEND,
    }
    with pytest.raises(DocumentError, match="'nonce' is the name of a variable"):
        compile_document(document)
    stored = compile_document(document, stored=True)
    assert [problem.severity for problem in stored.warnings] == ["warning"]
    assert header(stored, {"nonce": "mine"}) == "Bearer mine"
