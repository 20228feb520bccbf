"""Token requests: how an access token is asked for, and what the answer means (RFC 6749)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from integrations import bodies, http
from integrations.events import Fault, HttpRequest, HttpResponse
from integrations.language.auth import OAuth2, basic
from integrations.language.errors import RenderError
from integrations.language.values import Value, is_number, text
from integrations.models import Integration
from integrations.properties import secrets_of, values_of
from integrations.redact import Redactor

logger = logging.getLogger(__name__)

TIMEOUT = 20  # seconds
LATER = (408, 425, 429)  # and 5xx: the service may do better in a while
_PRIVATE = ("code", "code_verifier", "refresh_token", "access_token")


@dataclass(frozen=True)
class TokenResponse:
    """What the token endpoint gave, or why it gave nothing; `temporary`: it may do better later."""

    access_token: str = ""
    refresh_token: str = ""
    lifetime: timedelta | None = None
    problem: str = ""
    temporary: bool = False


def oauth_of(integration: Integration) -> OAuth2:
    """How the service gives access. Raises LookupError for a service without OAuth2."""
    oauth = integration.compiled.oauth
    if oauth is None:
        raise LookupError(f"{integration.template} does not use OAuth2.")
    return oauth


def variables(integration: Integration, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What token requests may read: the stored values (or these), the organization's domain and URL."""
    return {
        **(values_of([integration])[integration.pk] if values is None else values),
        "webhook_url": integration.webhook_url,
        "domain": integration.organization.domain,
    }


def request_token(
    integration: Integration, values: Mapping[str, Any], fields: Mapping[str, Value]
) -> Future[TokenResponse]:
    """Asks for a token with the `variables` and the fields of a grant; the future raises no network error.

    What went wrong is told without secrets, those of the fields included. Nothing is stored.
    """
    hide = Redactor([*secrets_of(integration, values), *(text(fields.get(name)) for name in _PRIVATE)])
    asked: Future[TokenResponse] = Future()
    try:
        request = _request(oauth_of(integration), values, fields)
    except RenderError as error:
        reason = _("No access token can be asked for: %(reason)s") % {"reason": hide.text(str(error))}
        asked.set_result(TokenResponse(problem=reason))
        return asked

    def read(answered: Future[HttpResponse | Fault]) -> None:
        try:
            asked.set_result(_read(answered.result(), hide))
        except Exception:
            logger.exception("An answer to a token request of %s could not be read.", integration)
            asked.set_result(
                TokenResponse(problem=_("The service's answer could not be read."), temporary=True)
            )

    http.send(request).add_done_callback(read)
    return asked


def merged(fields: Mapping[str, Value], own: Value) -> dict[str, Value]:
    """The template's fields replace ours of equal name; null removes one, as does an unset value of ours."""
    together = {**fields, **(own if isinstance(own, dict) else {})}
    return {name: value for name, value in together.items() if value is not None}


def _request(oauth: OAuth2, values: Mapping[str, Any], fields: Mapping[str, Value]) -> HttpRequest:
    headers = {"Accept": "application/json"}
    client = {"client_id": oauth.client_id(values), "client_secret": oauth.client_secret(values)}
    if oauth.basic:
        headers["Authorization"] = basic(client["client_id"], client["client_secret"])
        client = {}
    parameters = merged({**fields, **client}, oauth.token_parameters(values))
    body, kind = bodies.render(parameters, oauth.token_content_type, "/auth/token_parameters")
    return HttpRequest("POST", oauth.token_endpoint(values), {**headers, "Content-Type": kind}, body, TIMEOUT)


def _read(answer: HttpResponse | Fault, hide: Redactor) -> TokenResponse:
    if isinstance(answer, Fault):
        return TokenResponse(
            problem=hide.text(answer.text)[:500], temporary=answer.kind in ("connect", "unanswered")
        )
    try:
        kind = bodies.essence(answer.headers.get("content-type", ""))
        document = bodies.parse(answer.body, kind, strict=False)
    except ValueError:
        document = None
    given = document if isinstance(document, dict) else {}
    good = 200 <= answer.status < 300
    if good and (token := text(given.get("access_token"))):
        seconds = text(given.get("expires_in"))
        known = is_number(seconds) and 0 < float(seconds) < 1e9
        lifetime = timedelta(seconds=float(seconds)) if known else None
        return TokenResponse(token, text(given.get("refresh_token")), lifetime)
    said = ": ".join(
        filter(None, (text(given.get(key)) for key in ("error", "error_description", "message")))
    )
    if not said and not good:  # what answers 2xx may hold tokens under other names
        said = " ".join(answer.body.decode("utf-8", "replace").split())
    problem = _("The service gave no access token (%(status)d). %(said)s") % {
        "status": answer.status,
        "said": hide.text(said)[:300],
    }
    return TokenResponse(problem=problem.strip(), temporary=answer.status >= 500 or answer.status in LATER)
