"""Requests without the credentials in them: by their names, and by the values that are known to be secret."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote_plus

from integrations import bodies
from integrations.events import InboundRequest
from integrations.language.errors import RenderError
from integrations.language.multipart import parse_multipart
from integrations.language.sections import MEDIA_TYPES
from integrations.language.urls import encode_pairs
from integrations.language.values import Number, Value, dump, load, text
from integrations.language.xml import parse_xml, render_xml
from integrations.redact import MASK, Redactor
from integrations.studio.words import CREDENTIAL, CREDENTIAL_ENDS, plain

# What stands between caller and application says nothing about the provider.
_OF_PROXIES = re.compile(r"(x-forwarded-.*|x-real-ip|x-request-id|forwarded|via|connection|host)")
_PARTS = ("authoriz", "authoris", "authentication", "cookie", "password", "secret", "apikey", "credential")
_NAMES = "|".join(sorted(CREDENTIAL, key=len, reverse=True))
# name=value, "name": "value", <name>value</name>, in what is no document that can be read.
_WRITTEN = re.compile(
    rf"(?i)((?:{_NAMES}|{'|'.join(_PARTS)})[\"']?\s{{0,9}}[:=>]\s{{0,9}}[\"']?)[^\s\"'&,;<>]+"
)
_SCHEMES = re.compile(r"(?i)\b(bearer|basic|digest|token)(\s{1,9})[\w.~+/=-]{4,}")
_CHARSET = re.compile(r"(?i);\s*charset\s*=[^;]*")


def is_private(name: str) -> bool:
    """Whether the value of this name, of a header or a field, is a credential."""
    word = plain(name)
    return (
        word in CREDENTIAL
        or word.removeprefix("x") in CREDENTIAL - {"signature"}
        or word.endswith(CREDENTIAL_ENDS)
        or any(part in word for part in _PARTS)
    )


def written(request: InboundRequest, hide: Redactor) -> dict[str, Any]:
    """The request as cases write it, with its credentials masked; otherwise its body stays as it came.

    Headers that proxies add are left out.
    """
    kind = request.headers.get("content-type", "")
    found: dict[str, Any] = {
        "method": request.method,
        "path": _words(request.path, hide),
        "query": _query(request.query, hide),
        "headers": {"content-type": kind or None} | _headers(request, hide),
    }
    if request.body:
        found |= _body(request.body, kind, hide)
        if "multipart" in found:  # it gets another boundary
            del found["headers"]["content-type"]
        elif kind and found.get("text", "").encode() not in (b"", request.body):
            found["headers"]["content-type"] = _CHARSET.sub("; charset=utf-8", kind)
    return found


def _headers(request: InboundRequest, hide: Redactor) -> dict[str, str]:
    headers = {
        name: MASK if is_private(name) else value
        for name, value in request.headers.items()
        if value and not _OF_PROXIES.fullmatch(name)
    }
    return {
        name: value if name == "content-type" else _words(value, hide)
        for name, value in hide.headers(headers).items()
    }


def _query(query: str, hide: Redactor) -> str:
    fields = []
    for item in query.split("&"):
        name, _sign, value = item.partition("=")
        known = unquote_plus(value)
        private = bool(value) and (is_private(unquote_plus(name)) or hide.text(known) != known)
        fields.append(f"{name}={quote(MASK)}" if private else item)
    return hide.text("&".join(fields))


def _words(source: str, hide: Redactor) -> str:
    """A text that is no document, without what looks like a credential."""
    found = _SCHEMES.sub(rf"\1\2{MASK}", hide.text(source))
    return _WRITTEN.sub(rf"\1{MASK}", found)


def _body(body: bytes, kind: str, hide: Redactor) -> dict[str, Any]:
    essence, source = bodies.essence(kind), _decoded(body, kind)
    try:
        if essence.startswith("multipart/"):
            return _multipart(body, kind, hide)
        for known in (essence, *_looks_like(source or "")):
            if known.endswith("xml"):
                return _document(body, parse_xml(body), lambda value: render_xml(value, ""), hide)
            if known == MEDIA_TYPES["form"] and source is not None:
                return _document(body, bodies.pairs(source), _form, hide)
            if known.endswith("json") and source is not None:
                return _document(body, load(source, as_is=True), _json, hide)
    except (ValueError, RenderError, RecursionError):
        pass
    if source is None:
        return _bytes(_words(body.decode("latin-1"), hide).encode("latin-1", "replace"))
    clean = _words(source, hide)
    return _bytes(body if clean == source else clean.encode("utf-8", "replace"))


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


def _document(body: bytes, value: Value, render: Any, hide: Redactor) -> dict[str, Any]:
    """The body as it is, unless there is something to hide in its values."""
    clean = _masked(value, hide, known=_has_known(value, hide))
    return _bytes(body if clean == value else render(clean))


def _multipart(body: bytes, kind: str, hide: Redactor) -> dict[str, Any]:
    parts, private = [], False
    for name, found in parse_multipart(body, kind).items():
        for value in found if isinstance(found, list) else [found]:
            if isinstance(value, dict) and isinstance(value.get("content"), bytes):
                content = value["content"].decode("latin-1")
                clean = _words(content, hide)
                private |= clean != content
                about = {
                    "filename": hide.text(text(value["filename"])),
                    "content_type": value["content_type"],
                }
                encoded = base64.b64encode(clean.encode("latin-1", "replace")).decode()
                parts.append({"name": name, **about, "base64": encoded})
                continue
            source = text(value)
            known = text(_masked(value, hide, known=True))
            clean = MASK if is_private(name) and source else _words(known, hide)
            private |= clean != source
            parts.append({"name": name, "text": clean})
    return {"multipart": parts} if private else _bytes(body)


def _has_known(value: Value, hide: Redactor) -> bool:
    """Whether a known secret is among the texts; to search each of them takes long."""
    joined = "\n".join(_texts(value))
    return hide.text(joined) != joined


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


def _masked(value: Value, hide: Redactor, *, known: bool, private: bool = False) -> Value:
    """The value with credentials masked; those of a `private` name are, whatever they are."""
    if isinstance(value, dict):
        return {
            hide.text(key) if known else key: _masked(item, hide, known=known, private=is_private(key))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_masked(item, hide, known=known, private=private) for item in value]
    if not isinstance(value, str) or not value:
        return value
    if private:
        return MASK
    clean = hide.text(value) if known else str(value)
    clean = _SCHEMES.sub(rf"\1\2{MASK}", clean)
    return value if isinstance(value, Number) and clean == value else clean


def _bytes(body: bytes) -> dict[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
