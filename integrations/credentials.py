"""Checks credentials with the template's method CheckCredentials."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.utils.translation import gettext as _

from integrations import grants, http, responses
from integrations.language.api_methods import CHECK_CREDENTIALS
from integrations.language.errors import RenderError
from integrations.models import Integration
from integrations.origins import Held, fixed_for, release
from integrations.properties import ACCESS_TOKEN, Credentials, values_of
from integrations.rendering import fresh
from integrations.requests import build
from integrations.token_requests import TokenResponse


@dataclass(frozen=True)
class CheckResult:
    """Whether the provider accepts the credentials, and a sentence for a person, without secrets."""

    good: bool
    text: str


def can_check(integration: Integration) -> bool:
    """Whether the template has the method."""
    return CHECK_CREDENTIALS.name in integration.compiled.methods


def check(integration: Integration, credentials: Credentials) -> CheckResult:
    """Sends the method's request with these credentials, which must be complete; nothing is stored.

    The stored access token is used if the values are the stored ones. For other values a new token is
    requested, which only a provider that needs no administrator's consent allows. Nothing is sent to an
    origin that is not confirmed.
    """
    try:
        return _check(integration, credentials)
    except Held as held:
        asks = " ".join(ask.sentence(integration.template) for ask in held.asks)
        how = _("Save, and confirm it on this page; then check again.")
        return CheckResult(False, f"{asks} {how}")


def _check(integration: Integration, credentials: Credentials) -> CheckResult:
    if integration.compiled.grant is not None:
        token = _access(integration, credentials)
        if not token.access_token:
            return CheckResult(False, token.problem)
        credentials = replace(
            credentials,
            values={**credentials.values, ACCESS_TOKEN: token.access_token},
            private=(*credentials.private, token.access_token),
        )
    values, hide = credentials.values, credentials.redactor()
    variables = {**fresh(), **fixed_for(integration)}
    method = CHECK_CREDENTIALS.name
    try:
        request = release(build(integration.compiled, method, values, variables), credentials)
    except RenderError as error:
        return CheckResult(False, hide.text(str(error)))
    outcome = responses.read(integration.compiled, method, values, variables, http.send(request).result())
    said = hide.text(outcome.text)[:500]
    if outcome.result == "sent":
        return CheckResult(True, _("The provider accepts these credentials."))
    if outcome.result == "unauthorized":
        return CheckResult(False, _("The provider rejects these credentials. %(said)s") % {"said": said})
    if outcome.result in ("failed", "opted_out"):
        return CheckResult(False, said)
    return CheckResult(False, _("The credentials could not be checked now. %(said)s") % {"said": said})


def _access(integration: Integration, credentials: Credentials) -> TokenResponse:
    stored = dict(values_of([integration])[integration.pk]) if integration.pk else {}
    token, by_consent = stored.pop(ACCESS_TOKEN, ""), grants.grant_of(integration).by_consent
    values = {label: value for label, value in credentials.values.items() if label != ACCESS_TOKEN}
    if token and stored == values:
        return TokenResponse(token)
    if not by_consent:
        return grants.request_token(integration, credentials).result()
    if stored == values:
        return TokenResponse(problem=_("The integration is not connected. Connect it first."))
    return TokenResponse(problem=_("Save these values and connect the integration; then you can check them."))
