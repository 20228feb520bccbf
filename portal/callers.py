"""The caller's address: the only code that reads X-Forwarded-For and REMOTE_ADDR."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """The caller's IP address in its shortest form, IPv4 also where it came mapped; "" if it is unknown.

    Each proxy appends the address that it sees to X-Forwarded-For, so the caller stands as many places from
    the end as there are trusted proxies (PATCHBAY_TRUSTED_PROXIES). Whatever stands before that, the caller
    may have invented. A shorter list has not passed through all of them: then the peer itself counts.
    """
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    passed_all = 0 < settings.TRUSTED_PROXIES <= len(forwarded)
    address = _parse(forwarded[-settings.TRUSTED_PROXIES]) if passed_all else ""
    return address or _parse(request.META.get("REMOTE_ADDR", ""))


def network_of(request: HttpRequest) -> str:
    """What limits count by: the caller's IPv4 address, or the /64 of its IPv6 address, a site's."""
    address = address_of(request)
    return str(IPv6Network(f"{address}/64", strict=False)) if ":" in address else address


def _parse(text: str) -> str:
    """An address, also with a port, brackets or a zone; "" for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)
