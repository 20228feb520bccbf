"""The services' own SDKs sign, or check, what the templates of the catalogue verify."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from plivo.utils import validate_signature
from sinch.domains.authentication.sinch_events.v1 import authentication_validation as sinch
from telesign.util import verify_telesign_callback_signature
from twilio.request_validator import RequestValidator
from vonage_jwt import verify_signature

from integrations import case_http, catalog, webhooks
from integrations.events import InboundRequest
from integrations.language.document import compile_document

Headers = Mapping[str, str]


@dataclass(frozen=True)
class Service:
    """How a service signs its webhooks, and how its SDK checks them; the property `key` has what `held` makes."""

    key: str
    sign: Callable[[InboundRequest, str], Headers]
    check: Callable[[InboundRequest, str], bool]
    held: Callable[[str], str] = str


def digest(key: bytes, content: str) -> str:
    return base64.b64encode(hmac.digest(key, content.encode(), "sha256")).decode()


def form(request: InboundRequest) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def twilio(header: str, key: str) -> Service:
    return Service(
        key,
        lambda request, key: {header: RequestValidator(key).compute_signature(request.url, form(request))},
        lambda request, key: RequestValidator(key).validate(
            request.url, form(request), request.headers[header]
        ),
    )


def of_plivo(request: InboundRequest, key: str) -> Headers:
    nonce = "05429567804466091622"
    return {
        "x-plivo-signature-v2": digest(key.encode(), request.url.partition("?")[0] + nonce),
        "x-plivo-signature-v2-nonce": nonce,
    }


def of_sinch(request: InboundRequest, key: str) -> Headers:
    nonce, stamp = "01FJA8B4A7BM43YGWSG9GBV067", str(int(time.time()))
    over = sinch.compute_signed_data(request.body.decode(), nonce, stamp)
    return {
        "x-sinch-webhook-signature": sinch.calculate_sinch_event_signature(over, key),
        "x-sinch-webhook-signature-nonce": nonce,
        "x-sinch-webhook-signature-timestamp": stamp,
    }


def of_telesign(request: InboundRequest, key: str) -> Headers:
    return {"authorization": "TSA customer-1:" + digest(base64.b64decode(key), request.body.decode())}


def signer(key: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(key))


def public(key: str) -> str:
    return base64.b64encode(signer(key).public_key().public_bytes_raw()).decode()


def of_telnyx(request: InboundRequest, key: str) -> Headers:
    stamp = str(int(time.time()))
    signature = signer(key).sign(f"{stamp}|{request.body.decode()}".encode())
    return {"telnyx-timestamp": stamp, "telnyx-signature-ed25519": base64.b64encode(signature).decode()}


def telnyx_accepts(request: InboundRequest, key: str) -> bool:
    from telnyx.lib import (
        webhook_verification as telnyx,
    )  # takes a second, which only these tests should need

    try:
        telnyx.verify_webhook_signature(request.body, request.headers, public(key))
    except telnyx.WebhookVerificationError as error:
        assert "does not match" in str(error)
        return False
    return True


def of_vonage(request: InboundRequest, key: str) -> Headers:
    claims = {
        "iat": int(time.time()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(request.body).hexdigest(),
    }
    return {"authorization": f"Bearer {jwt.encode(claims, key, 'HS256')}"}


SERVICES = {
    "twilio": twilio("x-twilio-signature", "Auth Token"),
    # SignalWire's SDK takes the validator of Twilio's.
    "signalwire": twilio("x-signalwire-signature", "Signing Key"),
    "plivo": Service(
        "Auth Token",
        of_plivo,
        lambda request, key: validate_signature(
            request.url,
            request.headers["x-plivo-signature-v2-nonce"],
            request.headers["x-plivo-signature-v2"],
            key,
        ),
    ),
    "sinch": Service(
        "Webhook secret",
        of_sinch,
        lambda request, key: sinch.validate_sinch_event_signature_with_nonce(
            key, dict(request.headers), request.body.decode()
        ),
    ),
    "telesign": Service(
        "API key",
        of_telesign,
        lambda request, key: verify_telesign_callback_signature(
            key, request.headers["authorization"].partition(":")[2], request.body.decode()
        ),
    ),
    "telnyx": Service("Public Key", of_telnyx, telnyx_accepts, public),
    "vonage": Service(
        "Signature secret",
        of_vonage,
        lambda request, key: verify_signature(request.headers["authorization"].removeprefix("Bearer "), key),
    ),
}
KEYS = [base64.b64encode(letter * 32).decode() for letter in (b"a", b"b")]


@pytest.mark.parametrize("slug", SERVICES)
@pytest.mark.parametrize(("key", "verdict"), [(KEYS[0], "accepted"), (KEYS[1], "unverified")])
def test_a_webhook_is_verified_as_by_the_sdk_of_its_service(slug: str, key: str, verdict: str) -> None:
    folder, service = catalog.FOLDER / slug, SERVICES[slug]
    cases = json.loads((folder / "cases" / "receive-text.json").read_text())
    case = cases[0] if isinstance(cases, list) else cases
    shown = case_http.inbound({**case["request"], "query": ""}, case["webhook_url"])
    request = replace(shown, headers={**shown.headers, **service.sign(shown, KEYS[0])})
    assert service.check(request, key) is (verdict == "accepted")

    template = compile_document((folder / "template.json").read_text())
    received = webhooks.read(template, request, {**case["properties"], service.key: service.held(key)})
    assert (received.verdict, len(received.events)) == (verdict, int(verdict == "accepted"))
