"""Messages through a service that gives access by OAuth 2.0: they wait for a token, and nothing goes twice."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections
from django.db.models import F
from django.utils import timezone

from integrations import oauth
from integrations.models import AccessToken, Integration
from messaging import worker
from messaging.models import DeliveryAttempt, Message, Number
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from portal.models import Organization, User
from tests.oauth_server import OAuthServer, access_token, expire, make
from tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests do what a worker would be woken for."""
    monkeypatch.setattr("messaging.wakeups.wake", lambda task: True)


def through(server: OAuthServer, acme: Organization, alice: User, flow: str) -> tuple[Integration, Number]:
    integration = make(server, acme, flow)
    number = Number.objects.create(
        organization=acme, integration=integration, number="+61855555508", country="AU"
    )
    number.assignments.create(user=alice)
    return integration, number


def write(author: User, number: Number, index: int = 0) -> Message:
    return submit(author, number, f"+61412{index:06d}", text=f"text {index}")


def sent_texts(server: OAuthServer) -> list[str]:
    """Of the requests that the service took."""
    return [body["text"] for path, bearer, body in server.calls if path == "/sms" and bearer in server.good]


def status(message: Message) -> str:
    message.refresh_from_db()
    return str(message.get_status_display())


def test_a_message_waits_for_the_token_and_is_sent_when_it_comes(
    oauth_server: OAuthServer, acme: Organization, alice: User
) -> None:
    _integration, number = through(oauth_server, acme, alice, "client_credentials")
    message = write(alice, number)
    dispatch.drain()
    assert (oauth_server.calls, status(message)) == ([], "sending")
    assert "Check that it is connected." in message.status_text
    oauth.renew_due()
    dispatch.drain()
    assert status(message) == "sent"
    assert sent_texts(oauth_server) == ["text 0"]


def test_a_401_renews_once_and_the_message_is_sent(
    oauth_server: OAuthServer, acme: Organization, alice: User
) -> None:
    integration, number = through(oauth_server, acme, alice, "password")
    oauth.renew_due()
    oauth_server.expire()
    message = write(alice, number)
    dispatch.drain()
    integration.refresh_from_db()
    assert (status(message), integration.trouble, access_token(integration)) == ("sending", "", None)
    oauth.renew_due()
    dispatch.drain()
    assert status(message) == "sent"
    assert [fields["grant_type"] for fields in oauth_server.tokens] == ["password", "refresh_token"]
    results = DeliveryAttempt.objects.order_by("pk").values_list("result", flat=True)
    assert list(results) == ["unauthorized", "sent"]


