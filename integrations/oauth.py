"""Access tokens and their renewal, whoever issues them; the consent of OAuth 2.0 (RFC 6749, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
from collections.abc import Iterable
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations import grants, holds, origins
from integrations.events import RenderedRequest
from integrations.language.errors import RenderError
from integrations.language.oauth import Grant
from integrations.language.urls import encode_pairs, merge_query
from integrations.language.values import text
from integrations.models import AccessToken, Integration, Template, TemplateRevision
from integrations.origins import Held
from integrations.properties import ACCESS_TOKEN, credentials_of
from integrations.signals import credentials_changed
from integrations.token_requests import TokenResponse, merged
from portal import audit

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
RETRY = timedelta(seconds=60)
BATCH = 100
# A token is renewed when a fifth of its lifetime is left, but at most this long before it expires.
EARLY = timedelta(minutes=5)
# A provider that rejects a token which was renewed after a rejection rejects something else.
REJECTED_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True)
class AuthorizationRequest:
    """Where an administrator is sent to give consent, and what must be stored until they return."""

    url: str
    state: str
    verifier: str


def redirect_uri() -> str:
    """Where providers send administrators back to; it is entered at the provider."""
    return f"{settings.PUBLIC_URL}{reverse('oauth_callback')}"


def authorization_request(integration: Integration) -> AuthorizationRequest:
    """A new authorization request, with state and PKCE. Raises RenderError or Held."""
    credentials = credentials_of([integration])[integration.pk]
    oauth, values = grants.oauth_of(integration), {**origins.fixed_for(integration), **credentials.values}
    client_id = text(oauth.client_id(values))
    if oauth.authorization_endpoint is None or not client_id:
        raise RenderError(_("The client id is missing. Save it first."), f"{oauth.pointer}/client_id")
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri(),
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    fields = merged(query, oauth.authorization_parameters(values))
    url = merge_query(oauth.authorization_endpoint(values), encode_pairs(fields, oauth.pointer))
    asked = RenderedRequest("GET", url, reads=oauth.consent_reads | {ACCESS_TOKEN})
    if asks := origins.blocking(integration.compiled, credentials, origins.fixed_for(integration)):
        raise Held(asks)  # the access token would have to wait
    return AuthorizationRequest(origins.release(asked, credentials).url, state, verifier)


def connect(integration: Integration, code: str, verifier: str) -> str:
    """Exchanges an authorization code for a token; returns the problem in a sentence, or "". Raises Held."""
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri(),
        "code_verifier": verifier,
    }
    credentials = credentials_of([integration])[integration.pk]
    response = grants.request_token(integration, credentials, fields).result()
    if response.access_token:
        with transaction.atomic():
            row, _made = AccessToken.objects.get_or_create(integration=integration)
            AccessToken.objects.filter(pk=row.pk).update(refused_at=None)
            _store(AccessToken.objects.filter(pk=row.pk), integration, response)
            _has_access(integration)
            audit.record(audit.Action.CONNECTED, integration)
    return response.problem


def request_renewal(integration: Integration) -> None:
    """Schedules a token request for now, unless an administrator's consent is needed."""
    row, _made = AccessToken.objects.get_or_create(integration=integration)
    if _can_renew(row, grants.grant_of(integration)):
        AccessToken.objects.filter(pk=row.pk).update(
            renew_at=timezone.now(), refused_at=None, lease_until=None, fence=F("fence") + 1
        )


def request_missing(template: Template) -> None:
    """Schedules the first token requests of integrations whose new revision is the first to need one."""
    if template.published is not None:
        request_first(Integration.objects.filter(template=template, revision=None), template.published)


def request_first(integrations: QuerySet[Integration], revision: TemplateRevision) -> None:
    """Schedules the token requests of integrations that use the revision and have no token yet."""
    grant = revision.compiled.grant
    if grant is not None and not grant.by_consent:
        without = integrations.filter(access_token=None)
        now = timezone.now()
        rows = [AccessToken(integration_id=pk, renew_at=now) for pk in without.values_list("pk", flat=True)]
        AccessToken.objects.bulk_create(rows, BATCH, ignore_conflicts=True)


