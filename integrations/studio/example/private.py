"""Requests without the credentials in them: by their names, and by the values that are known to be secret."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote_plus

from integrations import bodies
from integrations.events import InboundRequest
from integrations.language.multipart import parse_multipart
from integrations.language.sections import MEDIA_TYPES
from integrations.language.urls import encode_pairs
from integrations.language.values import Value, dump, load, text
from integrations.language.xml import parse_xml, render_xml
from integrations.redact import MASK, Redactor
from integrations.studio.example.words import (
    CREDENTIAL,
    CREDENTIAL_ENDS,
    CREDENTIAL_PARTS,
    is_private,
    plain,
    stands_for_credential,
)

# What a connection and the proxies on its way add says nothing about the provider.
_OF_CONNECTIONS = re.compile(
    r"(content-length|transfer-encoding|x-forwarded-.*|x-real-ip|x-request-id|forwarded|via|connection|host)"
)
# name=value, "name": "value" and <name>value</name>, where they cannot be read as a document; also
# percent-encoded, as in a URL within a URL.
_NAMES = "|".join((*CREDENTIAL_ENDS, *CREDENTIAL_PARTS))
_BLANKS, _QUOTE = r"(?:\s|%20){0,9}", r"(?:[\"']|%2[27])?"
_WRITTEN = re.compile(
    rf"(?i)((?:(?:(?<![a-z0-9])|(?<=%[0-9a-f]{{2}}))(?:{'|'.join(sorted(CREDENTIAL))})|{_NAMES})"
    rf"{_QUOTE}{_BLANKS}(?:[:=>]|%3[ADE]){_BLANKS}{_QUOTE})"
    r"(?!(?:null|true|false)\b)[^\s\"'&,;<>()\[\]{}]+"
)
_USER_OF_URL = re.compile(r"(?i)(?<![a-z])(https?://)[^/?#\s@\"'<>]{1,200}@")
_SCHEMES = re.compile(r"(?i)\b(bearer|basic|digest|token)(\s{1,9})[\w.~+/=-]{4,}")
# What may be a name, and no credential, if there is an object below it; and a pair of a name and its value.
UNSURE = frozenset({"key", "auth", "hash"})
PAIR_NAMES, PAIR_VALUES = ("name", "key", "@name", "@key"), frozenset({"value", "@value", "#text"})
_LONGEST_NAME, _SHORTEST_JSON, NESTED = 60, 8, 4
_CHARSET = re.compile(r"(?i);\s*charset\s*=[^;]*")


def proofs_in(section: Value) -> frozenset[str]:
    """The names of what proves webhooks by its value, as each `verify` in a section of a document says."""
    if isinstance(section, list):
        return frozenset().union(*map(proofs_in, section))
    if not isinstance(section, dict):
        return frozenset()
    found = frozenset().union(*map(proofs_in, section.values()))
    for way in _ways(section.get("verify")):
        if "value" in way and isinstance(way.get("name"), str):
            found |= {plain(way["name"].rpartition(".")[2])}
    return found


def _ways(verify: Value) -> list[dict[str, Any]]:
    return [way for way in (verify if isinstance(verify, list) else [verify]) if isinstance(way, dict)]


def written(request: InboundRequest, hide: Redactor, names: Container[str] = ()) -> dict[str, Any]:
    """The request as cases write it, with its credentials masked; otherwise its body stays as it came.

    Credentials are what the redactor hides, and what is called so, or one of the `names` (of `plain`). Left
    out are the headers of the connection, and those that proxies add.
    """
    return _Writer(hide, names).written(request)


def has_credentials(source: str) -> bool:
    """Whether a value contains a credential by its name, in JSON, a URL, or words.

    Words that stand for one, such as YOUR_API_KEY, are none, but in JSON.
    """
    if _Writer(Redactor(()), ()).inner(source, known=False, level=0) is not None:
        return True
    written = (found[0].removeprefix(found[1]) for found in _WRITTEN.finditer(source))
    return not all(map(stands_for_credential, written)) or _USER_OF_URL.search(source) is not None


class _Writer:
    def __init__(self, hide: Redactor, names: Container[str]) -> None:
        self.hide, self.names = hide, names

    def written(self, request: InboundRequest) -> dict[str, Any]:
        kind = request.headers.get("content-type", "")
        found: dict[str, Any] = {
            "method": request.method,
            "path": self._words(request.path),
            "query": self._query(request.query),
            "headers": {"content-type": kind or None} | self._headers(request),
        }
        if request.body:
            found |= self._body(request.body, kind)
            if "multipart" in found:  # it gets another boundary
                del found["headers"]["content-type"]
            elif kind and found.get("text", "").encode() not in (b"", request.body):
                found["headers"]["content-type"] = _CHARSET.sub("; charset=utf-8", kind)
        return found

    def _is_private(self, name: str) -> bool:
        return is_private(name) or plain(name) in self.names

    def _headers(self, request: InboundRequest) -> dict[str, str]:
        headers = {
            name: MASK if self._is_private(name) else value
            for name, value in request.headers.items()
            if value and not _OF_CONNECTIONS.fullmatch(name)
        }
        return {
            name: value if name == "content-type" else self._words(value)
            for name, value in self.hide.headers(headers).items()
        }

    def _query(self, query: str) -> str:
        fields = []
        for item in query.split("&"):
            name, _sign, value = item.partition("=")
            known = unquote_plus(value)
            private = self._is_private(unquote_plus(name)) or self.hide.text(known) != known
            fields.append(f"{name}={quote(MASK)}" if value and private else self._within_url(item))
        return self.hide.text("&".join(fields))

    def _within_url(self, item: str) -> str:
        """A field of a query without the credentials that are written in its value."""
        clean = self._words(item)
        return clean if clean == item else clean.replace(MASK, quote(MASK))

    def _words(self, source: str) -> str:
        """A text that is no document, without what looks like a credential."""
        return _WRITTEN.sub(rf"\1{MASK}", _without_schemes(self.hide.text(source)))

    def _body(self, body: bytes, kind: str) -> dict[str, Any]:
        essence, source = bodies.essence(kind), _decoded(body, kind)
        found: dict[str, Any] | None = None
        with suppress(ValueError, RecursionError):
            if essence.startswith("multipart/"):
                found = self._multipart(body, kind)
            for known in (essence, *_looks_like(source or "")):
                if known.endswith("xml"):
                    found = found or self._document(parse_xml(body), lambda value: render_xml(value, ""))
                elif known == MEDIA_TYPES["form"] and source is not None:
                    found = found or self._document(bodies.pairs(source), _form)
                elif known.endswith("json") and source is not None:
                    found = found or self._document(load(source, as_is=True), _json)
        # Also of a document: what its values do not show, such as comments.
        return found or self._text(body, source)

    def _text(self, body: bytes, source: str | None) -> dict[str, Any]:
        if source is None:
            source = body.decode("latin-1")
            clean = self._words(source)
            return _bytes(body if clean == source else clean.encode("latin-1", "replace"))
        clean = self._words(source)
        return _bytes(body if clean == source else clean.encode("utf-8", "replace"))

    def _document(self, value: Value, render: Callable[[Value], bytes]) -> dict[str, Any] | None:
        """The body without what is to be hidden in its values; None if there is nothing."""
        clean = self._masked(value, known=self._has_known(value))
        return None if clean == value else _bytes(render(clean))

    def _multipart(self, body: bytes, kind: str) -> dict[str, Any] | None:
        parts = [
            self._part(name, value)
            for name, found in parse_multipart(body, kind).items()
            for value in (found if isinstance(found, list) else [found])
        ]
        return {"multipart": [part for part, _ in parts]} if any(changed for _, changed in parts) else None

    def _part(self, name: str, value: Value) -> tuple[dict[str, Any], bool]:
        """A part as cases write it, and whether something was hidden in it."""
        if isinstance(value, dict) and isinstance(value.get("content"), bytes):
            content, filename = value["content"].decode("latin-1"), text(value["filename"])
            clean, named = self._words(content), self.hide.text(filename)
            encoded = base64.b64encode(clean.encode("latin-1", "replace")).decode()
            part = {"name": name, "filename": named, "content_type": value["content_type"], "base64": encoded}
            return part, (clean, named) != (content, filename)
        source = text(value)
        clean = self._words(text(self._masked(value, known=True)))
        clean = MASK if source and self._is_private(name) else clean
        return {"name": name, "text": clean}, clean != source

    def _has_known(self, value: Value) -> bool:
        """Whether a known secret is among the texts; to search each of them takes long."""
        joined = "\n".join(_texts(value))
        return self.hide.text(joined) != joined

    def _masked(self, value: Value, *, known: bool, private: bool = False, level: int = 0) -> Value:
        """The value with credentials masked; those of a `private` name are, whatever they are."""
        if isinstance(value, dict):
            paired = any(self._is_name(value.get(each)) for each in PAIR_NAMES)
            return {
                self.hide.text(key) if known else key: self._masked(
                    item,
                    known=known,
                    private=private or self._hides(key, item) or (paired and key in PAIR_VALUES),
                    level=level,
                )
                for key, item in value.items()
            }
        if isinstance(value, list):
            paired = len(value) == 2 and isinstance(value[1], str) and self._is_name(value[0])
            return [
                self._masked(item, known=known, private=private or (paired and place == 1), level=level)
                for place, item in enumerate(value)
            ]
        if not isinstance(value, str) or not value:
            return value
        if private:
            return MASK
        if (inner := self.inner(value, known=known, level=level)) is not None:
            return inner
        clean = _without_schemes(self.hide.text(value) if known else str(value))
        return value if clean == value else clean

    def _hides(self, key: str, item: Value) -> bool:
        return self._is_private(key) and not (isinstance(item, dict) and plain(key) in UNSURE)

    def _is_name(self, value: Value) -> bool:
        return isinstance(value, str) and len(value) <= _LONGEST_NAME and self._is_private(value)

    def inner(self, value: str, *, known: bool, level: int) -> str | None:
        """A text that is JSON itself, as many providers wrap it, without credentials; None if it has none."""
        if len(value) < _SHORTEST_JSON or level == NESTED or value.lstrip()[:1] not in ("{", "["):
            return None
        with suppress(ValueError, RecursionError):
            found = load(value, as_is=True)
            clean = self._masked(found, known=known, level=level + 1)
            return None if clean == found else dump(clean)
        return None


def _without_schemes(source: str) -> str:
    """A text without what follows the name of a scheme, and without users of URLs."""
    return _USER_OF_URL.sub(rf"\1{MASK}@", _SCHEMES.sub(rf"\1\2{MASK}", source))


def _decoded(body: bytes, kind: str) -> str | None:
    try:
        return body.decode(bodies.charset_of(kind))
    except (UnicodeError, ValueError):
        return None


def _looks_like(source: str) -> Iterator[str]:
    """What a text may be of which nobody says it."""
    begin = source.lstrip("\ufeff \t\r\n")[:1]
    if begin in ("{", "["):
        yield MEDIA_TYPES["json"]
    elif begin == "<":
        yield MEDIA_TYPES["xml"]
    elif re.fullmatch(r"[\w.\[\]%-]+=[^\s]*", source.strip()):
        yield MEDIA_TYPES["form"]


def _json(value: Value) -> bytes:
    return dump(value).encode("utf-8", "replace")


def _form(value: Value) -> bytes:
    return encode_pairs(value, "", form=True).encode()


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _bytes(body: bytes) -> dict[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
