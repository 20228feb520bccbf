"""What the sandbox signs, `verify` accepts, and only with the right key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from integrations import case_http, webhooks
from integrations.language.document import compile_document
from integrations.sandbox.catalog_entry import CatalogEntry, HostedEntry
from integrations.sandbox.webhooks import WebhookWriter

KEY, NOW = "whsec_c2VjcmV0LW9mLXRoZS1zZXJ2aWNl", "2026-03-04T05:06:07Z"
URL = "https://sms.example.com/services/acme/a1"
BODY = b'{"from":"+61412345678","to":"+61855555555","text":"As shown in the case","id":"id-1"}'
STAMP = "1772600767"
HEX = hmac.new(KEY.encode(), BODY, hashlib.sha256).hexdigest()
STAMPED = hmac.new(KEY.encode(), f"{STAMP}.".encode() + BODY, hashlib.sha256)
SECOND = hmac.new(KEY.encode(), f"{STAMP}000.".encode() + BODY, hashlib.sha512).digest()
STANDARD = hmac.new(base64.b64decode(KEY[6:]), f"m1.{STAMP}.".encode() + BODY, hashlib.sha256).digest()


def spelled(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    ("verify", "headers", "query"),
    [
        ({"type": "header", "name": "X-Key", "value": "$Key$"}, {"X-Key": KEY}, ""),
        ({"type": "query", "name": "key", "value": "$Key$"}, {}, f"key={KEY}"),
        ({"type": "basic", "username": "us", "password": "$Key$"},
         {"Authorization": "Basic " + spelled(f"us:{KEY}".encode())}, ""),
        ({"type": "hmac", "key": "$Key$", "signature": "$headers.X-Sig$"}, {"X-Sig": HEX}, ""),
        ({"type": "hmac", "key": "$Key$", "signature": "$headers.X-Sig|remove_prefix:'sha256='$"},
         {"X-Sig": f"sha256={HEX}"}, ""),
        ({"type": "hmac", "key": "$Key$", "signature": "$query.sig$"}, {}, f"sig={HEX}&x=1"),
        ({"type": "hmac", "key": "$Key$", "signature": "$headers.X-Sig|match:'v1=([0-9a-f]+)'$",
          "over": "$headers.X-Sig|match:'t=([0-9]+)'$.$body$", "timestamp": "$headers.X-Sig|match:'t=([0-9]+)'$"},
         {"X-Sig": f"t={STAMP},v1={STAMPED.hexdigest()}"}, ""),
        ({"type": "hmac", "key": "$Key$", "algorithm": "sha512", "encoding": "base64",
          "signature": "$headers.X-Sig$", "over": "$headers.X-Time$.$body$", "timestamp": "$headers.X-Time$"},
         {"X-Sig": spelled(SECOND), "X-Time": f"{STAMP}000"}, ""),
        ({"type": "standard-webhooks", "key": "$Key$"},
         {"webhook-id": "m1", "webhook-timestamp": STAMP, "webhook-signature": f"v1,{spelled(STANDARD)}"}, ""),
        ([{"type": "header", "name": "X-Key", "value": "no", "when": {"$query.old$": True}},
          {"type": "hmac", "key": "$Key$", "signature": "$headers.X-Sig$"}], {"X-Sig": HEX}, ""),
    ],
)  # fmt: skip
def test_a_webhook_is_signed_anew(verify: Any, headers: dict[str, str], query: str) -> None:
    template = compile_document(
        {
            "id": "acme",
            "name": "Acme",
            "properties": ["Key"],
            "Webhook": {
                "verify": verify,
                "events": {
                    "event_type": "message",
                    "request_content_type": "json",
                    "request_parameters": {
                        "from": "$from$",
                        "to": "$to$",
                        "text": "$content$",
                        "id": "$messageid$",
                    },
                },
            },
        }
    )
    case = {
        "kind": "receive",
        "now": NOW,
        "webhook_url": URL,
        "properties": {"Key": KEY},
        "request": {"headers": headers, "query": query, "base64": spelled(BODY)},
    }
    shown = webhooks.read(template, case_http.inbound(case["request"], URL), {"Key": KEY}, now=None)
    stale = isinstance(verify, dict) and ("timestamp" in verify or verify["type"] == "standard-webhooks")
    assert shown.verdict == ("unverified" if stale else "accepted")

    made = WebhookWriter(
        HostedEntry(CatalogEntry(template.document, template, (case,), b""), "http://127.0.0.1:9")
    ).message(URL, "+61400111222", "+61855555556", 'Another "text"')
    assert made is not None
    found = webhooks.read(template, made, {"Key": KEY})
    assert (found.verdict, found.reason) == ("accepted", "")
    bound = found.bindings[0][1]
    assert (bound["from"], bound["to"], bound["content"]) == (
        "+61400111222",
        "+61855555556",
        'Another "text"',
    )
    assert bound["messageid"] != "id-1"
    assert webhooks.read(template, made, {"Key": "whsec_YW5vdGhlci1rZXktb2YtaXRz"}).verdict == "unverified"


@pytest.mark.parametrize(
    ("verify", "place"),
    [
        ({"signature": "$headers.X-Sig$"}, "headers"),
        ({"signature": "$query.sig$"}, "query"),
        (
            {
                "signature": "$headers.X-Sig$",
                "over": "$headers.X-Time$.$body$",
                "timestamp": "$headers.X-Time$",
            },
            "headers",
        ),
        ({"signature": "$headers.X-Sig|remove_prefix:'v1='$"}, ""),
    ],
)
def test_a_signature_is_added_where_the_case_has_none(verify: dict[str, str], place: str) -> None:
    parameters = {"from": "$from$", "to": "$to$", "text": "$content$"}
    event = {"event_type": "message", "request_content_type": "json", "request_parameters": parameters}
    signed = {"type": "hmac", "key": "$Key$", "when": {"$Key$": True}, **verify}
    properties: list[Any] = [{"name": "Key", "required": False}]
    template = compile_document(
        {
            "id": "acme",
            "name": "Acme",
            "properties": properties,
            "Webhook": {"verify": [signed, {"type": "query", "name": "a", "value": "b"}], "events": [event]},
        }
    )
    sent = {"from": "+61412345678", "to": "+61855555555", "text": "As shown in the case"}
    case = {"kind": "receive", "webhook_url": URL, "request": {"query": "a=b", "json": sent}}
    keyed = {"kind": "send", "properties": {"Key": KEY}}
    entry = CatalogEntry(template.document, template, (case, keyed), b"")
    made = WebhookWriter(HostedEntry(entry, "http://127.0.0.1:9")).message(
        URL, "+61400111222", "+61855555556", "Hi"
    )
    assert made is not None
    found = webhooks.read(template, made, {"Key": KEY})
    assert found.verdict == ("accepted" if place else "unverified")
    assert ("sig=" in made.query, "x-sig" in made.headers) == (place == "query", place == "headers")


@pytest.mark.parametrize(
    ("template_text", "shown", "sent"),
    [
        ("$content$", "Hi & bye", "One + two"),
        ("$content|unbase64$", "SGkgJiBieWU=", "T25lICsgdHdv"),
        ("$content|unquote$", "Hi%20%26%20bye", "One%20%2B%20two"),
        ("$content|unquote$", "Hi+%26+bye", "One+%2B+two"),
    ],
)
def test_a_text_is_written_in_the_encoding_of_the_case(template_text: str, shown: str, sent: str) -> None:
    parameters = {"from": "$from$", "to": "$to$", "text": template_text}
    event = {"event_type": "message", "request_content_type": "json", "request_parameters": parameters}
    template = compile_document({"id": "acme", "name": "Acme", "Webhook": [event]})
    body = {"from": "+61412345678", "to": "+61855555555", "text": shown}
    case = {"kind": "receive", "webhook_url": URL, "request": {"json": body}}
    entry = CatalogEntry(template.document, template, (case,), b"")
    made = WebhookWriter(HostedEntry(entry, "http://127.0.0.1:9")).message(
        URL, "+61412345678", "+61855555555", "One + two"
    )
    assert made is not None
    assert json.loads(made.body) == {**body, "text": sent}