def refused(integration: Integration, used: str) -> bool:
    """Whether a request that got a 401 can be retried with another token: one stored by now, or a new one.

    A rejected token counts as expired, so that nothing else is sent with it, and a new one is requested once.
    """
    row, now = AccessToken.objects.filter(integration=integration).first(), timezone.now()
    if row is None:
        return False
    if row.secrets.get("access_token") != used or not row.is_good:
        return True
    again = row.refused_at is not None and row.refused_at > now - REJECTED_AGAIN
    if again or not _can_renew(row, grants.grant_of(integration)):
        return False
    AccessToken.objects.filter(pk=row.pk, fence=row.fence).update(
        renew_at=now, expires_at=now, refused_at=now
    )
    return True


def with_access(integration_ids: Iterable[int]) -> list[int]:
    """Those of the integrations that have a valid token by now."""
    good = AccessToken.objects.good().filter(integration__in=list(integration_ids))
    return list(good.values_list("integration", flat=True))


def renew_due() -> None:
    """Renews all tokens that are due, at once, each under a lease, without an open transaction."""
    requests: dict[Future[TokenResponse], AccessToken] = {}
    due = AccessToken.objects.due().values_list("pk", "fence", "integration")
    for pk, fence, integration_id in due[:BATCH]:
        # Without a join: in a subquery, PostgreSQL would not re-check the row that it waited for.
        claimed = AccessToken.objects.filter(pk=pk, fence=fence)
        if claimed.update(fence=fence + 1, lease_until=timezone.now() + LEASE):
            try:
                row = AccessToken.objects.get(pk=pk)
                row.integration = Integration.objects.ready().get(pk=integration_id)
                requests[_request(row)] = row
            except Held:
                AccessToken.objects.filter(pk=pk, fence=fence + 1).update(lease_until=None)
                holds.review([integration_id])
            except Exception:  # a secret whose encryption key is lost must not hold up the others
                logger.exception("Access token %d could not be renewed.", pk)
                AccessToken.objects.filter(pk=pk).update(renew_at=None)
                reason = _("The access token could not be renewed. See the server's log.")
                Integration(pk=integration_id).note_trouble(reason)
    for future in as_completed(requests):
        _record(requests[future], future.result())


def _request(row: AccessToken) -> Future[TokenResponse]:
    refresh = row.secrets.get("refresh_token", "")
    if not _can_renew(row, grants.grant_of(row.integration)):
        expired: Future[TokenResponse] = Future()
        expired.set_result(TokenResponse(problem=_("The access token has expired.")))
        return expired
    fields = {"grant_type": "refresh_token", "refresh_token": refresh} if refresh else None
    credentials = credentials_of([row.integration])[row.integration_id]
    return grants.request_token(row.integration, credentials, fields)


def _record(row: AccessToken, response: TokenResponse) -> None:
    """Stores the result of a renewal, as long as the lease is ours."""
    integration, now = row.integration, timezone.now()
    mine = AccessToken.objects.filter(pk=row.pk, fence=row.fence)
    refresh = row.secrets.get("refresh_token", "")
    had_access = bool(with_access([integration.pk]))
    if response.access_token:
        if _store(mine, integration, response, refresh) and not had_access:
            _has_access(integration)
    elif response.temporary:
        if mine.update(renew_at=now + RETRY, lease_until=None) and not had_access:
            integration.note_trouble(response.problem)
    elif refresh and not grants.grant_of(integration).by_consent:
        # The refresh token has expired, but the credentials may still work.
        mine.update(secrets={**row.secrets, "refresh_token": ""}, renew_at=now, lease_until=None)
    elif mine.update(renew_at=None, expires_at=now, lease_until=None):
        integration.note_trouble(response.problem)


def _store(
    rows: QuerySet[AccessToken], integration: Integration, response: TokenResponse, refresh: str = ""
) -> int:
    now = timezone.now()
    found = {"access_token": response.access_token, "refresh_token": response.refresh_token or refresh}
    expires_at = renew_at = None
    if response.lifetime is not None:
        expires_at = renew_at = now + response.lifetime
        if _can_renew(AccessToken(secrets=found), grants.grant_of(integration)):
            renew_at = expires_at - min(response.lifetime / 5, EARLY)
    return rows.update(
        secrets=found, granted_at=now, expires_at=expires_at, renew_at=renew_at, lease_until=None,
        fence=F("fence") + 1,
    )  # fmt: skip


def _has_access(integration: Integration) -> None:
    """Clears the trouble and retries at once what waited for a token."""
    Integration.objects.filter(pk=integration.pk).clear_trouble()
    credentials_changed.send(sender=None, integration_ids=[integration.pk])


def _can_renew(row: AccessToken, grant: Grant) -> bool:
    return not grant.by_consent or bool(row.secrets.get("refresh_token"))
