"""Requests an access token for an integration: renders the request, sends it, and reads the response."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future

from django.utils.translation import gettext as _

from integrations import http, origins, token_requests
from integrations.events import Fault, HttpResponse
from integrations.language.errors import RenderError
from integrations.language.oauth import Grant, OAuth2
from integrations.language.values import Value, text
from integrations.models import Integration
from integrations.properties import Credentials
from integrations.token_requests import TokenResponse

logger = logging.getLogger(__name__)

_PRIVATE = ("code", "code_verifier", "refresh_token", "access_token")


def grant_of(integration: Integration) -> Grant:
    """How the integration obtains access tokens. Raises LookupError if its template does not say."""
    grant = integration.compiled.grant
    if grant is None:
        raise LookupError(f"{integration.template} needs no access token.")
    return grant


def oauth_of(integration: Integration) -> OAuth2:
    """The integration's OAuth2 settings. Raises LookupError if its template does not use OAuth2."""
    oauth = integration.compiled.oauth
    if oauth is None:
        raise LookupError(f"{integration.template} does not use OAuth2.")
    return oauth


def request_token(
    integration: Integration, credentials: Credentials, fields: Mapping[str, Value] | None = None
) -> Future[TokenResponse]:
    """Requests a token; the future raises no network error. Nothing is stored.

    `fields` are those of an OAuth2 grant; without them, it is the one that needs no consent. A problem is
    described without secrets, including those in the fields. Raises Held if a secret may not be sent there.
    """
    fields = fields or {}
    hide = credentials.redactor(*(text(fields.get(name)) for name in _PRIVATE))
    token: Future[TokenResponse] = Future()
    compiled, values = integration.compiled, credentials.values
    try:
        asked = token_requests.render(compiled, values, origins.fixed_for(integration), fields)
        request = origins.release(asked.request, credentials)
    except RenderError as error:
        reason = _("An access token cannot be requested: %(reason)s") % {"reason": hide.text(str(error))}
        token.set_result(TokenResponse(problem=reason))
        return token

    def read(received: Future[HttpResponse | Fault]) -> None:
        try:
            token.set_result(token_requests.read(compiled, values, asked.variables, received.result(), hide))
        except Exception:
            logger.exception("The response to a token request of %s could not be read.", integration)
            token.set_result(
                TokenResponse(problem=_("The provider's response could not be read."), temporary=True)
            )

    http.send(request).add_done_callback(read)
    return token
