"""System checks of the settings: each reports a wrong value at start and says how to correct it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connection

from portal import environment

LONGEST_TIMEOUT = 60  # seconds; the longest that a template may allow a provider for a response
GUIDE = "See docs/reference/settings.md."


@register()
def encryption_keys(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Each item of PATCHBAY_ENCRYPTION_KEYS is a Fernet key."""
    for place, key in enumerate(settings.ENCRYPTION_KEYS, 1):
        try:
            Fernet(key.strip())
        except ValueError:
            return [
                Error(
                    f"Key {place} of PATCHBAY_ENCRYPTION_KEYS is not 32 bytes in URL-safe base64.",
                    hint=f"Generate one with `python manage.py new_key`. {GUIDE}",
                    id="portal.E001",
                )
            ]
    return []


@register()
def public_url(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """PATCHBAY_PUBLIC_URL is an origin; providers fetch files and call webhooks there."""
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
    """Each item of PATCHBAY_ALLOWED_ORIGINS is an origin."""
    bad = [
        origin
        for origin in settings.PATCHBAY_ALLOWED_ORIGINS
        if (parts := urlsplit(origin)).scheme not in ("http", "https")
        or not parts.netloc
        or parts.path.strip("/")
    ]
    return [
        Error(
            f"PATCHBAY_ALLOWED_ORIGINS contains {origin!r}; an origin looks like http://10.0.0.5:13013.",
            hint=GUIDE,
            id="portal.E003",
        )
        for origin in bad
    ]


@register()
def send_slots(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """PATCHBAY_SEND_SLOTS is a possible number of concurrent requests."""
    if not 1 <= settings.SEND_SLOTS <= 512:
        return [
            Error(
                f"PATCHBAY_SEND_SLOTS is {settings.SEND_SLOTS}; it must be between 1 and 512.",
                hint=GUIDE,
                id="portal.E004",
            )
        ]
    return []


@register()
def sending_times(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """A request ends before its lease does, and intervals and limits are not zero."""
    found: list[CheckMessage] = []
    if settings.LEASE_SECONDS < LONGEST_TIMEOUT + 10:
        found.append(
            Warning(
                f"PATCHBAY_LEASE_SECONDS is {settings.LEASE_SECONDS}, but a request to a provider may take "
                f"{LONGEST_TIMEOUT} s; its message would be treated as abandoned before the response.",
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
                hint=f"A pause starts at PATCHBAY_BREAKER_SECONDS and doubles up to the other. {GUIDE}",
                id="portal.E006",
            )
        )
    return found


@register()
def second_factor(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """PATCHBAY_SECOND_FACTOR is one of its three words."""
    if settings.SECOND_FACTOR not in ("nobody", "admins", "everybody"):
        return [
            Error(
                f"PATCHBAY_SECOND_FACTOR is {settings.SECOND_FACTOR!r}; it must be nobody, admins or "
                "everybody.",
                hint=GUIDE,
                id="portal.E009",
            )
        ]
    return []


@register()
def media_bucket(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """What a bucket for media needs is given, and installed."""
    if not settings.S3_BUCKET:
        return []
    given = settings.STORAGES["default"]["OPTIONS"]
    endpoint = urlsplit(given["endpoint_url"] or "https://default")
    if find_spec("storages") is None or find_spec("boto3") is None:
        text = "PATCHBAY_MEDIA_S3_BUCKET is set, but django-storages[s3] is not installed."
    elif not (given["access_key"] and given["secret_key"]):
        text = "PATCHBAY_MEDIA_S3_BUCKET needs PATCHBAY_MEDIA_S3_KEY and PATCHBAY_MEDIA_S3_SECRET."
    elif endpoint.scheme not in ("http", "https") or not endpoint.hostname:
        text = "PATCHBAY_MEDIA_S3_ENDPOINT must look like https://s3.example.com."
    else:
        return []
    return [Error(text, hint=GUIDE, id="portal.E007")]


@register(deploy=True)
def plain_http(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """The public URL of a production installation uses https."""
    if settings.PUBLIC_URL.startswith("http://"):
        return [
            Warning(
                "PATCHBAY_PUBLIC_URL uses http: passwords and messages cross the network unencrypted.",
                hint=GUIDE,
                id="portal.W001",
            )
        ]
    return []


@register(Tags.database)
def pooler(app_configs: Any, databases: Sequence[str] | None = None, **options: Any) -> list[CheckMessage]:
    """Prepared statements survive between transactions, or are not used; `migrate` and `install` ask this."""
    if not databases or not connection.settings_dict["OPTIONS"].get("server_side_binding"):
        return []
    from portal.database.postgresql.pooling import loses_prepared_statements

    parameters = connection.get_connection_params()
    with (
        connection.wrap_database_errors,
        closing(connection.get_new_connection(parameters)) as first,
        closing(connection.get_new_connection(parameters)) as second,
    ):
        first.autocommit = second.autocommit = True
        if not loses_prepared_statements(first, second):
            return []
    return [
        Error(
            "A pooler stands between Patchbay and PostgreSQL, and loses prepared statements between "
            "transactions.",
            hint="End DATABASE_URL with ?server_side_binding=false, or set max_prepared_statements of "
            f"PgBouncer 1.21 or newer. {GUIDE}",
            id="portal.E008",
        )
    ]


@register()
def trusted_proxies(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """The number of proxies has its new name."""
    if environment.read("PATCHBAY_BEHIND_PROXY"):
        return [
            Warning(
                "PATCHBAY_BEHIND_PROXY is called PATCHBAY_TRUSTED_PROXIES now; it will not be read for ever.",
                hint=f"Set PATCHBAY_TRUSTED_PROXIES to the number of your proxies, such as 1. {GUIDE}",
                id="portal.W003",
            )
        ]
    return []


@register(deploy=True)
def https_without_proxy(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Patchbay does not speak https itself, so there is a proxy, and its address is not the callers'."""
    if settings.PUBLIC_URL.startswith("https://") and not settings.TRUSTED_PROXIES:
        return [
            Warning(
                "PATCHBAY_PUBLIC_URL uses https, so a proxy ends TLS, but PATCHBAY_TRUSTED_PROXIES is 0: "
                "everybody seems to call from the proxy's address, and wrong tries to sign in count for all.",
                hint=f"Set PATCHBAY_TRUSTED_PROXIES to the number of your proxies, such as 1. {GUIDE}",
                id="portal.W004",
            )
        ]
    return []
