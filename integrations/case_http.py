"""Requests and responses as cases write them, with the body in one of several forms."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from integrations import bodies
from integrations.events import HttpResponse, InboundRequest, RenderedRequest
from integrations.language.multipart import parse_multipart
from integrations.language.sections import MEDIA_TYPES
from integrations.language.values import Value, dump, text
from integrations.language.xml import parse_xml, render_xml

BODIES = ("json", "form", "xml", "text", "base64", "multipart")


def body_of(written: Mapping[str, Value]) -> tuple[bytes, str]:
    """The body that a case writes in one of the forms, and its content type.

    Raises ValueError for more than one form.
    """
    ways = [way for way in BODIES if written.get(way) is not None]
    if not ways:
        return b"", ""
    if len(ways) > 1:
        raise ValueError(f"A body can be written in only one of these forms: {', '.join(ways)}.")
    way, value = ways[0], written[ways[0]]
    if way == "base64":
        return base64.b64decode(text(value), validate=True), ""
    if way == "text":
        return text(value).encode(), "text/plain"
    if way == "json":
        return dump(value).encode(), MEDIA_TYPES["json"]
    if way == "xml":
        return (text(value).encode() if isinstance(value, str) else render_xml(value, "")), MEDIA_TYPES["xml"]
    if way == "form":
        return bodies.render(value, MEDIA_TYPES["form"], "")
    fields: dict[str, list[Value]] = {}
    for part in value:
        fields.setdefault(text(part.get("name")), []).append(_field(part))
    return bodies.render(fields, MEDIA_TYPES["multipart"], "")


def _field(part: Mapping[str, Value]) -> Value:
    content = body_of({key: value for key, value in part.items() if key in BODIES})[0]
    if "filename" not in part:
        return content
    return {"content": content, "filename": part["filename"], "content_type": part.get("content_type")}


def inbound(written: Mapping[str, Value], webhook_url: str = "") -> InboundRequest:
    """The webhook request that a case describes."""
    body, kind = body_of(written)
    headers = _headers(written, kind)
    query = written.get("query") or ""
    query = query if isinstance(query, str) else urlencode(query, doseq=True)
    path = text(written.get("path")).strip("/")
    url = text(written.get("url")) or webhook_url + (f"/{path}" if path else "") + (
        f"?{query}" if query else ""
    )
    return InboundRequest(
        text(written.get("method", "POST")), path, query, headers, body, text(written.get("ip")), url
    )


def response(written: Mapping[str, Value]) -> HttpResponse:
    """The provider's response that a case describes."""
    body, kind = body_of(written)
    headers = _headers(written, kind)
    return HttpResponse(int(text(written.get("status", "200"))), headers, body)


def _headers(written: Mapping[str, Value], kind: str) -> dict[str, str]:
    """The headers as written, without those that are null; the body's content type is added if missing."""
    given = {name.lower(): value for name, value in (written.get("headers") or {}).items()}
    given = {"content-type": kind or None, **given}
    return {name: str(text(value)) for name, value in given.items() if value is not None}


def shown(request: RenderedRequest) -> dict[str, Any]:
    """A request as a case would write it."""
    found: dict[str, Any] = {"method": request.method, "url": request.url, "headers": dict(request.headers)}
    kind = next((value for name, value in request.headers.items() if name.casefold() == "content-type"), "")
    return found | (shown_body(request.body, kind) if request.body is not None else {})


def expected(request: RenderedRequest) -> dict[str, Any]:
    """A request as a case expects it; the boundary of a multipart body is of no interest."""
    found = shown(request)
    if "multipart" in found:
        found["headers"] = {
            name: value for name, value in found["headers"].items() if name.casefold() != "content-type"
        }
    return found


def shown_body(body: bytes, content_type: str) -> dict[str, Any]:
    """A body in the form for its content type; one that cannot be read in that form is text or base64."""
    kind = bodies.essence(content_type)
    try:
        if kind.startswith("multipart/"):
            return {"multipart": _parts(body, content_type)}
        if kind.endswith("xml"):
            return {"xml": parse_xml(body)}
        if kind == MEDIA_TYPES["form"]:
            return {"form": bodies.pairs(body.decode())}
        if kind.endswith("json"):
            return {"json": bodies.parse(body, kind)}
        return {"text": body.decode()}
    except ValueError:
        return {"base64": base64.b64encode(body).decode()}


def _parts(body: bytes, content_type: str) -> list[dict[str, Any]]:
    parts = []
    for name, found in parse_multipart(body, content_type).items():
        for value in found if isinstance(found, list) else [found]:
            if isinstance(value, dict):
                content = base64.b64encode(value["content"]).decode()
                known = {"filename": value["filename"], "content_type": value["content_type"]}
                parts.append({"name": name, **known, "base64": content})
            else:
                parts.append({"name": name, "text": value})
    return parts
