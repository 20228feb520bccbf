"""What the sandbox signs, `verify` accepts, and only with the right key."""

from __future__ import annotations

import base64
import hashlib
import hmac
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
