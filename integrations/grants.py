"""Token requests of OAuth 2.0 (RFC 6749): how an access token is requested, and what the response means."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from integrations import bodies, http, origins
from integrations.events import Fault, HttpResponse, RenderedRequest
from integrations.language.auth import OAuth2, basic
from integrations.language.errors import RenderError
from integrations.language.values import Value, is_number, text
from integrations.models import Integration
from integrations.properties import ACCESS_TOKEN, Credentials
from integrations.redact import Redactor

logger = logging.getLogger(__name__)

TIMEOUT = 20  # seconds
TEMPORARY = (408, 425, 429)  # and 5xx: a later request may succeed
_PRIVATE = ("code", "code_verifier", "refresh_token", "access_token")


@dataclass(frozen=True)
class TokenResponse:
    """What the token endpoint returned, or the problem; if it is `temporary`, a retry may succeed."""

    access_token: str = ""
    refresh_token: str = ""
    lifetime: timedelta | None = None
    problem: str = ""
    temporary: bool = False


def oauth_of(integration: Integration) -> OAuth2:
    """The integration's OAuth2 settings. Raises LookupError if its template does not use OAuth2."""
    oauth = integration.compiled.oauth
    if oauth is None:
        raise LookupError(f"{integration.template} does not use OAuth2.")
    return oauth


def variables(integration: Integration, credentials: Credentials) -> dict[str, Any]:
    """What token requests may read: property values, webhook URL and domain."""
    return {**origins.fixed_for(integration), **credentials.values}


def request_token(
    integration: Integration, credentials: Credentials, fields: Mapping[str, Value]
) -> Future[TokenResponse]:
    """Requests a token with the fields of a grant; the future raises no network error.

    A problem is described without secrets, including those in the fields. Nothing is stored. Raises Held if
    the client's credentials may not be sent to the token endpoint.
    """
    hide = credentials.redactor(*(text(fields.get(name)) for name in _PRIVATE))
    token: Future[TokenResponse] = Future()
    try:
        rendered = _request(oauth_of(integration), variables(integration, credentials), fields)
        request = origins.release(rendered, credentials)
    except RenderError as error:
        reason = _("An access token cannot be requested: %(reason)s") % {"reason": hide.text(str(error))}
        token.set_result(TokenResponse(problem=reason))
        return token

    def read(received: Future[HttpResponse | Fault]) -> None:
        try:
            token.set_result(_read(received.result(), hide))
        except Exception:
            logger.exception("The response to a token request of %s could not be read.", integration)
            token.set_result(
                TokenResponse(problem=_("The provider's response could not be read."), temporary=True)
            )

    http.send(request).add_done_callback(read)
    return token


def merged(fields: Mapping[str, Value], own: Value) -> dict[str, Value]:
    """Our fields, replaced by the template's fields of equal name; null removes a field."""
    together = {**fields, **(own if isinstance(own, dict) else {})}
    return {name: value for name, value in together.items() if value is not None}


def _request(oauth: OAuth2, values: Mapping[str, Any], fields: Mapping[str, Value]) -> RenderedRequest:
    headers = {"Accept": "application/json"}
    client = {"client_id": oauth.client_id(values), "client_secret": oauth.client_secret(values)}
    if oauth.basic:
        headers["Authorization"] = basic(client["client_id"], client["client_secret"])
        client = {}
    parameters = merged({**fields, **client}, oauth.token_parameters(values))
    body, kind = bodies.render(parameters, oauth.token_content_type, "/auth/token_parameters")
    return RenderedRequest(
        "POST",
        oauth.token_endpoint(values),
        {**headers, "Content-Type": kind},
        body,
        TIMEOUT,
        oauth.reads | {ACCESS_TOKEN},
    )


def _read(response: HttpResponse | Fault, hide: Redactor) -> TokenResponse:
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
        seconds = text(given.get("expires_in"))
        known = is_number(seconds) and 0 < float(seconds) < 1e9
        lifetime = timedelta(seconds=float(seconds)) if known else None
        return TokenResponse(token, text(given.get("refresh_token")), lifetime)
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
