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
from integrations.studio.example.words import CREDENTIAL, CREDENTIAL_ENDS, CREDENTIAL_PARTS, is_private, plain

# What a connection and the proxies on its way add says nothing about the provider.
_OF_CONNECTIONS = re.compile(
    r"(content-length|transfer-encoding|x-forwarded-.*|x-real-ip|x-request-id|forwarded|via|connection|host)"
)
# name=value, "name": "value" and <name>value</name>, where they cannot be read as a document.
_NAMES = "|".join((*CREDENTIAL_ENDS, *CREDENTIAL_PARTS))
_WRITTEN = re.compile(
    rf"(?i)((?:(?<![a-z0-9])(?:{'|'.join(sorted(CREDENTIAL))})|{_NAMES})"
    r"[\"']?\s{0,9}[:=>]\s{0,9}[\"']?)(?!(?:null|true|false)\b)[^\s\"'&,;<>()\[\]{}]+"
)
_SCHEMES = re.compile(r"(?i)\b(bearer|basic|digest|token)(\s{1,9})[\w.~+/=-]{4,}")
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
            fields.append(f"{name}={quote(MASK)}" if value and private else item)
        return self.hide.text("&".join(fields))

    def _words(self, source: str) -> str:
        """A text that is no document, without what looks like a credential."""
        found = _SCHEMES.sub(rf"\1\2{MASK}", self.hide.text(source))
        return _WRITTEN.sub(rf"\1{MASK}", found)

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

    def _masked(self, value: Value, *, known: bool, private: bool = False) -> Value:
        """The value with credentials masked; those of a `private` name are, whatever they are."""
        if isinstance(value, dict):
            return {
                self.hide.text(key) if known else key: self._masked(
                    item, known=known, private=self._is_private(key)
                )
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._masked(item, known=known, private=private) for item in value]
        if not isinstance(value, str) or not value:
            return value
        if private:
            return MASK
        clean = _SCHEMES.sub(rf"\1\2{MASK}", self.hide.text(value) if known else str(value))
        return value if clean == value else clean


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
