"""The door of webhooks, past Django's request: from what the web server hands over to the answer."""

from __future__ import annotations

import re

from django.conf import settings
from django.utils.encoding import escape_uri_path, iri_to_uri
from django.utils.translation import gettext as _

from integrations.events import HttpResponse, InboundRequest
from messaging.receiving import receive, refusals
from portal.doors import Asked
from portal.middleware import SAFE

MAX_BODY = 1024 * 1024
_PLACE = re.compile(r"/services/([A-Za-z0-9_-]{1,64})/a([0-9]{20})(/.*)?")
_PLAIN = {"content-type": "text/plain", **SAFE}


def leads(path: str) -> bool:
    """Whether it is the address of a service's webhook."""
    return _PLACE.fullmatch(path) is not None


async def answer(asked: Asked) -> HttpResponse:
    """Takes what a service says, and answers as its template wants.

    Raises what the database raises: nothing was kept then.
    """
    found = _PLACE.fullmatch(asked.path)
    assert found is not None
    service_id, owner, rest = found.groups(default="")
    caller, path = _caller(asked), asked.mount + asked.path
    place = f"{asked.method} {path[:200]!r} from {caller}"
    if asked.body is None:
        refusals.note("larger than 1 MiB", place)
        return _plain(413, _("The body is larger than 1 MiB.\n"))
    query = f"?{iri_to_uri(asked.query)}" if asked.query else ""
    inbound = InboundRequest(
        method=asked.method,
        path=rest,
        query=asked.query,
        headers=asked.headers,
        body=asked.body,
        ip=caller,
        url=f"{settings.PUBLIC_URL}{escape_uri_path(path)}{query}",
    )
    said = await receive.accept(service_id, owner, inbound)
    if said is None:
        refusals.note("unknown service or account", place)
        return _plain(404, _("There is no such webhook.\n"))
    if said.status == 401:
        refusals.note("bad signature", place)
    return HttpResponse(said.status, {**_PLAIN, **said.headers}, said.body)


def _plain(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, _PLAIN, text.encode())


def _caller(asked: Asked) -> str:
    """The address of who called; behind a proxy the last one that it vouches for."""
    forwarded = asked.headers.get("x-forwarded-for", "") if settings.BEHIND_PROXY else ""
    return forwarded.rpartition(",")[2].strip() or asked.ip
