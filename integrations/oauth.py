"""OAuth 2.0 at run time: consent, access tokens, and their renewal in time (RFC 6749, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations import bodies, http
from integrations.events import Fault, HttpResponse
from integrations.language.auth import OAuth2, basic
from integrations.language.errors import RenderError
from integrations.language.urls import encode_pairs, merge_query
from integrations.language.values import Value, is_number, text
from integrations.models import AccessToken, Integration
from integrations.properties import secrets_of, values_of
from integrations.redact import Redactor
from integrations.signals import credentials_changed

MAX_BYTES = 64 * 1024
TIMEOUT = 20  # seconds
LEASE = timedelta(seconds=60)
RETRY = timedelta(seconds=60)
# A token is renewed when a fifth of its life is left, but not earlier than this before its end.
EARLY = timedelta(minutes=5)


@dataclass(frozen=True)
class Consent:
    """Where an administrator is sent to consent, and what must be remembered until they are back."""

    url: str
    state: str
    verifier: str


def redirect_uri() -> str:
    """Where services send administrators back to; it is entered at the service."""
    return f"{settings.PUBLIC_URL}{reverse('oauth_callback')}"


def consent(integration: Integration) -> Consent:
    """A new request for consent, with state and PKCE. Raises RenderError where a value is missing."""
    oauth = _oauth(integration)
    if oauth.authorization_endpoint is None:
        raise RenderError("The template has no authorization_endpoint.", "/auth")
    variables = _variables(integration)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": oauth.client_id(variables),
        "redirect_uri": redirect_uri(),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    fields = _merged(query, oauth.authorization_parameters(variables))
    url = merge_query(oauth.authorization_endpoint(variables), encode_pairs(fields, "/auth"))
    return Consent(url, state, verifier)


def connect(integration: Integration, code: str, verifier: str) -> str:
    """Trades the code of a consent for a token; returns what went wrong in plain words, or nothing."""
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri(),
        "code_verifier": verifier,
    }
    row = want(integration, renew=False)
    answer = _ask(integration, fields)
    if not answer.access_token:
        return answer.problem
    _keep(row.pk, answer)
    credentials_changed.send(sender=None, integration_ids=[integration.pk])
    return ""


def want(integration: Integration, *, renew: bool = True) -> AccessToken:
    """The token row of an integration; with `renew` a new token is asked for as soon as possible."""
    row, _made = AccessToken.objects.get_or_create(integration=integration)
    oauth = _oauth(integration)
    if renew and _can_renew(oauth, row.secrets.get("refresh_token", "")):
        AccessToken.objects.filter(pk=row.pk).update(
            renew_at=timezone.now(), after_refusal=False, fence=row.fence + 1, lease_until=None
        )
    return row


def refused(integration: Integration, used: str) -> bool:
    """Whether a 401 is answered by a new token: once for each, and not while another is there already."""
    row = AccessToken.objects.filter(integration=integration).first()
    if row is None:
        return False
    if row.secrets.get("access_token") != used:
        return True
    refresh = row.secrets.get("refresh_token", "")
    if row.after_refusal or not _can_renew(_oauth(integration), refresh):
        return False
    AccessToken.objects.filter(pk=row.pk, fence=row.fence).update(renew_at=timezone.now(), after_refusal=True)
    return True


def accepted(integrations: Iterable[Integration]) -> None:
    """Notes that tokens work, so that a later 401 asks for a new one again."""
    keys = [item.pk for item in integrations if item.compiled.oauth is not None]
    if keys:
        settled = Q(renew_at=None) | Q(renew_at__gt=timezone.now())
        AccessToken.objects.filter(settled, integration__in=keys, after_refusal=True).update(
            after_refusal=False
        )


def any_due() -> bool:
    """Whether a token is to be renewed, by one indexed query."""
    return bool(_due().exists())


def renew_due() -> None:
    """Renews the tokens that are due, each under a lock that no transaction holds open."""
    for row in _due().select_related(
        "integration__organization__account", "integration__template__published", "integration__revision"
    )[:100]:
        claimed = _due().filter(pk=row.pk, fence=row.fence)
        if claimed.update(fence=row.fence + 1, lease_until=timezone.now() + LEASE):
            row.fence += 1
            _renew(row)


def _due() -> Any:
    now = timezone.now()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    return AccessToken.objects.filter(free, renew_at__lte=now, integration__enabled=True)


def _renew(row: AccessToken) -> None:
    integration, oauth = row.integration, _oauth(row.integration)
    refresh = row.secrets.get("refresh_token", "")
    if refresh:
        fields = {"grant_type": "refresh_token", "refresh_token": refresh}
    else:
        fields = {"grant_type": oauth.flow}
    answer = _ask(integration, fields)
    mine = AccessToken.objects.filter(pk=row.pk, fence=row.fence)
    if answer.access_token:
        answer.refresh_token = answer.refresh_token or refresh
        if _keep(row.pk, answer, fence=row.fence, after_refusal=row.after_refusal):
            credentials_changed.send(sender=None, integration_ids=[integration.pk])
        return
    again = timezone.now() + RETRY if answer.passing else None
    if not answer.passing and refresh and oauth.flow != "authorization_code":
        # The refresh token has ended, the credentials have not.
        mine.update(secrets={**row.secrets, "refresh_token": ""}, renew_at=timezone.now(), lease_until=None)
        return
    mine.update(renew_at=again, lease_until=None)
    integration.note_trouble(answer.problem)


@dataclass
class _Answer:
    """What the token endpoint gave, or why it gave nothing; `passing`: it may do better later."""

    access_token: str = ""
    refresh_token: str = ""
    seconds: float | None = None
    problem: str = ""
    passing: bool = False


def _ask(integration: Integration, fields: Mapping[str, Value]) -> _Answer:
    """Sends a token request, with the fields of the template over those of the grant."""
    oauth, values = _oauth(integration), _variables(integration)
    row = AccessToken.objects.filter(integration=integration).first()
    hide = Redactor([*secrets_of(integration, values), *map(text, (row.secrets if row else {}).values())])
    try:
        url = oauth.token_endpoint(values)
        headers = {"Accept": "application/json"}
        known = {"client_id": oauth.client_id(values), "client_secret": oauth.client_secret(values)}
        if oauth.basic:
            headers["Authorization"] = basic(known["client_id"], known["client_secret"])
            known = {}
        merged = _merged({**fields, **known}, oauth.token_parameters(values))
        body, kind = bodies.render(merged, oauth.token_content_type, "/auth/token_parameters")
    except RenderError as error:
        return _Answer(
            problem=_("No access token can be asked for: %(reason)s") % {"reason": hide.text(str(error))}
        )
    answer = http.fetch(
        url, method="POST", headers={**headers, "Content-Type": kind}, body=body,
        max_bytes=MAX_BYTES, timeout=TIMEOUT, max_redirects=0,
    )  # fmt: skip
    return _read(answer, hide)


def _read(answer: HttpResponse | Fault, hide: Redactor) -> _Answer:
    if isinstance(answer, Fault):
        return _Answer(problem=hide.text(answer.text)[:500], passing=answer.kind in ("connect", "unanswered"))
    try:
        document = bodies.parse(
            answer.body, bodies.essence(answer.headers.get("content-type", "")), strict=False
        )
    except ValueError:
        document = None
    given = document if isinstance(document, dict) else {}
    if 200 <= answer.status < 300 and (token := text(given.get("access_token"))):
        seconds = text(given.get("expires_in"))
        life = float(seconds) if is_number(seconds) and 0 < float(seconds) < 1e9 else None
        return _Answer(token, text(given.get("refresh_token")), life)
    words = " ".join(text(given.get(key)) for key in ("error", "error_description", "message")).strip()
    said = hide.text(words or answer.body[:200].decode("utf-8", "replace"))[:300]
    problem = _("The service gave no access token (%(status)d): %(said)s") % {
        "status": answer.status,
        "said": said,
    }
    return _Answer(problem=problem, passing=answer.status >= 500 or answer.status in (408, 429))


@transaction.atomic
def _keep(pk: int, answer: _Answer, *, fence: int | None = None, after_refusal: bool = False) -> bool:
    """Stores a token; with a fence only while the lock is ours. Whether it is stored."""
    found = (
        AccessToken.objects.select_for_update()
        .filter(pk=pk, **({} if fence is None else {"fence": fence}))
        .first()
    )
    if found is None:
        return False
    now = timezone.now()
    life = None if answer.seconds is None else timedelta(seconds=answer.seconds)
    found.granted_at = now
    found.secrets = {"access_token": answer.access_token, "refresh_token": answer.refresh_token}
    found.expires_at = None if life is None else now + life
    renewable = _can_renew(_oauth(found.integration), answer.refresh_token)
    found.renew_at = now + life - min(life * 0.2, EARLY) if life is not None and renewable else None
    found.lease_until, found.after_refusal, found.fence = None, after_refusal, found.fence + 1
    found.save()
    Integration.objects.filter(pk=found.integration_id).update(trouble="", trouble_since=None)
    return True


def _can_renew(oauth: OAuth2, refresh_token: str) -> bool:
    return oauth.flow != "authorization_code" or bool(refresh_token)


def _oauth(integration: Integration) -> OAuth2:
    oauth = integration.compiled.oauth
    if oauth is None:
        raise LookupError(f"{integration.template} does not use OAuth2.")
    return oauth


def _variables(integration: Integration) -> dict[str, Any]:
    return {
        **values_of([integration])[integration.pk],
        "webhook_url": integration.webhook_url,
        "domain": integration.organization.domain,
    }


def _merged(fields: Mapping[str, Value], own: Value) -> dict[str, Value]:
    """The template's fields replace ours of equal name; null removes one, as does an unset value of ours."""
    merged = {**fields, **(own if isinstance(own, dict) else {})}
    return {name: value for name, value in merged.items() if value is not None}
