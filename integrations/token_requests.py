"""Requests for access tokens, by OAuth 2.0 (RFC 6749) or the method Login, and what the response means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from integrations import bodies, responses
from integrations.events import Fault, HttpResponse, RenderedRequest
from integrations.language.api_methods import LOGIN
from integrations.language.auth import basic
from integrations.language.dates import parse_date
from integrations.language.document import Template
from integrations.language.oauth import OAuth2
from integrations.language.values import Value, is_number, text
from integrations.redact import Redactor
from integrations.rendering import fresh
from integrations.requests import build

TIMEOUT = 20  # seconds
TEMPORARY = (408, 425, 429)  # and 5xx: a later request may succeed
MOST_SECONDS = 1e9


@dataclass(frozen=True)
class TokenResponse:
    """The access token that was issued, or the problem; if it is `temporary`, a retry may succeed."""

    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    lifetime: timedelta | None = None
    problem: str = ""
    temporary: bool = False


@dataclass(frozen=True)
class TokenRequest:
    """A request for an access token, and the `variables` that its response is read with."""

    request: RenderedRequest
    variables: Mapping[str, Any] = field(repr=False)


def render(
    template: Template, properties: Mapping[str, Any], fixed: Mapping[str, Any], fields: Mapping[str, Value]
) -> TokenRequest:
    """The request with the fields of an OAuth2 grant; without them, by the flow that needs no consent.

    `fixed` has webhook_url, domain, orgid and the like. Login takes no fields. Raises RenderError.
    """
    variables = {**fresh(), **fixed}
    oauth = template.oauth
    if oauth is None:
        return TokenRequest(build(template, LOGIN.name, properties, variables), variables)
    fields = fields or {"grant_type": oauth.flow}
    return TokenRequest(_of_oauth(oauth, {**variables, **properties}, fields), variables)


def read(
    template: Template,
    properties: Mapping[str, Any],
    variables: Mapping[str, Any],
    response: HttpResponse | Fault,
    hide: Redactor,
) -> TokenResponse:
    """What the response to a TokenRequest means; a problem is described without what `hide` masks."""
    if template.oauth is not None:
        return _read_oauth(response, hide)
    outcome = responses.read(template, LOGIN.name, properties, variables, response)
    if outcome.result == "sent":
        return TokenResponse(text(outcome.bound["access_token"]), lifetime=_lifetime(outcome.bound))
    said = hide.text(outcome.text)[:300]
    if isinstance(response, HttpResponse) and 200 <= response.status < 300:
        unread = responses.summary(response) in outcome.text
        said = _("The template does not describe its response.") if unread else said  # it may have a token
    problem = _("The provider issued no access token. %(said)s") % {"said": said}
    return TokenResponse(problem=problem, temporary=outcome.result in ("retry", "throttled", "unknown"))


def merged(fields: Mapping[str, Value], own: Value) -> dict[str, Value]:
    """Our fields, replaced by the template's fields of equal name; null removes a field."""
    together = {**fields, **(own if isinstance(own, dict) else {})}
    return {name: value for name, value in together.items() if value is not None}


def _of_oauth(oauth: OAuth2, values: Mapping[str, Any], fields: Mapping[str, Value]) -> RenderedRequest:
    headers = {"Accept": "application/json"}
    client = {"client_id": oauth.client_id(values), "client_secret": oauth.client_secret(values)}
    if oauth.basic:
        headers["Authorization"] = basic(client["client_id"], client["client_secret"])
        client = {}
    parameters = merged({**fields, **client}, oauth.token_parameters(values))
    body, kind = bodies.render(parameters, oauth.token_content_type, f"{oauth.pointer}/token_parameters")
    return RenderedRequest(
        "POST",
        oauth.token_endpoint(values),
        {**headers, "Content-Type": kind},
        body,
        TIMEOUT,
        oauth.reads | {"access_token"},  # which stands for the refresh token, too
    )


def _read_oauth(response: HttpResponse | Fault, hide: Redactor) -> TokenResponse:
    if isinstance(response, Fault):
        return TokenResponse(
            problem=hide.text(response.text)[:500], temporary=response.kind in ("connect", "unanswered")
        )
    try:
        kind = bodies.essence(response.headers.get("content-type", ""))
        document = bodies.parse(response.body, kind, strict=False)
    except ValueError:
        document = None
    given = document if isinstance(document, dict) else {}
    good = 200 <= response.status < 300
    if good and (token := text(given.get("access_token"))):
        return TokenResponse(token, text(given.get("refresh_token")), _lifetime(given))
    said = ": ".join(
        filter(None, (text(given.get(key)) for key in ("error", "error_description", "message")))
    )
    if not said and not good:  # a 2xx response may contain tokens under other names
        said = " ".join(response.body.decode("utf-8", "replace").split())
    problem = _("The provider returned no access token (status %(status)d). %(said)s") % {
        "status": response.status,
        "said": hide.text(said)[:300],
    }
    return TokenResponse(
        problem=problem.strip(), temporary=response.status >= 500 or response.status in TEMPORARY
    )


def _lifetime(given: Mapping[str, Value]) -> timedelta | None:
    """The lifetime: `expires_in` seconds, or until `expires_at` (a date, or seconds since 1970)."""
    seconds, date = text(given.get("expires_in")), text(given.get("expires_at"))
    now = datetime.now(UTC)
    if is_number(date):
        left = float(date) - now.timestamp()
    elif is_number(seconds):
        left = float(seconds)
    elif moment := parse_date(date):
        left = (moment - now).total_seconds()
    else:
        return None
    return timedelta(seconds=left) if 0 < left < MOST_SECONDS else None
