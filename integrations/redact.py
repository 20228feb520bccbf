"""Removes secrets from what is stored or shown, by their values, in whatever encoding they appear."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

MASK = "•••"
NOT_SHOWN = "[not shown: could not be redacted]"
MIN_LENGTH = 4
CACHE_SIZE = 64
_ESCAPED = re.compile(r"%[0-9A-F]{2}|\\u[0-9a-f]{4}")


class Redactor:
    """Puts a mask for each secret: plain, URL-encoded, in Base64, or escaped for JSON or XML; fails closed.

    Secrets shorter than 4 characters occur in ordinary text by chance, so they are replaced only where they
    are the whole value of a header. Redact a text before you shorten it: part of a secret is not recognized.
    """

    def __init__(self, secrets: Iterable[str], mask: str = MASK) -> None:
        self._mask = mask
        self._short: set[str] = set()
        self._forms: list[str] | None = None
        self._headers: dict[str, str] = {}
        try:
            forms: set[str] = set()
            for secret in secrets:
                if len(secret) >= MIN_LENGTH:
                    forms.update(_forms(secret))
                elif secret:
                    self._short.add(secret)
            self._pattern = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))))
            self._forms = list(forms)
        except Exception:
            # Without all its secrets it shows nothing, but the request must not fail because of its trace.
            self._forms = None

    def text(self, s: str) -> str:
        """The text without the secrets, or "[not shown: could not be redacted]"."""
        try:
            return self._clean(s)
        except Exception:
            return NOT_SHOWN

    def body(self, b: bytes | None) -> str:
        """A body as text (UTF-8, else Latin-1) without the secrets; for binary data, only its size."""
        if not b:
            return ""
        try:
            if b"\0" in b:
                return f"[{len(b):,} bytes that are not text]"
            try:
                decoded = b.decode()
            except UnicodeDecodeError:
                decoded = b.decode("latin-1")
            return self._clean(decoded)
        except Exception:
            return NOT_SHOWN

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers without the secrets; credentials whose Base64 contains a secret are replaced whole."""
        try:
            return {self._clean(name): self._cached_header(value) for name, value in headers.items()}
        except Exception:
            return {"headers": NOT_SHOWN}

    def _cached_header(self, value: str) -> str:
        """Most headers of a provider are the same each time, and searching them takes the longest."""
        shown = self._headers.get(value)
        if shown is None:
            if len(self._headers) >= CACHE_SIZE:
                self._headers.clear()
            shown = self._headers[value] = self._header(value)
        return shown

    def _header(self, value: str) -> str:
        if value in self._short or self._inside_base64(value):
            return self._mask
        return self._clean(value)

    def _inside_base64(self, value: str) -> bool:
        _scheme, _, token = value.partition(" ")
        if not token or not re.fullmatch(r"[A-Za-z0-9+/_-]+=*", token):
            return False
        padded = token.rstrip("=") + "=" * (-len(token.rstrip("=")) % 4)
        try:
            decoded = base64.b64decode(padded, altchars=b"-_" if {"-", "_"} & set(token) else None)
        except ValueError:
            return False
        text = decoded.decode("latin-1")
        parts = {text, decoded.decode(errors="replace")}
        parts |= {half for part in set(parts) for half in part.split(":", 1)}
        return any(part in self._short or self._clean(part) != part for part in parts)

    def _clean(self, s: str) -> str:
        if self._forms is None:
            return NOT_SHOWN
        # A plain search for each form is many times faster than the pattern, and nearly always finds nothing.
        if not any(form in s for form in self._forms):
            return s
        return self._pattern.sub(lambda _found: self._mask, s)


def _forms(secret: str) -> Iterator[str]:
    """All forms of a secret that protocols produce, none shorter than 4 characters."""
    yield secret
    yield html.escape(secret)
    yield html.escape(secret, quote=False)
    spellings = {quote(secret), quote(secret, safe=""), quote(secret, safe="!'()*~"), quote_plus(secret)}
    for ascii_only in (True, False):
        escaped = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        spellings |= {escaped, escaped.replace("/", "\\/")}
    for spelling in spellings:
        yield spelling
        yield _ESCAPED.sub(lambda match: _swap_hex(match[0]), spelling)
    raw = secret.encode()
    for offset, mixed in ((0, 0), (1, 2), (2, 3)):
        # Only characters made of the secret's bits alone; those at its edges depend on the bytes next to it.
        core = base64.b64encode(bytes(offset) + raw)[mixed : (offset + len(raw)) * 8 // 6].decode()
        yield core
        yield core.replace("+", "-").replace("/", "_")
    whole = base64.b64encode(raw).decode()
    yield whole
    yield whole.replace("+", "-").replace("/", "_")


def _swap_hex(escape: str) -> str:
    return escape.lower() if escape.startswith("%") else "\\u" + escape[2:].upper()
