"""Access tokens and their renewal, with a service that really checks them."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from integrations import oauth
from integrations.models import AccessToken, Integration
from messaging.engine.sweep import due_tasks
from messaging.wakeups import Task
from portal.models import Account, Organization
from tests.oauth_server import VALUES, OAuthServer, access_token, expire, make, save


@pytest.mark.parametrize(
    ("flow", "kind"), [("client_credentials", "client_credentials"), ("password", "password")]
)
def test_flows_without_consent_get_their_token_by_themselves(
    oauth_server: OAuthServer, acme: Organization, flow: str, kind: str
) -> None:
    integration = make(oauth_server, acme, flow)
    assert Task.RENEW_TOKENS in due_tasks()[0]
    oauth.renew_due()
    assert Task.RENEW_TOKENS not in due_tasks()[0]
    assert [fields["grant_type"] for fields in oauth_server.tokens] == [kind]
    assert access_token(integration) in oauth_server.good
    row = AccessToken.objects.get(integration=integration)
    assert row.expires_at is not None and row.renew_at is not None
    assert row.expires_at - row.renew_at == timedelta(minutes=5)


def test_the_client_proves_itself_by_basic_where_the_template_says_so(
    oauth_server: OAuthServer, acme: Organization
) -> None:
    integration = make(oauth_server, acme, "client_credentials", token_auth="basic")
    oauth.renew_due()
    assert access_token(integration) in oauth_server.good
    assert oauth_server.tokens == [{"grant_type": "client_credentials"}]


def test_what_is_due_is_renewed_before_it_expires(oauth_server: OAuthServer, acme: Organization) -> None:
    integration = make(oauth_server, acme, "password")
    oauth.renew_due()
    first = access_token(integration)
    AccessToken.objects.update(renew_at=timezone.now())
    oauth.renew_due()
    assert [fields["grant_type"] for fields in oauth_server.tokens] == ["password", "refresh_token"]
    assert access_token(integration) not in (None, first)
    oauth_server.end_sessions()
    expire(integration)
    oauth.renew_due()  # the refresh token has ended
    oauth.renew_due()  # the password has not
    assert [fields["grant_type"] for fields in oauth_server.tokens][2:] == ["refresh_token", "password"]
    assert access_token(integration) in oauth_server.good


def test_a_service_out_of_order_is_asked_again_and_told_only_once_it_matters(
    oauth_server: OAuthServer, acme: Organization
) -> None:
    integration = make(oauth_server, acme, "client_credentials")
    oauth.renew_due()
    AccessToken.objects.update(renew_at=timezone.now())
    oauth_server.failure = (503, {"error": "down"})
    oauth.renew_due()
    integration.refresh_from_db()
    assert (integration.trouble, access_token(integration) in oauth_server.good) == ("", True)
    expire(integration)
    oauth.renew_due()
    integration.refresh_from_db()
    assert integration.trouble == "The provider returned no access token (status 503). down"
    assert Task.RENEW_TOKENS not in due_tasks()[0]
    oauth_server.failure = None
    expire(integration)
    oauth.renew_due()
    integration.refresh_from_db()
    assert (integration.trouble, access_token(integration) in oauth_server.good) == ("", True)


def test_wrong_credentials_are_told_without_them_and_not_tried_again(
    oauth_server: OAuthServer, acme: Organization
) -> None:
    integration = make(oauth_server, acme, "client_credentials")
    save(integration, VALUES | {"Client Secret": "wrong-secret-9"})
    oauth.renew_due()
    integration.refresh_from_db()
    assert (
        integration.trouble == "The provider returned no access token (status 401). invalid_client: not •••"
    )
    assert Task.RENEW_TOKENS not in due_tasks()[0]
    oauth.renew_due()
    assert len(oauth_server.tokens) == 1


def test_an_answer_without_a_token_shows_none(oauth_server: OAuthServer, acme: Organization) -> None:
    integration = make(oauth_server, acme, "client_credentials")
    oauth_server.failure = (200, {"accessToken": "hidden-under-another-name"})
    oauth.renew_due()
    integration.refresh_from_db()
    assert integration.trouble == "The provider returned no access token (status 200)."


@pytest.mark.django_db(transaction=True)
def test_two_workers_renew_once(oauth_server: OAuthServer, acme: Organization) -> None:
    integration = make(oauth_server, acme, "password")
    oauth.renew_due()
    AccessToken.objects.update(renew_at=timezone.now())
    oauth_server.delay = 0.3
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        try:
            oauth.renew_due()
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [fields["grant_type"] for fields in oauth_server.tokens] == ["password", "refresh_token"]
    assert access_token(integration) in oauth_server.good


def test_a_lease_that_is_over_is_taken(oauth_server: OAuthServer, acme: Organization) -> None:
    integration = make(oauth_server, acme, "client_credentials")
    now = timezone.now()
    AccessToken.objects.update(lease_until=now + timedelta(seconds=60))
    oauth.renew_due()
    assert (oauth_server.tokens, access_token(integration)) == ([], None)
    AccessToken.objects.update(lease_until=now - timedelta(seconds=1))
    oauth.renew_due()
    assert access_token(integration) in oauth_server.good


@pytest.mark.django_db(transaction=True)
def test_an_answer_to_old_credentials_changes_nothing(oauth_server: OAuthServer, acme: Organization) -> None:
    integration = make(oauth_server, acme, "client_credentials")
    oauth_server.delay = 0.5

    def work() -> None:
        try:
            oauth.renew_due()
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    while not oauth_server.tokens:
        time.sleep(0.01)
    save(integration, VALUES | {"Client Secret": "another-secret"})
    worker.join()
    assert access_token(integration) is None
    assert Task.RENEW_TOKENS in due_tasks()[0]


def test_tokens_are_encrypted_in_the_database(oauth_server: OAuthServer, acme: Organization) -> None:
    integration = make(oauth_server, acme, "password")
    oauth.renew_due()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT secrets FROM integrations_accesstoken WHERE integration_id = %s", [integration.pk]
        )
        stored = bytes(cursor.fetchone()[0])
    assert b"access-" not in stored and b"refresh-" not in stored


def test_one_that_cannot_be_read_does_not_hold_up_the_others(
    oauth_server: OAuthServer, acme: Organization, globex: Organization, account: Account
) -> None:
    integration = make(oauth_server, acme, "client_credentials")
    other = Integration.objects.create(organization=globex, template=integration.template)
    save(other, VALUES)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE integrations_accesstoken SET secrets = %s WHERE integration_id = %s",
            [b"?", integration.pk],
        )
    oauth.renew_due()
    other = Integration.objects.ready().get(pk=other.pk)
    assert access_token(other) in oauth_server.good
    integration.refresh_from_db()
    assert "could not be renewed" in integration.trouble
