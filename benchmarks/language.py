"""What the template language costs: `python -m benchmarks.language`.

Renders one SendMessage and matches one signed webhook with the templates of Twilio and Telnyx, with
`verify` (HMAC-SHA1, Ed25519) and without, and compiles both: once per revision and process. Prints
medians, asserts nothing. No database, no network.
"""

from __future__ import annotations

import base64
import hmac
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from integrations import requests, webhooks
from integrations.events import InboundRequest
from integrations.language.document import Template, compile_document
from integrations.language.values import dump

CATALOG = Path(__file__).parents[1] / "integrations" / "catalog"
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
URL = "https://sms.example.com/services/{}/a42"
MESSAGE = {
    "from": "+15005550006",
    "to": "+15005550001",
    "text": "Hello Ana, your parcel is at the door.",
    "message_uuid": "0b6f4c1e-3f2a-4d55-9a39-1d2f7b1f0a11",
    "country": "US",
}
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def twilio() -> tuple[dict[str, Any], InboundRequest]:
    """Property values, and a text with its signature over the URL and the sorted form."""
    body = (
        "ToCountry=US&SmsMessageSid=SM1f&NumMedia=0&ToCity=&SmsSid=SM1f&SmsStatus=received&FromCountry=US"
        "&To=%2B15005550006&MessageSid=SM1f&AccountSid=AC1&From=%2B15005550001&ApiVersion=2010-04-01"
        "&Body=Hello+back"
    )
    url = URL.format("twilio")
    signed = url + "".join(name + value for name, value in sorted(parse_qsl(body, keep_blank_values=True)))
    signature = base64.b64encode(hmac.digest(b"token", signed.encode(), "sha1")).decode()
    headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}
    values = {"Account SID": "AC1", "Auth Token": "token"}
    return values, InboundRequest("POST", "", "", headers, body.encode(), "", url)


def telnyx() -> tuple[dict[str, Any], InboundRequest]:
    """Property values, and a text with its Ed25519 signature."""
    payload = {
        "id": "b0c7e8cb",
        "from": {"phone_number": "+15005550001", "carrier": "", "line_type": ""},
        "to": [{"phone_number": "+15005550006", "status": "webhook_delivered"}],
        "text": "Hello back",
        "media": [],
        "received_at": "2026-03-04T05:06:07.000+00:00",
        "type": "SMS",
    }
    body = dump({"data": {"event_type": "message.received", "id": "e1", "payload": payload}}).encode()
    stamp = str(int(NOW.timestamp()))
    signature = base64.b64encode(SIGNER.sign(f"{stamp}|".encode() + body)).decode()
    headers = {
        "content-type": "application/json",
        "telnyx-signature-ed25519": signature,
        "telnyx-timestamp": stamp,
    }
    values = {
        "API Key": "KEY0123",
        "Public Key": base64.b64encode(SIGNER.public_key().public_bytes_raw()).decode(),
    }
    return values, InboundRequest("POST", "", "", headers, body, "", URL.format("telnyx"))


def microseconds(work: Callable[[], object], seconds: float = 1.0) -> float:
    """The median CPU time of one call, over many rounds of ten: what else the machine does hardly counts."""
    rounds: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.thread_time()
        for _ in range(10):
            work()
        rounds.append((time.thread_time() - began) / 10)
    return statistics.median(rounds) * 1e6


def measure(template: Template, values: dict[str, Any], request: InboundRequest) -> list[float]:
    """Microseconds to render a message, and to read a webhook that is accepted, with and without verify."""
    message = {**MESSAGE, "webhook_url": request.url}
    assert len(requests.plan(template, values, message)) == 1
    assert webhooks.read(template, request, values, now=NOW).verdict == "accepted"
    return [
        microseconds(lambda: requests.plan(template, values, message)),
        microseconds(lambda: webhooks.read(template, request, values, now=NOW)),
        microseconds(lambda: webhooks.hints(template, request)),
    ]


def main() -> None:
    print(f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}")
    print("service      render     match  unverified   compile   (median, microseconds of CPU)")
    for name, make in (("twilio", twilio), ("telnyx", telnyx)):
        source = (CATALOG / name / "template.json").read_text()
        values, request = make()
        render, match, unverified = measure(compile_document(source), values, request)
        compiling = microseconds(lambda source=source: compile_document(source))  # type: ignore[misc]
        print(f"{name:10} {render:8.1f}{match:10.1f}{unverified:12.1f}{compiling:10.0f}")


if __name__ == "__main__":
    main()
