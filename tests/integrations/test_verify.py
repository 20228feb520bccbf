"""Who may call: each scheme with a right request, and with each thing that can be wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from integrations.events import InboundMessage, InboundRequest
from integrations.language.document import compile_document
from integrations.language.json_web_tokens import signed
from integrations.received import Accepted
from integrations.sandbox.signing_keys import SigningKeys
from integrations.webhooks import read

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
URL = "https://sms.example.com/services/acme/a1?x=1"
BODY = '{"a": "ä",  "from": "+61412345678"}'.encode()
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(SIGNER.public_key().public_bytes_raw()).decode()


def digest(key: str, signed: bytes, name: str = "sha256") -> bytes:
    return hmac.new(key.encode(), signed, name).digest()


def jwt(key: str = "key", **claims: Any) -> str:
    said = {"iat": NOW.timestamp(), "payload_hash": hashlib.sha256(BODY).hexdigest(), **claims}
    said = {name: value for name, value in said.items() if value is not None}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, said)]
    signed = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    return f"{signed}.{base64.urlsafe_b64encode(digest(key, signed.encode())).decode().rstrip('=')}"


def verdict(
    verify: Any, body: bytes = BODY, query: str = "", ip: str = "", url: str = URL, **headers: str
) -> str:
    template = compile_document(
        {
            "id": "acme",
            "name": "Acme",
            "properties": ["Key", {"name": "Keys", "type": "list", "required": False}],
            "Webhook": {"verify": verify, "events": [{"event_type": "ignore"}]},
        }
    )
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = InboundRequest("POST", "", query, {"content-type": "text/plain", **names}, body, ip, url)
    received = read(template, request, {"Key": "key", "Keys": ["old", "key"]}, now=NOW)
    assert (received.verdict, received.answer.status) in (("ignored", 200), ("unverified", 401))
    return received.reason


HMAC = {"type": "hmac", "key": "$Key$", "signature": "$headers.X-Sig$"}
TIMED = {**HMAC, "over": "$headers.X-Time$.$body$", "timestamp": "$headers.X-Time$"}
ED = {
    "type": "ed25519",
    "key": "$Key$",
    "signature": "$headers.X-Sig$",
    "over": "$headers.X-Time$|$body$",
    "timestamp": "$headers.X-Time$",
}
FORM = b"b=2&a=1&a=%2B1&empty="
SIGNED_FORM = base64.b64encode(digest("key", (URL + "a+1a1b2empty").encode(), "sha1")).decode()
WITH_PORT = base64.b64encode(
    digest("key", (URL.replace(".com/", ".com:443/") + "a+1a1b2empty").encode(), "sha1")
).decode()
HASH = hashlib.sha256(BODY).hexdigest()
KEYS, OTHERS = SigningKeys(), SigningKeys()
CLAIMS = {"iat": int(NOW.timestamp()), "payload_hash": HASH}


@pytest.mark.parametrize(
    ("verify", "request_"),
    [
        ({"type": "header", "name": "X-Token", "value": "$Key$"}, {"x_token": "key"}),
        ({"type": "header", "name": "X-Token", "value": "$Keys$"}, {"x_token": "old"}),
        ({"type": "query", "name": "token", "value": "$Key$"}, {"query": "token=key"}),
        (
            {"type": "basic", "username": "me", "password": "$Key$"},
            {"authorization": "Basic " + base64.b64encode(b"me:key").decode()},
        ),
        (HMAC, {"x_sig": digest("key", BODY).hex().upper()}),
        ({**HMAC, "key": "$Keys$"}, {"x_sig": digest("key", BODY).hex()}),
        (
            {**HMAC, "signature": "$headers.X-Sig|remove_prefix:'sha256='$"},
            {"x_sig": "sha256=" + digest("key", BODY).hex()},
        ),
        (
            {**HMAC, "algorithm": "sha512", "encoding": "base64"},
            {"x_sig": base64.b64encode(digest("key", BODY, "sha512")).decode()},
        ),
        (TIMED, {"x_sig": digest("key", STAMP.encode() + b"." + BODY).hex(), "x_time": STAMP}),
        (
            {**TIMED, "over": "$body|sha256$"},
            {"x_sig": digest("key", HASH.encode()).hex(), "x_time": NOW.isoformat()},
        ),
        (
            {**ED, "key": PUBLIC},
            {"x_sig": base64.b64encode(SIGNER.sign(f"{STAMP}|".encode() + BODY)).decode(), "x_time": STAMP},
        ),
        (
            {**ED, "key": SIGNER.public_key().public_bytes_raw().hex()},
            {"x_sig": SIGNER.sign(f"{STAMP}|".encode() + BODY).hex(), "x_time": STAMP},
        ),
        ({"type": "jwt", "key": "$Key$"}, {"authorization": "Bearer " + jwt()}),
        (
            {"type": "jwt", "key": "$Keys$", "token": "$headers.X-Jwt$"},
            {"x_jwt": jwt(url_hash=hashlib.sha256(URL.encode()).hexdigest())},
        ),
        (
            {"type": "standard-webhooks", "key": "whsec_" + base64.b64encode(b"secret").decode()},
            {
                "webhook_id": "msg_1",
                "webhook_timestamp": STAMP,
                "webhook_signature": "v1,bm8= v1,"
                + base64.b64encode(digest("secret", f"msg_1.{STAMP}.".encode() + BODY)).decode(),
            },
        ),
        ({"type": "url-and-form-hmac", "key": "$Key$"}, {"body": FORM, "x_twilio_signature": SIGNED_FORM}),
        ({"type": "url-and-form-hmac", "key": "$Key$"}, {"body": FORM, "x_twilio_signature": WITH_PORT}),
        (
            {"type": "url-and-form-hmac", "key": "$Key$"},
            {
                "query": f"bodySHA256={HASH}",
                "x_twilio_signature": base64.b64encode(digest("key", URL.encode(), "sha1")).decode(),
            },
        ),
        ({"type": "ip", "ranges": ["192.0.2.0/24", "2001:db8::/32"]}, {"ip": "192.0.2.7"}),
        ({"type": "ip", "ranges": ["192.0.2.0/24"]}, {"ip": "::ffff:192.0.2.7"}),
        ({"type": "ip", "ranges": ["192.0.2.0/24"]}, {"ip": "[::ffff:c000:207]:4711"}),
        ({"type": "ip", "ranges": ["192.0.2.0/24"]}, {"ip": "192.0.2.7:4711"}),
        ({"type": "ip", "ranges": ["2001:db8::/32"]}, {"ip": "[2001:db8::1]:443"}),
        ({"type": "ip", "ranges": ["2001:db8::/32"]}, {"ip": "[2001:db8::1]"}),
        ({"type": "field", "name": "from", "value": "+61412345678"}, {"content_type": "application/json"}),
        (
            {"type": "field", "name": "b.c", "value": "$Key$"},
            {"body": b'{"b":{"c":"key"}}', "content_type": "application/json"},
        ),
        (
            {"type": "field", "name": "Token", "value": "$Keys$"},
            {"body": b"token=old", "content_type": "application/x-www-form-urlencoded"},
        ),
        (
            {"type": "field", "name": "m.t", "value": "$Key$"},
            {"body": b"<m><t>key</t></m>", "content_type": "text/xml"},
        ),
        (
            {
                **HMAC,
                "variables": {"base": "$request.from$;$request.a$", "more": "$base$;$Key$"},
                "over": "$more$",
            },
            {"x_sig": digest("key", "+61412345678;ä;key".encode()).hex(), "content_type": "application/json"},
        ),
        ({"type": "none"}, {}),
        ([{"type": "none", "when": {"$request.a$": "ä"}}, HMAC], {"content_type": "application/json"}),
        (
            {"type": "url-and-form-hmac", "key": "$Key$"},
            {"body": FORM, "url": URL.replace(".com/", ".com:8443/"), "x_twilio_signature": SIGNED_FORM},
        ),
        ({"type": "jwt", "key": "$Key$"}, {"authorization": "Bearer " + jwt(iat=None, nbf=1)}),
        *[
            (
                {"type": "jwt", "algorithm": name, "key": spelled},
                {"authorization": "Bearer " + signed(name, KEYS.private(name), CLAIMS, {})},
            )
            for name in ("RS256", "ES256")
            for spelled in (
                KEYS.public(name),
                [PUBLIC, KEYS.public(name)],
                KEYS.public(name).replace("\n", " "),
                KEYS.public(name).replace("\n", "\\n"),
            )
        ],
        ({"type": "ip", "ranges": "192.0.2.0/24, 2001:db8::/32"}, {"ip": "2001:db8::1"}),
        *[
            ({"type": "ip", "ranges": ranges}, {"ip": "192.0.2.7"})
            for ranges in (
                "192.0.2.7, ",
                "192.0.2.1\n192.0.2.7",
                "192.0.2.*; 192.0.2.7",
                "::ffff:192.0.2.0/120",
            )
        ],
        (
            [
                {"type": "header", "when": {"$headers.X-Old$": True}, "name": "X-Old", "value": "$Key$"},
                {"type": "header", "name": "X-New", "value": "$Key$"},
            ],
            {"x_new": "key"},
        ),
    ],
)
def test_the_service_may_call(verify: Any, request_: dict[str, Any]) -> None:
    assert verdict(verify, **request_) == ""


OLD = str(int((NOW - timedelta(seconds=301)).timestamp()))


@pytest.mark.parametrize(
    ("verify", "request_", "reason"),
    [
        ({"type": "header", "name": "X-Token", "value": "$Key$"}, {}, "The header X-Token is missing or wrong."),
        ({"type": "header", "name": "X-Token", "value": ""}, {"x_token": ""}, "The header X-Token is missing or wrong."),
        ({"type": "header", "name": "X-Token", "value": "$Key$"}, {"x_token": "kéy"}, "The header X-Token is missing or wrong."),
        ({"type": "query", "name": "token", "value": "$Key$"}, {"query": "token=no"}, "The query field token is missing or wrong."),
        (
            {"type": "basic", "username": "me", "password": "$Key$"},
            {"authorization": "Basic " + base64.b64encode(b"me:no").decode()},
            "The user name or password is missing or wrong.",
        ),
        (
            {"type": "basic", "username": "me", "password": "$Key$"},
            {"authorization": "Basic !"},
            "The user name or password is missing or wrong.",
        ),
        (HMAC, {}, "The signature is missing or wrong."),
        (HMAC, {"x_sig": digest("other", BODY).hex()}, "The signature is missing or wrong."),
        (HMAC, {"x_sig": digest("key", BODY + b" ").hex()}, "The signature is missing or wrong."),
        (
            TIMED,
            {"x_sig": digest("key", OLD.encode() + b"." + BODY).hex(), "x_time": OLD},
            "The signature is 301 seconds old; at most 300 are allowed.",
        ),
        (TIMED, {"x_sig": digest("key", b"." + BODY).hex()}, "The timestamp of the signature is missing."),
        (
            {**ED, "key": PUBLIC},
            {"x_sig": base64.b64encode(SIGNER.sign(BODY)).decode(), "x_time": STAMP},
            "The signature is missing or wrong.",
        ),
        ({**ED, "key": "no key"}, {"x_sig": "no", "x_time": STAMP}, "The signature is missing or wrong."),
        ({"type": "field", "name": "from", "value": "$Key$"}, {"content_type": "application/json"}, "The field from is missing or wrong."),
        ({"type": "field", "name": "none", "value": "$Key$"}, {"body": b"[]", "content_type": "application/json"}, "The field none is missing or wrong."),
        ({"type": "field", "name": "none", "value": "$Key$"}, {"body": b"{", "content_type": "application/json"}, "The field none is missing or wrong."),
        (
            {**HMAC, "variables": {"base": "$request.from$"}, "over": "$base$"},
            {"x_sig": digest("key", BODY).hex(), "content_type": "application/json"},
            "The signature is missing or wrong.",
        ),
        ([{"type": "none", "when": {"$query.open$": True}}, HMAC], {}, "The signature is missing or wrong."),
        ({"type": "ip", "ranges": ["192.0.2.0/24"]}, {"ip": "192.0.3.1:4711"}, "192.0.3.1 is not one of the provider's addresses."),
        ({"type": "ip", "ranges": ["192.0.2.0/24"]}, {"ip": "192.0.2.7:"}, "The credentials or signature in the request cannot be read."),
        ({"type": "jwt", "algorithm": "RS256", "key": KEYS.public("RS256")}, {"authorization": f"Bearer {jwt(KEYS.public('RS256'))}"}, "The token is missing or does not use RS256."),
        ({"type": "jwt", "algorithm": "HS256", "key": KEYS.public("RS256")}, {"authorization": f"Bearer {jwt(KEYS.public('RS256'))}"}, "The key is a PEM, but HS256 needs a shared secret."),
        (
            {"type": "jwt", "algorithm": "RS256", "key": KEYS.public("RS256")},
            {"authorization": "Bearer " + signed("RS256", OTHERS.private("RS256"), CLAIMS, {})},
            "The token's signature is wrong.",
        ),
        (
            {"type": "jwt", "algorithm": "RS256", "key": KEYS.public("RS256")},
            {"authorization": "Bearer " + signed("ES256", KEYS.private("ES256"), CLAIMS, {})},
            "The token is missing or does not use RS256.",
        ),
        (
            {"type": "jwt", "algorithm": "RS256", "key": KEYS.public("ES256")},
            {"authorization": "Bearer " + signed("RS256", KEYS.private("RS256"), CLAIMS, {})},
            "The key cannot be read: RS256 needs an RSA key as PEM, not encrypted, which begins with -----BEGIN PUBLIC KEY-----.",
        ),
        ({"type": "jwt", "key": "$Key$"}, {"authorization": "Bearer " + jwt(nbf=NOW.timestamp() + 301)}, "The token is not valid yet."),
        ({"type": "jwt", "key": "$Key$"}, {"authorization": "Bearer " + jwt(exp="soon")}, "The token's times must be numbers of seconds."),
        ({"type": "jwt", "key": "$Key$"}, {"authorization": "Bearer no.token"}, "The credentials or signature in the request cannot be read."),
        ({"type": "jwt", "key": "$Key$"}, {}, "The token is missing or does not use HS256."),
        ({"type": "jwt", "key": "$Key$"}, {"authorization": "Bearer " + jwt("other")}, "The token's signature is wrong."),
        ({"type": "jwt", "key": "$Key$"}, {"authorization": "Bearer " + jwt(payload_hash="0")}, "The token does not match the body."),
        ({"type": "jwt", "key": "$Key$"}, {"authorization": "Bearer " + jwt(iat=1)}, "The token is too old."),
        ({"type": "jwt", "key": "$Key$"}, {"authorization": "Bearer " + jwt(exp=1)}, "The token has expired."),
        (
            {"type": "jwt", "key": "$Key$"},
            {"authorization": "Bearer " + jwt(url_hash="0")},
            "The token is for another URL than the public URL of this portal.",
        ),
        ({"type": "standard-webhooks", "key": "c2VjcmV0"}, {}, "The signature is missing or wrong."),
        ({"type": "url-and-form-hmac", "key": "$Key$"}, {"body": FORM + b"&c=3", "x_twilio_signature": SIGNED_FORM}, "The signature is missing or wrong."),
        (
            {"type": "url-and-form-hmac", "key": "$Key$"},
            {"body": b"other", "query": f"bodySHA256={HASH}"},
            "The body does not match the signed digest.",
        ),
        ({"type": "ip", "ranges": ["192.0.2.0/24"]}, {"ip": "192.0.3.1"}, "192.0.3.1 is not one of the provider's addresses."),
        ({"type": "ip", "ranges": " , "}, {"ip": "192.0.2.7"}, "192.0.2.7 is not one of the provider's addresses."),
        ({"type": "ip", "ranges": "192.0.2.*"}, {"ip": "192.0.2.7"}, "192.0.2.7 is not one of the provider's addresses. '192.0.2.*' is no address or range."),
        (
            [{"type": "header", "when": {"$headers.X-Old$": True}, "name": "X-Old", "value": "$Key$"}],
            {},
            "No scheme of 'verify' applies to the request.",
        ),
    ],
)  # fmt: skip
def test_nobody_else_may(verify: Any, request_: dict[str, Any], reason: str) -> None:
    assert verdict(verify, **request_) == reason


def test_what_no_event_matches_is_answered_as_ignored_only_where_it_was_verified() -> None:
    document = {
        "id": "acme",
        "name": "Acme",
        "properties": ["Key"],
        "Webhook": {"events": [{"event_type": "ignore", "path": "other"}]},
    }
    request = InboundRequest("POST", "", "a=1", {"x-token": "key"})  # with a query: it is no probe
    assert read(compile_document(document), request, {"Key": "key"}).answer.status == 400
    document["Webhook"] |= {"verify": {"type": "header", "name": "X-Token", "value": "$Key$"}}
    template = compile_document(document)
    known, stranger = (read(template, request, {"Key": key}) for key in ("key", "other"))
    assert (known.verdict, known.answer.status) == ("unmatched", 200)
    assert (stranger.verdict, stranger.answer.status) == ("unverified", 401)


@pytest.mark.parametrize(
    ("own", "verified"),
    [
        ({"type": "none"}, False),
        (
            [
                {"type": "none", "when": {"$query.x$": "1"}},
                {"type": "header", "name": "X-Token", "value": "$Key$"},
            ],
            False,
        ),
        (
            [
                {"type": "none", "when": {"$query.x$": "2"}},
                {"type": "header", "name": "X-Token", "value": "$Key$"},
            ],
            True,
        ),
        ({"type": "header", "name": "X-Token", "value": "$Key$"}, True),
    ],
)
def test_what_nobody_checks_is_accepted_but_proves_nothing(own: Any, verified: bool) -> None:
    """Beside events that are verified, too: no file is fetched with credentials, and no limit is lifted."""
    template = compile_document(
        {
            "id": "acme",
            "name": "Acme",
            "properties": ["Key"],
            "API": {"SendMessage": {"request_url": "https://a.example/"}},
            "Webhook": {
                "verify": HMAC,
                "events": [
                    {
                        "event_type": "mms",
                        "path": "a",
                        "verify": own,
                        "request_parameters": {"f": "$from$", "u": "$url$"},
                    }
                    | ({"media_auth": True} if own != {"type": "none"} else {}),
                    {"event_type": "ignore", "path": "b"},
                ],
            },
        }
    )
    headers = {"content-type": "application/json", "x-token": "key"}
    body = b'{"f": "+61412345678", "u": "https://a.example/1.png"}'
    received = read(template, InboundRequest("POST", "a", "x=1", headers, body, url=URL), {"Key": "key"})
    assert isinstance(received, Accepted)
    [event] = received.events
    assert isinstance(event, InboundMessage)
    assert (received.verified, event.media_auth) == (verified, verified)
    assert template.webhook.open is (own != {"type": "header", "name": "X-Token", "value": "$Key$"})
    # The other event, and what matches none, need the section's own.
    for path in ("b", "c"):
        other = read(template, InboundRequest("POST", path, "x=1", headers, body, url=URL), {"Key": "key"})
        assert (other.verdict, other.answer.status) == ("unverified", 401)
