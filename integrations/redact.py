"""Takes secrets out of what is stored or shown, by their value, wherever and however they are written."""

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
KEPT = 64
_ESCAPED = re.compile(r"%[0-9A-F]{2}|\\u[0-9a-f]{4}")


class Redactor:
    """Replaces each secret by "•••": as it is, URL-encoded, base64, in JSON or XML spelling; fails closed.

    Secrets shorter than 4 characters would hit innocent text: they are replaced only where they are the
    whole value of a header. Redact before you cut a text: half a secret is not recognized.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
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
            # Without all its secrets it shows nothing; the request that it would trace must go on.
            self._forms = None

    def text(self, s: str) -> str:
        """The text without the secrets, or "[not shown: could not be redacted]"."""
        try:
            return self._clean(s)
        except Exception:
            return NOT_SHOWN

    def body(self, b: bytes | None) -> str:
        """A body as text (UTF-8, else Latin-1) without the secrets; of bytes with a NUL only the number."""
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
        """The headers without the secrets; credentials that contain one inside their base64 go whole."""
        try:
            return {self._clean(name): self._remembered(value) for name, value in headers.items()}
        except Exception:
            return {"headers": NOT_SHOWN}

    def _remembered(self, value: str) -> str:
        """Most headers of a service are the same each time, and these take longest to look through."""
        shown = self._headers.get(value)
        if shown is None:
            if len(self._headers) >= KEPT:
                self._headers.clear()
            shown = self._headers[value] = self._header(value)
        return shown

    def _header(self, value: str) -> str:
        if value in self._short or self._inside_base64(value):
            return MASK
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
        # A plain search per form is many times faster than the pattern, and nearly always finds nothing.
        if not any(form in s for form in self._forms):
            return s
        return self._pattern.sub(MASK, s)


def _forms(secret: str) -> Iterator[str]:
    """All spellings of a secret that protocols produce, none shorter than 4 characters."""
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
        # Only the characters made of the secret's bits alone: those at its edges change with its neighbours.
        core = base64.b64encode(bytes(offset) + raw)[mixed : (offset + len(raw)) * 8 // 6].decode()
        yield core
        yield core.replace("+", "-").replace("/", "_")
    whole = base64.b64encode(raw).decode()
    yield whole
    yield whole.replace("+", "-").replace("/", "_")


def _swap_hex(escape: str) -> str:
    return escape.lower() if escape.startswith("%") else "\\u" + escape[2:].upper()