def test_a_service_that_refuses_the_new_token_too_is_shown_red_and_not_asked_for_another(
    oauth_server: OAuthServer, acme: Organization, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration, number = through(oauth_server, acme, alice, "client_credentials")
    oauth.renew_due()
    monkeypatch.setattr(oauth_server, "call", lambda *_: (401, {"why": "no"}))
    message = write(alice, number)
    for _ in range(3):
        dispatch.drain()
        oauth.renew_due()
        Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    integration.refresh_from_db()
    assert (status(message), len(oauth_server.tokens)) == ("sending", 2)
    assert integration.trouble == 'The provider responded with status 401: {"why": "no"}'


def test_a_refusal_that_comes_after_the_new_token_does_not_wait(
    oauth_server: OAuthServer, acme: Organization, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration, number = through(oauth_server, acme, alice, "client_credentials")
    oauth.renew_due()
    message, asked = write(alice, number), oauth_server.call

    def late(*args: Any) -> tuple[int, Any]:
        """The token is renewed while the request is under way."""
        if len(oauth_server.calls) == 0:
            AccessToken.objects.update(secrets={"access_token": "newer-token-1"}, fence=F("fence") + 1)
            connections.close_all()  # those of the service's thread
            oauth_server.expire()
            oauth_server.good.add("newer-token-1")
        return asked(*args)

    monkeypatch.setattr(oauth_server, "call", late)
    dispatch.drain()
    assert status(message) == "sent"
    assert [bearer for _path, bearer, _body in oauth_server.calls][1:] == ["newer-token-1"]
    assert access_token(integration) == "newer-token-1"


def test_a_token_that_expires_in_mid_batch_loses_nothing_and_doubles_nothing(
    oauth_server: OAuthServer, acme: Organization, alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SEND_SLOTS = 4
    integration, number = through(oauth_server, acme, alice, "password")
    oauth.renew_due()
    messages = [write(alice, number, index) for index in range(30)]
    asked = oauth_server.call

    def expiring(*args: Any) -> tuple[int, Any]:
        if len(oauth_server.calls) == 10:
            oauth_server.expire()
        return asked(*args)

    taken: list[str] = []

    def counting(path: str, bearer: str, body: Any) -> tuple[int, Any]:
        answer = expiring(path, bearer, body)
        if answer[0] == 200:
            taken.append(body["text"])
        return answer

    monkeypatch.setattr(oauth_server, "call", counting)
    dispatch.drain()
    assert 9 <= len(taken) < 30
    integration.refresh_from_db()
    assert integration.trouble == ""
    # Nothing more is sent with a token that was refused: at most what was under way.
    assert len(oauth_server.calls) <= len(taken) + 4
    oauth.renew_due()
    dispatch.drain()
    assert Counter(taken) == Counter(f"text {index}" for index in range(30))
    assert {status(message) for message in messages} == {"sent"}
    assert [fields["grant_type"] for fields in oauth_server.tokens] == ["password", "refresh_token"]


def test_messages_wait_while_the_consent_has_ended(
    oauth_server: OAuthServer, acme: Organization, alice: User
) -> None:
    integration, number = through(oauth_server, acme, alice, "authorization_code")
    AccessToken.objects.update(
        secrets={"access_token": "old", "refresh_token": "gone"}, granted_at=timezone.now()
    )
    expire(integration)
    oauth.renew_due()
    message = write(alice, number)
    dispatch.drain()
    integration.refresh_from_db()
    assert (status(message), oauth_server.calls) == ("sending", [])
    assert (
        integration.trouble
        == "The provider returned no access token (status 400). invalid_grant: It has ended."
    )


def test_traces_hold_no_tokens(oauth_server: OAuthServer, acme: Organization, alice: User) -> None:
    integration, number = through(oauth_server, acme, alice, "password")
    oauth.renew_due()
    first = access_token(integration)
    oauth_server.expire()
    write(alice, number)
    dispatch.drain()
    oauth.renew_due()
    dispatch.drain()
    attempts = list(DeliveryAttempt.objects.order_by("pk").values())
    assert [attempt["headers"]["Authorization"] for attempt in attempts] == ["Bearer •••"] * 2
    assert attempts[0]["answer_body"] == '{"errors": [{"message": "token ••• expired"}]}'
    kept = json.dumps(attempts, default=str) + json.dumps(list(Message.objects.values()), default=str)
    for secret in (first, access_token(integration), "owner-password-7", "client-secret-7"):
        assert secret and secret not in kept


@pytest.mark.django_db(transaction=True)
def test_the_sweep_renews_what_is_due(
    oauth_server: OAuthServer, acme: Organization, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    integration, number = through(oauth_server, acme, alice, "client_credentials")
    message = write(alice, number)
    monkeypatch.setattr("messaging.wakeups.wake", lambda task: False)  # the broker is away
    cache.clear()
    worker.sweep()
    wait_for(lambda: access_token(integration) in oauth_server.good)

    def sent() -> bool:
        worker.sweep()
        return status(message) == "sent"

    wait_for(sent)


def test_a_routine_renewal_does_not_hurry_what_waits_for_something_else(
    oauth_server: OAuthServer, acme: Organization, alice: User
) -> None:
    _integration, number = through(oauth_server, acme, alice, "password")
    oauth.renew_due()
    message = write(alice, number)
    later = timezone.now() + timedelta(hours=1)
    Message.objects.update(next_attempt_at=later, attempts=1)
    AccessToken.objects.update(renew_at=timezone.now())
    oauth.renew_due()
    assert len(oauth_server.tokens) == 2
    message.refresh_from_db()
    assert message.next_attempt_at == later
