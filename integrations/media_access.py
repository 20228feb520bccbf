"""Files of incoming messages that the provider serves only with credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from integrations import http
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.requests import build, render_headers


def headers_for(template: Template, values: Mapping[str, Any], url: str) -> dict[str, str]:
    """The headers for fetching a file: the outgoing auth, if the file is on one of the template's hosts.

    There are none for http, for another port, and outside `media_path`. An origin that the operator allows
    (PATCHBAY_ALLOWED_ORIGINS) may use http and any port, as it may for other requests.
    """
    try:
        parts = urlsplit(url)
        allowed = parts.scheme == "https" and parts.port in (None, 443) and parts.username is None
    except ValueError:
        return {}
    allowed = allowed or http.is_allowed(url)
    if not allowed or "\\" in url or ".." in unquote(parts.path).split("/"):
        return {}
    own = set(_own_hosts(template, values))
    for event in template.webhook.events:
        hosts = own if event.media_hosts == () else event.media_hosts or ()
        if parts.hostname in hosts and f"{parts.path}/".startswith(f"{event.media_path.rstrip('/')}/"):
            method = next(iter(template.methods.values()))
            headers = render_headers(method, {**values})
            return {name: value for name, value in headers.items() if name.casefold() != "content-type"}
    return {}


def _own_hosts(template: Template, values: Mapping[str, Any]) -> Iterator[str]:
    for name in template.methods:
        try:
            host = urlsplit(build(template, name, values, _PLACEHOLDERS).url).hostname
        except RenderError:
            continue
        if host:
            yield host


# The path of a URL may depend on a message, the host never does.
_PLACEHOLDERS = dict.fromkeys(("from", "to", "content", "text", "url", "webhook_url", "domain"), "x") | {
    "media": [],
    "urls": [],
    "parts": ["x"],
}
