"""Files of incoming messages that the service gives only to those who prove who they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from integrations import http
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.requests import build, render_headers


def headers_for(template: Template, values: Mapping[str, Any], url: str) -> dict[str, str]:
    """The headers that a file is fetched with: the outgoing auth over https at the hosts of the template.

    Anywhere else, on another port, or outside `media_path`, none. For an origin that the operator allows
    (PATCHBAY_ALLOWED_ORIGINS), http and any port will do, as for all that is sent there.
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
            host = urlsplit(build(template, name, values, _NOBODY).url).hostname
        except RenderError:
            continue
        if host:
            yield host


# Paths may need a message; hosts never do.
_NOBODY = dict.fromkeys(("from", "to", "content", "text", "url", "webhook_url", "domain"), "x") | {
    "media": [],
    "urls": [],
    "parts": ["x"],
}
