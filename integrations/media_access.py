"""Files of incoming messages that the provider serves only with credentials."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from integrations import http, origins
from integrations.events import HttpRequest, RenderedRequest
from integrations.models import Integration
from integrations.properties import Credentials
from integrations.rendering import fresh, render_headers


def request_for(integration: Integration, credentials: Credentials, url: str) -> HttpRequest:
    """The request for a file: with the outgoing auth, if it is on one of the template's hosts. Raises Held.

    There is none for http, for another port, and outside `media_path`. An origin that the operator allows
    (PATCHBAY_ALLOWED_ORIGINS) may use http and any port, as it may for other requests.
    """
    request, method = RenderedRequest("GET", url), integration.compiled.media_method
    if method is not None and _is_among_own(integration, credentials, url):
        headers = render_headers(method, {**fresh(), **credentials.values})
        headers = {name: value for name, value in headers.items() if name.casefold() != "content-type"}
        request = RenderedRequest("GET", url, headers, reads=method.header_reads)
    return origins.release(request, credentials)


def _is_among_own(integration: Integration, credentials: Credentials, url: str) -> bool:
    try:
        parts = urlsplit(url)
        allowed = parts.scheme == "https" and parts.port in (None, 443) and parts.username is None
    except ValueError:
        return False
    template = integration.compiled
    allowed = allowed or http.is_allowed(url)
    if not allowed or "\\" in url or ".." in unquote(parts.path).split("/"):
        return False
    routes = origins.routes(template, credentials.values, origins.fixed_for(integration))
    own = {route.origin for route in routes if _is_method(route)}
    hosts = {urlsplit(origin).hostname for origin in own if origin}
    return any(
        parts.hostname in (event.media_hosts or hosts)
        and f"{parts.path}/".startswith(f"{event.media_path.rstrip('/')}/")
        for event in template.events
        if event.media_hosts is not None
    )


def _is_method(route: origins.Route) -> bool:
    return route.purpose in ("send", "check")
