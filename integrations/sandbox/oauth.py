"""The provider's OAuth2 endpoints, which grant everybody the same token."""

from __future__ import annotations

from urllib.parse import urlsplit

from integrations import bodies, case_http
from integrations.events import HttpResponse, RenderedRequest
from integrations.language.errors import RenderError
from integrations.language.urls import Url, encode_pairs, merge_query
from integrations.language.values import text
from integrations.sandbox.api_requests import ACCESS_TOKEN
from integrations.sandbox.catalog_entry import HostedEntry

LIFETIME = 3600  # seconds


def respond(hosted: HostedEntry, request: RenderedRequest) -> HttpResponse | None:
    """The response of the authorization or token endpoint; None if the request is for neither."""
    oauth, path = hosted.template.oauth, urlsplit(request.url).path
    if oauth is None:
        return None
    if path == _path(hosted, oauth.token_endpoint):
        given = {"access_token": ACCESS_TOKEN, "refresh_token": "sandbox-refresh", "token_type": "bearer"}
        return case_http.response({"json": {**given, "expires_in": LIFETIME}})
    if oauth.authorization_endpoint is not None and path == _path(hosted, oauth.authorization_endpoint):
        asked = bodies.pairs(urlsplit(request.url).query)
        back = encode_pairs({"code": "sandbox-code", "state": asked.get("state")}, "")
        return case_http.response(
            {"status": 302, "headers": {"Location": merge_query(text(asked.get("redirect_uri")), back)}}
        )
    return None


def _path(hosted: HostedEntry, url: Url) -> str:
    try:
        return urlsplit(url({**hosted.values, "webhook_url": "", "domain": ""})).path
    except RenderError:
        return ""
