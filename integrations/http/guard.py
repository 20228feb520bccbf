"""The rules for the URLs, addresses and headers of outgoing requests, shared by both transports."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.encoding import iri_to_uri
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from portal import __version__

USER_AGENT = f"Patchbay/{__version__}"

# Only what all URL parsers read the same way: a name or an address, no userinfo, nothing that needs encoding.
_URL = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?(?=[/?#]|\Z)", re.I)
_AUTHORITY = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]*)", re.I)
_UNPRINTABLE = re.compile(r"[^!-~]|\\")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_IN_VALUE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_FRAMING = frozenset({"host", "content-length", "transfer-encoding"})

_IF_INTENDED = "If this is intended, an operator can add the URL's origin to PATCHBAY_ALLOWED_ORIGINS."
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_INFRASTRUCTURE = (
    ipaddress.IPv4Network("168.63.129.16/32"),  # Azure's metadata, on a public address
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments; Oracle's metadata is 192.0.0.192
    ipaddress.IPv4Network("192.88.99.0/24"),  # 6to4 relays
)


class BlockedAddress(OSError):
    """A URL or address must not be called; the text is a sentence. Transports pass an OSError on."""


class Origin(NamedTuple):
    """Scheme, lower-case host (a v6 address without brackets) and port."""

    scheme: str
    host: str
    port: int

    @property
    def place(self) -> str:
        """host:port for error texts."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def text(self) -> str:
        """The origin as people write it, such as https://api.example.com."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == {"http": 80, "https": 443}[self.scheme]
        return f"{self.scheme}://{host}" if usual else f"{self.scheme}://{host}:{self.port}"


def origin_of(url: str) -> Origin:
    """The origin of an absolute http(s) URL without userinfo. Raises BlockedAddress for any other string."""
    if bad := _UNPRINTABLE.search(url):
        raise BlockedAddress(
            f"The URL contains the character {bad[0]!r} at position {bad.start() + 1}. "
            "Percent-encode it; in a host name, use the xn-- form."
        )
    if not (match := _URL.match(url)):
        authority = _AUTHORITY.match(url)
        if authority and "@" in authority[1]:
            raise BlockedAddress(
                "The URL contains a user name or password before the host. Send them in a header instead."
            )
        raise BlockedAddress("The URL is not complete. It must look like https://api.example.com/path.")
    scheme, host = match[1].lower(), match[2].lower().strip("[]")
    port = int(match[3]) if match[3] else {"http": 80, "https": 443}[scheme]
    return Origin(scheme, host, port)


def check_url(url: str) -> str | None:
    """None if the URL may be called, else the reason as a sentence for a person.

    The scheme must be https or http, the port 80, 443 or at least 1024, and an address instead of a host name
    must be public and in its usual form. Allow-listed origins (PATCHBAY_ALLOWED_ORIGINS) are exempt. Host
    names are not resolved here: their addresses are checked when the connection is made.
    """
    try:
        permit(url)
    except BlockedAddress as refusal:
        return str(refusal)
    return None


def escaped(url: str) -> str:
    """The URL with blanks and all other characters percent-encoded that may not stand in one (RFC 3986).

    What is encoded already stays so. A backslash stays, too: it is not clear what is meant, so it is refused.
    """
    return url if "\\" in url else iri_to_uri(url.strip())


def is_plain_http(url: str) -> bool:
    """Whether a secret sent to this URL could be read in transit; False for allow-listed origins."""
    try:
        origin = origin_of(url)
    except BlockedAddress:
        return not url.lower().startswith("https://")
    return origin.scheme == "http" and origin not in allowed_origins()


def is_allowed(url: str) -> bool:
    """Whether the operator has allow-listed the URL's origin."""
    try:
        return origin_of(url) in allowed_origins()
    except BlockedAddress:
        return False


def permit(url: str, *, trusted: Iterable[str] = ()) -> tuple[Origin, bool]:
    """The URL's origin, and whether its addresses must be checked; raises BlockedAddress.

    The origins of the `trusted` URLs are permitted, too, wherever their names lead to from here.
    """
    origin = origin_of(url)
    if origin in allowed_origins() or origin in map(origin_of, trusted):
        return origin, False
    if refusal := _refusal(origin):
        raise BlockedAddress(refusal)
    return origin, True


def check_headers(method: str, headers: Mapping[str, str]) -> str | None:
    """None if method and headers can be sent as they are, else the reason in a sentence (RFC 9110, 5)."""
    if not _TOKEN.fullmatch(method):
        return f"{method!r} is not an HTTP method."
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            return f"{name!r} is not a valid header name."
        if name.lower() in _FRAMING:
            return f"Patchbay sets the header {name} itself. Remove it."
        if _BAD_IN_VALUE.search(value):
            return f"The value of the header {name} contains a line break or another control character."
    return None


def require_public(address: str) -> None:
    """Raises BlockedAddress unless the address, as the resolver returns it, is on the public internet."""
    if not is_public(address):
        raise BlockedAddress(
            f"The host has the address {address}, which is not on the public internet. {_IF_INTENDED}"
        )


@lru_cache(maxsize=4096)
def is_public(address: str) -> bool:
    """Whether an address is global unicast; for one with an embedded IPv4 address, that address decides."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if embedded is not None:
            return is_public(str(embedded))
        return ip in _GLOBAL_V6 and ip.is_global
    if any(ip in network for network in _INFRASTRUCTURE):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def allowed_origins() -> frozenset[Origin]:
    """The origins in PATCHBAY_ALLOWED_ORIGINS; raises ImproperlyConfigured for a malformed one."""
    return _origins(tuple(getattr(settings, "PATCHBAY_ALLOWED_ORIGINS", ())))


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """A context with the certificate authorities of the system and of certifi, for both transports."""
    context = ssl.create_default_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


@lru_cache(maxsize=8)
def _origins(urls: Iterable[str]) -> frozenset[Origin]:
    try:
        return frozenset(origin_of(url) for url in urls)
    except BlockedAddress as refusal:
        raise ImproperlyConfigured(f"PATCHBAY_ALLOWED_ORIGINS: {refusal}") from refusal


@lru_cache(maxsize=1024)
def _refusal(origin: Origin) -> str | None:
    host, port = origin.host, origin.port
    if port not in (80, 443) and not 1024 <= port <= 65535:
        return f"Port {port} is not allowed: use 80, 443 or a port from 1024 to 65535."
    labels = host.removesuffix(".").split(".")
    if labels[-1] == "localhost":
        return f"{host} is this machine itself, not a server on the public internet. {_IF_INTENDED}"
    if ":" in host or re.fullmatch("[0-9]+|0x[0-9a-f]*", labels[-1]):
        try:
            if is_public(host):
                return None
        except ValueError:
            return f"{host} is neither a host name nor an address in its usual form, such as 192.0.2.1."
        return f"The address {host} is not on the public internet. {_IF_INTENDED}"
    if len(host) > 253 or any(not 0 < len(label) < 64 for label in labels):
        return f"{host[:80]} is not a valid host name."
    return None
