"""The door of webhooks: from what the web server hands over to the answer, without Django's request."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import get_path_info
from django.utils.encoding import escape_uri_path, iri_to_uri
from django.utils.translation import gettext as _

from integrations.events import HttpResponse, InboundRequest
from messaging.receiving import receive, refusals
from portal.middleware import SAFE

MAX_BODY = 1024 * 1024
_PLACE = re.compile(r"/services/([A-Za-z0-9_-]{1,64})/a([0-9]{20})(/.*)?")
_PLAIN = {"content-type": "text/plain", **SAFE}


def answer(environ: dict[str, Any]) -> HttpResponse | None:
    """Takes what a service says, and answers as its template wants; None for an address that is no webhook's.

    `environ` is that of WSGI. Raises what the database raises: nothing was kept then.
    """
    path = get_path_info(environ)
    found = _PLACE.fullmatch(path)
    if found is None:
        return None
    service_id, owner, rest = found.groups(default="")
    method, caller = environ["REQUEST_METHOD"].upper(), _caller(environ)
    path = environ.get("SCRIPT_NAME", "") + path
    place = f"{method} {path[:200]!r} from {caller}"
    body = read_body(environ, MAX_BODY)
    if body is None:
        refusals.note("larger than 1 MiB", place)
        return _plain(413, _("The body is larger than 1 MiB.\n"))
    query = environ.get("QUERY_STRING", "")
    asked = f"?{iri_to_uri(query)}" if query else ""
    inbound = InboundRequest(
        method=method,
        path=rest,
        query=query,
        headers=_headers(environ),
        body=body,
        ip=caller,
        url=f"{settings.PUBLIC_URL}{escape_uri_path(path)}{asked}",
    )
    said = receive.accept(service_id, owner, inbound)
    if said is None:
        refusals.note("unknown service or account", place)
        return _plain(404, _("There is no such webhook.\n"))
    if said.status == 401:
        refusals.note("bad signature", place)
    return HttpResponse(said.status, {**_PLAIN, **said.headers}, said.body)


def _plain(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, _PLAIN, text.encode())


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    """What was sent, under lower-case names."""
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name, key in (("content-type", "CONTENT_TYPE"), ("content-length", "CONTENT_LENGTH")):
        if key in environ:
            headers[name] = environ[key]
    return headers


def read_body(environ: dict[str, Any], most: int) -> bytes | None:
    """The body of a request; None if it is larger than `most` bytes, read no further than that."""
    declared = environ.get("CONTENT_LENGTH") or "0"
    length = int(declared) if declared.isdecimal() else 0
    if length > most:
        return None
    # A body in chunks has no length; granian hands them on as they come.
    if not length and "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        length = most + 1
    stream = environ["wsgi.input"]
    body = bytearray()
    while len(body) < length and (chunk := stream.read(length - len(body))):
        body += chunk
    return bytes(body) if len(body) <= most else None


def _caller(environ: dict[str, Any]) -> str:
    """The address of who called; behind a proxy the last one that it vouches for."""
    forwarded = environ.get("HTTP_X_FORWARDED_FOR", "") if settings.BEHIND_PROXY else ""
    return forwarded.rpartition(",")[2].strip() or environ.get("REMOTE_ADDR", "")
