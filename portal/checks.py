"""System checks: each setting that can be wrong says so at start, with what to do."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

LONGEST_TIMEOUT = 60  # seconds that a template may give a service to answer
GUIDE = "See docs/reference/settings.md."


@register()
def encryption_keys(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Each of PATCHBAY_ENCRYPTION_KEYS is a Fernet key."""
    for place, key in enumerate(settings.ENCRYPTION_KEYS, 1):
        try:
            Fernet(key.strip())
        except ValueError:
            return [
                Error(
                    f"Key {place} of PATCHBAY_ENCRYPTION_KEYS is not 32 bytes in URL-safe base64.",
                    hint=f"Make one with `python manage.py new_key`. {GUIDE}",
                    id="portal.E001",
                )
            ]
    return []


@register()
def public_url(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """PATCHBAY_PUBLIC_URL is an origin: providers fetch files from it and call webhooks below it."""
    parts = urlsplit(settings.PUBLIC_URL)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
        return [
            Error(
                f"PATCHBAY_PUBLIC_URL is {settings.PUBLIC_URL!r}; it must look like https://sms.example.com.",
                hint=GUIDE,
                id="portal.E002",
            )
        ]
    return []


@register()
def allowed_origins(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Each of PATCHBAY_ALLOWED_ORIGINS is an origin."""
    bad = [
        origin
        for origin in settings.PATCHBAY_ALLOWED_ORIGINS
        if (parts := urlsplit(origin)).scheme not in ("http", "https")
        or not parts.netloc
        or parts.path.strip("/")
    ]
    return [
        Error(
            f"PATCHBAY_ALLOWED_ORIGINS holds {origin!r}; an origin looks like http://10.0.0.5:13013.",
            hint=GUIDE,
            id="portal.E003",
        )
        for origin in bad
    ]


@register()
def send_slots(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """PATCHBAY_SEND_SLOTS leaves room to send at all."""
    if not 1 <= settings.SEND_SLOTS <= 512:
        return [
            Error(
                f"PATCHBAY_SEND_SLOTS is {settings.SEND_SLOTS}; it must be 1 to 512.",
                hint=GUIDE,
                id="portal.E004",
            )
        ]
    return []


@register()
def sending_times(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """A request ends before its lease does, and what counts failures and seconds counts some."""
    found: list[CheckMessage] = []
    if settings.LEASE_SECONDS < LONGEST_TIMEOUT + 10:
        found.append(
            Warning(
                f"PATCHBAY_LEASE_SECONDS is {settings.LEASE_SECONDS}: a service may take {LONGEST_TIMEOUT} s "
                "to answer, and its message would count as given up before.",
                hint=f"Set it to {LONGEST_TIMEOUT + 10} or more. {GUIDE}",
                id="portal.W002",
            )
        )
    for name in ("SWEEP_SECONDS", "EXPIRY_SECONDS", "BREAKER_FAILURES", "BREAKER_SECONDS"):
        value = (
            settings.MESSAGE_EXPIRY.total_seconds() if name == "EXPIRY_SECONDS" else getattr(settings, name)
        )
        if value < 1:
            found.append(Error(f"PATCHBAY_{name} is 0; it must be 1 or more.", hint=GUIDE, id="portal.E005"))
    if settings.BREAKER_MOST_SECONDS < settings.BREAKER_SECONDS:
        found.append(
            Error(
                "PATCHBAY_BREAKER_MOST_SECONDS is less than PATCHBAY_BREAKER_SECONDS.",
                hint=f"The pause begins with the second and grows to the first. {GUIDE}",
                id="portal.E006",
            )
        )
    return found


@register(deploy=True)
def plain_http(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """The public URL of a real installation is https."""
    if settings.PUBLIC_URL.startswith("http://"):
        return [
            Warning(
                "PATCHBAY_PUBLIC_URL is http: passwords and messages cross the network in the clear.",
                hint=GUIDE,
                id="portal.W001",
            )
        ]
    return []
