"""Push notices: encrypted for the browser (RFC 8291), signed (RFC 8292), and sent to its push service."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from email.utils import parseaddr
from typing import Any
from urllib.parse import urlsplit

import http_ece
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from py_vapid.jwt import sign

from integrations.events import Fault, HttpRequest, RenderedRequest
from integrations.origins import release
from integrations.properties import Credentials
from messaging import wakeups
from messaging.inbox import pages
from messaging.models import Device, Push, PushKey
from messaging.notices import current, devices, wording
from messaging.sending import Answer, Sending
from messaging.wakeups import Task
from portal import process
from portal.models import User

logger = logging.getLogger(__name__)

# In flight at a time: to the devices of one user, and to all.
EACH, MOST = 4, 64
TIMEOUT = 15
KEPT_SECONDS = 24 * 3600  # by the push service, for a phone that is off
SIGNED_SECONDS = 12 * 3600
GONE = (404, 410)
LATER = (408, 429, 500, 502, 503, 504)


def is_possible() -> bool:
    """Whether browsers permit push: only on https, or on the machine itself."""
    public = urlsplit(settings.PUBLIC_URL)
    return public.scheme == "https" or public.hostname in ("localhost", "127.0.0.1", "::1")


def public_key() -> str:
    """The key for which browsers subscribe; made at the first call."""
    return _public(_key())


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    point = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return base64.urlsafe_b64encode(point).decode().rstrip("=")


def send_test(user: User) -> int:
    """Has a test sent to each device of the user; returns to how many."""
    found = [device for device in Device.objects.filter(user=user) if device.subscription is not None]
    Push.objects.filter(device__in=found, message=None).delete()
    Push.objects.bulk_create([Push(device=device, due_at=timezone.now()) for device in found])
    wakeups.after_commit(Task.SEND_PUSHES)
    return len(found)


def send_due() -> None:
    """Sends all that is due. What a push service does not take now is tried a few times more.

    A batch takes the same number of queries for any number of devices, users and messages. One drain works in
    each process, since anybody may name a push service that never answers.
    """
    process.get(_Pushes).run()


class _Pushes(Sending[Push]):
    """The sending of this process."""

    task = Task.SEND_PUSHES

    def party(self, row: Push) -> int:
        return row.device.user_id

    def begin(self) -> None:
        while not self.stopped and (free := MOST - self.in_flight.total()) > 0:
            claimed = Push.objects.claim(free, EACH, self.in_flight)
            if not claimed:
                return
            self.send(_letters(claimed))

    def settle(self, answered: Sequence[tuple[Push, Answer]]) -> None:
        _settle(answered)


def _letters(claimed: Sequence[Push]) -> list[tuple[Push, HttpRequest]]:
    """What is sent; what is read meanwhile, and what a device may not be told any more, is forgotten."""
    signed_in = devices.signed_in({push.device_id: push.device for push in claimed}.values())
    news = current.of([push for push in claimed if push.device_id in signed_in])
    Push.objects.filter(pk__in={push.pk for push in claimed} - {push.pk for push in news}).delete()
    if not news:
        return []
    unread, key = pages.unread_of({push.device.user_id for push in news}), _key()
    return [(push, _letter(push, _said(push, unread.get(push.device.user_id, 0)), key)) for push in news]


def _letter(push: Push, said: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> HttpRequest:
    subscription = push.device.subscription
    body = http_ece.encrypt(
        json.dumps(said).encode(),
        private_key=ec.generate_private_key(ec.SECP256R1()),
        dh=devices.decoded(subscription["p256dh"]),
        auth_secret=devices.decoded(subscription["auth"]),
        version="aes128gcm",
    )
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Encoding": "aes128gcm",
        "TTL": str(KEPT_SECONDS),
        "Urgency": "high",
        # What is sent again, as after a crash, takes the place of what the push service still holds.
        "Topic": f"r{push.remark_id}" if push.remark_id else f"m{push.message_id or 0}",
        "Authorization": _authorization(subscription["endpoint"], key),
    }
    request = RenderedRequest("POST", subscription["endpoint"], headers, body, TIMEOUT)
    # With no credentials of a provider in it, there is nothing to be held.
    return release(request, Credentials())


def _said(push: Push, unread: int) -> dict[str, Any]:
    """What the service worker shows."""
    if push.remark is not None:
        return wording.ended(push.remark) | {"unread": unread}
    if push.message is None:
        title, body = _("Notices work"), _("This device will tell you when a text comes.")
        return {"title": title, "body": body, "url": "/account/notifications/", "tag": "test", "message": 0}
    return wording.notice(push.message, push.device.user) | {"unread": unread}


def _settle(answered: Sequence[tuple[Push, Answer]]) -> None:
    """Ends what was taken or is given up, puts off the rest, and forgets devices that are no more."""
    gone: list[int] = []
    done: list[int] = []
    later: dict[int, list[int]] = defaultdict(list)
    for push, answer in answered:
        if isinstance(answer, Fault):
            said, again, wait = answer.text, answer.kind != "blocked", ""
        elif 200 <= answer.status < 300:
            done.append(push.pk)
            continue
        elif answer.status in GONE:
            gone.append(push.device_id)
            continue
        else:
            said, again = f"The push service answers {answer.status}.", answer.status in LATER
            wait = answer.headers.get("retry-after", "")
        seconds = push.wait(int(wait[:6]) if wait.isdecimal() else 0) if again else None
        if seconds is not None:
            later[seconds].append(push.pk)
        else:
            logger.warning("A push is given up: %s", said)
            done.append(push.pk)
    for seconds, keys in later.items():
        due_at = timezone.now() + timedelta(seconds=seconds)
        Push.objects.filter(pk__in=keys).update(due_at=due_at)
    if gone:
        Device.objects.filter(pk__in=gone).delete()
    Push.objects.filter(pk__in=done).delete()


def _authorization(endpoint: str, key: ec.EllipticCurvePrivateKey) -> str:
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int(time.time() + timedelta(seconds=SIGNED_SECONDS).total_seconds()),
        "sub": f"mailto:{parseaddr(settings.DEFAULT_FROM_EMAIL)[1]}",
    }
    return f"vapid t={sign(claims, key)},k={_public(key)}"


def _key() -> ec.EllipticCurvePrivateKey:
    row = PushKey.objects.filter(pk=1).first()
    if row is None:
        made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        row, _made = PushKey.objects.get_or_create(pk=1, defaults={"private": made})
    key = serialization.load_der_private_key(bytes(row.private), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
