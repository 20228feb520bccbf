"""Devices come with a subscription at a push service, and go with the session in which it was made."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from integrations import http
from messaging.errors import Refused
from messaging.models import Device
from portal.account import browsers, demand, sessions
from portal.models import User

MAX_ENDPOINT = 1000


def mark_of(session: str) -> str:
    """What tells a browser that its session is another one; it says nothing about the session."""
    return salted_hmac("messaging.notices.devices", session).hexdigest()[:16]


def renew(user: User, session: str, endpoint: str) -> bool:
    """Whether the user still has the device, which belongs to the session from now on."""
    device = Device.objects.filter(user=user, digest=_digest(endpoint)).first()
    if device is None or device.subscription is None:
        return False
    device.subscription |= {"session": session}
    device.save(update_fields=["subscription"])
    return True


def add(user: User, session: str, endpoint: str, p256dh: str, auth: str, agent: str) -> Device:
    """The user's device with this subscription, as the browser gives it. Raises Refused.

    The endpoint is a URL that anybody may name, so it passes the address guard here and when it is called.
    """
    if len(endpoint) > MAX_ENDPOINT or http.is_plain_http(endpoint) or is_exempt(endpoint):
        raise Refused(_("The push service of this browser has no valid address."))
    if problem := http.check_url(endpoint):
        raise Refused(problem)
    try:
        point = decoded(p256dh)
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        if len(decoded(auth)) != 16:
            raise ValueError
    except ValueError:
        raise Refused(_("The keys of this browser are not valid.")) from None
    found, _made = Device.objects.update_or_create(
        digest=_digest(endpoint),
        defaults={
            "user": user,
            "subscription": {"endpoint": endpoint, "p256dh": p256dh, "auth": auth, "session": session},
            "name": named(agent),
        },
    )
    kept = Device.objects.filter(user=user).values_list("pk", flat=True)[: Device.MAX_PER_USER]
    Device.objects.filter(user=user).exclude(pk__in=list(kept)).delete()
    return found


def is_exempt(endpoint: str) -> bool:
    """Whether the guard would pass a URL because of PATCHBAY_ALLOWED_ORIGINS.

    The operator has named these origins for providers: users may have nothing sent there.
    """
    return http.is_allowed(endpoint)


def decoded(text: str) -> bytes:
    """What is written in URL-safe base64, with or without its end. Raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError(text) from error


def signed_in(devices: Iterable[Device]) -> set[int]:
    """The keys of those whose session, in which they were added, still lasts and opens pages; three queries.

    A device whose encryption key is lost has none. One whose origin has been allowed since, for providers,
    is left out, too, and those of whoever must set up a second factor first.
    """
    known = (row for row in devices if row.subscription is not None)
    rows = [row for row in known if not is_exempt(row.subscription["endpoint"])]
    lasting = sessions.lasting((row.subscription["session"], row.user) for row in rows)
    shut_out = demand.missing(row.user for row in rows)
    return {
        row.pk
        for row in rows
        if (row.subscription["session"], row.user_id) in lasting and row.user_id not in shut_out
    }


def named(agent: str) -> str:
    """Browser and system by the User-Agent, such as “Firefox on Android”."""
    browser, system = browsers.read(agent)
    return _("%(browser)s on %(system)s") % {
        "browser": browser or _("A browser"),
        "system": system or _("a device"),
    }


def _digest(endpoint: str) -> str:
    return hashlib.sha256(endpoint.encode()).hexdigest()


@receiver(user_logged_out)
def _forget(request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        for device in Device.objects.filter(user=user):
            if (
                device.subscription is not None
                and device.subscription["session"] == request.session.session_key
            ):
                device.delete()
