"""Services that issue tokens by a login of their own, or are sent signed ones, over real HTTP in both directions."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from integrations import credentials, holds, oauth, properties
from integrations.models import AccessToken, Integration
from integrations.sandbox import Sandbox
from integrations.sandbox.catalog_entry import EXAMPLES
from integrations.sandbox.signing_keys import SigningKeys
from messaging import demo
from messaging.inbound import file_events
from messaging.models import Message, Number, WebhookRequest
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from messaging.statuses import Status
from portal.models import User
from tests.flows.test_catalog_round_trip import on_the_phone, ours, provider
from tests.flows.test_round_trip import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["ours", "provider"]
LOGIN = pytest.mark.parametrize("folder", [pytest.param(EXAMPLES / "login", id="login")])
SIGNED = pytest.mark.parametrize("folder", [pytest.param(EXAMPLES / "signed", id="signed")])


def connected(ours: Number) -> Integration:
    """The integration, with a token if it needs one."""
    assert ours.integration_id is not None
    integration = Integration.objects.ready().get(pk=ours.integration_id)
    if integration.compiled.grant is not None:
        oauth.request_renewal(integration)
        oauth.renew_due()
    return integration


def check(integration: Integration, **changed: str) -> credentials.CheckResult:
    found = properties.credentials_of([integration])[integration.pk]
    found.values.update({label.replace("_", " "): value for label, value in changed.items()})
    return credentials.check(integration, found)


def goes_round(provider: Sandbox, ours: Number, alice: User) -> None:
    message = submit(alice, ours, provider.phone, text="Out")
    dispatch.drain()
    message.refresh_from_db()
    assert (message.status, message.status_text) == (Status.SENT, "")
    assert wait_for(lambda: WebhookRequest.objects.filter(verdict="accepted").exists())
    assert provider.text(provider.phone, ours.number, "And back") == 200
    file_events.drain()
    message.refresh_from_db()
    assert message.status == Status.DELIVERED
    assert [item.text for item in Message.objects.filter(direction="in")] == ["And back"]


@LOGIN
def test_a_service_with_a_login_of_its_own(provider: Sandbox, ours: Number, alice: User) -> None:
    integration = connected(ours)
    row = AccessToken.objects.get(integration=integration)
    assert row.expires_at is not None and row.renew_at is not None and row.granted_at is not None
    assert round((row.expires_at - row.granted_at).total_seconds()) == 1800
    assert round((row.expires_at - row.renew_at).total_seconds()) == 300
    goes_round(provider, ours, alice)
    sent = [request for request in provider.received if request.path == "/api/texts"]
    assert [request.headers["x-session"] for request in sent] == [row.secrets["access_token"]]
    assert [request.path for request in provider.received] == ["/api/session", "/api/texts"]
    shown = str(Message.objects.filter(direction="out").get().delivery_attempts.values())
    assert row.secrets["access_token"] not in shown


@LOGIN
def test_an_old_token_is_renewed_once_and_the_message_sent(
    provider: Sandbox, ours: Number, alice: User
) -> None:
    integration = connected(ours)
    provider.provider.logins.expire()
    message = submit(alice, ours, provider.phone, text="Once")
    dispatch.drain()
    message.refresh_from_db()
    assert message.status == Status.SENDING
    assert on_the_phone(provider) == []
    oauth.renew_due()
    dispatch.drain()
    message.refresh_from_db()
    assert message.status == Status.SENT
    assert [item["text"] for item in on_the_phone(provider)] == ["Once"]
    paths = [request.path for request in provider.received]
    assert paths == ["/api/session", "/api/texts", "/api/session", "/api/texts"]
    integration.refresh_from_db()
    assert integration.trouble == ""


@LOGIN
def test_a_refused_login_is_told_and_not_repeated(
    provider: Sandbox, ours: Number, alice: User, admin_of_acme: User, client: Client
) -> None:
    integration = connected(ours)
    assert check(integration) == credentials.CheckResult(True, "The provider accepts these credentials.")
    wrong = check(integration, Password="a-wrong-password")
    assert not wrong.good and "a-wrong-password" not in wrong.text
    holds.enter(integration, {**provider.values, "Password": "a-wrong-password"})
    integration = connected(ours)
    integration.refresh_from_db()
    assert integration.trouble.startswith("The provider issued no access token.")
    assert "a-wrong-password" not in integration.trouble
    assert AccessToken.objects.get().renew_at is None
    message = submit(alice, ours, provider.phone, text="Waits")
    dispatch.drain()
    message.refresh_from_db()
    assert (message.status, on_the_phone(provider)) == (Status.SENDING, [])
    client.force_login(admin_of_acme)
    place = f"organization/{integration.organization_id}/{integration.template_id}/"
    page = client.get(f"/admin/integrations/integration/{place}").content.decode()
    assert "The provider gives no access" in page and "Correct the credentials above" in page


@LOGIN
def test_a_login_waits_until_it_is_confirmed_where_its_secrets_go(provider: Sandbox, ours: Number) -> None:
    integration = Integration.objects.ready().get(pk=ours.integration_id)
    properties.store(integration, {**provider.values, "Password": "another-password"})
    holds.review([integration.pk])
    connected(ours)
    assert provider.received == []
    assert "Password" in Integration.objects.get(pk=integration.pk).held_reason
    [ask] = [ask for ask in holds.asks_of(integration) if ask.label == "Password"]
    assert ask.origin == provider.origin


@LOGIN
def test_a_login_that_a_revision_adds_is_made_at_once(provider: Sandbox, ours: Number) -> None:
    integration = Integration.objects.ready().get(pk=ours.integration_id)
    AccessToken.objects.all().delete()
    integration.template.revise(provider.document.replace("half an hour", "30 minutes"))
    oauth.renew_due()
    assert [request.path for request in provider.received] == ["/api/session"]
    assert AccessToken.objects.get(integration=integration).is_good


@LOGIN
def test_the_demo_logs_in(provider: Sandbox, live_server: Any, settings: Any, db: None) -> None:
    settings.PUBLIC_URL = live_server.url
    settings.PATCHBAY_ALLOWED_ORIGINS = [provider.origin, live_server.url]
    demo.create(provider, "demo-password")
    oauth.renew_due()
    assert AccessToken.objects.get().is_good


@SIGNED
def test_a_service_that_signs_and_verifies_with_rsa(provider: Sandbox, ours: Number, alice: User) -> None:
    integration = connected(ours)
    assert check(integration).good
    goes_round(provider, ours, alice)
    headers = [request.headers["authorization"] for request in provider.received]
    assert len(set(headers)) == len(headers) == 2  # each request is signed anew
    token = headers[-1].removeprefix("Bearer ")
    shown = str(Message.objects.filter(direction="out").get().delivery_attempts.values())
    assert token not in shown and token.rpartition(".")[2] not in shown
    stranger = check(integration, Private_key=SigningKeys().private("RS256"))
    assert not stranger.good
    unreadable = check(integration, Private_key="no key")
    assert unreadable.text.startswith("/auth/key: The key cannot be read: RS256 needs an RSA key as PEM")
