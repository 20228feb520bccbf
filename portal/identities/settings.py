"""Which identity providers people may sign in with, read from the environment."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from portal import environment

GOOGLE = "https://accounts.google.com"
_TENANT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class IdentityProvider:
    """A provider of OpenID Connect that an operator trusts to say who somebody is.

    Addresses in `domains` count as verified, since the provider alone gives them out.
    """

    key: str
    name: str
    issuer: str
    client_id: str
    secret: str = field(repr=False)
    domains: tuple[str, ...] = ()


def read() -> list[IdentityProvider]:
    """The providers that are configured; raises ImproperlyConfigured for half of one."""
    return [found for found in (_google(), _microsoft(), _other()) if found is not None]


def _google() -> IdentityProvider | None:
    client_id, secret = _client("PATCHBAY_GOOGLE_CLIENT_ID", "PATCHBAY_GOOGLE_CLIENT_SECRET")
    return IdentityProvider("google", "Google", GOOGLE, client_id, secret) if client_id else None


def _microsoft() -> IdentityProvider | None:
    client_id, secret = _client("PATCHBAY_MICROSOFT_CLIENT_ID", "PATCHBAY_MICROSOFT_CLIENT_SECRET")
    if not client_id:
        return None
    # In the tokens of all tenants at once, any tenant may claim any address.
    if not _TENANT.fullmatch(tenant := environment.read("PATCHBAY_MICROSOFT_TENANT").lower()):
        raise ImproperlyConfigured("PATCHBAY_MICROSOFT_TENANT must be the id of one tenant, a UUID.")
    issuer = f"https://login.microsoftonline.com/{tenant}/v2.0"
    domains = _domains("PATCHBAY_MICROSOFT_DOMAINS")
    return IdentityProvider("microsoft", "Microsoft", issuer, client_id, secret, domains)


def _other() -> IdentityProvider | None:
    client_id, secret = _client("PATCHBAY_OIDC_CLIENT_ID", "PATCHBAY_OIDC_CLIENT_SECRET")
    if not client_id:
        return None
    issuer = environment.read("PATCHBAY_OIDC_ISSUER")
    if not is_safe(issuer):
        raise ImproperlyConfigured("PATCHBAY_OIDC_ISSUER must be a URL like https://id.example.com.")
    name = environment.read("PATCHBAY_OIDC_NAME", "OpenID Connect")
    return IdentityProvider("oidc", name, issuer, client_id, secret, _domains("PATCHBAY_OIDC_DOMAINS"))


def _client(id_name: str, secret_name: str) -> tuple[str, str]:
    client_id, secret = environment.read(id_name), environment.read(secret_name)
    if bool(client_id) != bool(secret):
        raise ImproperlyConfigured(f"Set both {id_name} and {secret_name}, or neither.")
    return client_id, secret


def _domains(name: str) -> tuple[str, ...]:
    return tuple(domain.lower().removeprefix("@") for domain in environment.read_list(name))


def is_safe(url: str) -> bool:
    """Whether nobody can read along: https, or a server on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1")
    return bool(parts.hostname) and (parts.scheme == "https" or local)
