"""System checks: each setting that can be wrong says so at start, with what to do."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

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
