"""Providers that must be asked to call the webhook: subscribed, renewed, and ended in time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import ProtectedError
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations import holds, oauth, setup, subscriptions
from integrations.models import AccessToken, Integration, Subscription, Template
from integrations.prepared import PreparedIntegration
from messaging.engine.sweep import due_tasks
from messaging.models import WebhookRequest
from messaging.wakeups import Task
from portal.models import Account, Organization, User
from tests.local_server import LocalServer

pytestmark = pytest.mark.django_db(transaction=True)

Answer = Callable[[str, str, dict[str, Any]], tuple[int, dict[str, Any]]]


class Provider(LocalServer):
    """A provider with subscriptions, each for an hour."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.answer: Answer = self.well
        self.count = 0
        super().__init__()

    def respond(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        given = json.loads(body) if body else {}
        self.calls.append((method, path))
        self.bodies.append(given)
        self.keys.append(headers.get("Authorization", ""))
        status, said = self.answer(method, path, given)
        return status, {}, json.dumps(said).encode()

    def well(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if method == "DELETE":
            return 200, {"ok": True}
        self.count += 1
        return 201, {"id": f"sub-{self.count}", "ttl": 3600}


def document(origin: str) -> dict[str, Any]:
    return {
        "id": "subscribed",
        "name": "Subscribed SMS",
        "properties": ["API key"],
        "auth": {"type": "Bearer", "token": "$API key$"},
        "API": {
            "Subscribe": {
                "request_url": f"{origin}/subscriptions",
                "request_parameters": {"url": "$webhook_url$", "renews": "$subscription_id$"},
                "response_map": {"id": "$subscription_id?$", "ttl": "$subscription_expires_in?$"},
            },
            "Unsubscribe": {
                "request_method": "DELETE",
                "request_url": f"{origin}/subscriptions/$subscription_id$",
            },
        },
        "Webhook": [
            {
                "event_type": "ignore",
                "request_parameters": {"challenge": "$challenge$"},
                "response": {"body": "$challenge$"},
            }
        ],
    }


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    settings.WEBHOOK_CACHE_SECONDS = 0
    made = Provider()
    settings.PATCHBAY_ALLOWED_ORIGINS = [made.origin]
    yield made
    made.stop()


@pytest.fixture
def subscribed(provider: Provider, account: Account, acme: Organization) -> Integration:
    template = Template(account=account)
    template.revise(json.dumps(document(provider.origin)))
    integration = Integration.objects.create(organization=acme, template=template)
    holds.enter(integration, {"API key": "secret-key-1"})
    return Integration.objects.ready().get(pk=integration.pk)


def row() -> Subscription:
    return Subscription.objects.get()


def later() -> None:
    """The time of the next call has come."""
    Subscription.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    subscriptions.renew_due()


def test_it_subscribes_once_and_renews_before_the_end(provider: Provider, subscribed: Integration) -> None:
    assert Task.RENEW_SUBSCRIPTIONS in due_tasks()[0]
    subscriptions.renew_due()
    assert Task.RENEW_SUBSCRIPTIONS not in due_tasks()[0]
    assert provider.bodies == [{"url": subscribed.webhook_url}]
    assert provider.keys == ["Bearer secret-key-1"]
    assert (row().subscription_id, row().failures, row().problem) == ("sub-1", 0, "")
    assert 2870 < (row().due_at - timezone.now()).total_seconds() < 2881  # type: ignore[operator]
    later()  # nothing has changed
    assert len(provider.calls) == 1
    began = timezone.now() - timedelta(minutes=59)
    Subscription.objects.update(subscribed_at=began, expires_at=began + timedelta(hours=1))
    later()
    assert provider.bodies[1] == {"url": subscribed.webhook_url, "renews": "sub-1"}
    # The provider made a new one, so the old one is ended.
    assert provider.calls[2:] == [("DELETE", "/subscriptions/sub-1")]
    assert (row().subscription_id, row().replaced) == ("sub-2", "")


def test_switching_off_ends_it_and_switching_on_begins_another(
    provider: Provider, subscribed: Integration
) -> None:
    subscriptions.renew_due()
    setup.switch(subscribed, on=False)
    subscriptions.renew_due()
    assert provider.calls[1:] == [("DELETE", "/subscriptions/sub-1")]
    assert (row().subscribed_at, row().due_at, row().subscription_id) == (None, None, "")
    setup.switch(subscribed, on=True)
    subscriptions.renew_due()
    assert provider.calls[2:] == [("POST", "/subscriptions")]
    assert row().subscription_id == "sub-2"


def test_other_values_and_another_url_make_another_subscription(
    provider: Provider, subscribed: Integration, settings: Any
) -> None:
    subscriptions.renew_due()
    holds.enter(subscribed, {"API key": "secret-key-2"})
    subscriptions.renew_due()
    assert provider.keys == ["Bearer secret-key-1", "Bearer secret-key-2", "Bearer secret-key-2"]
    assert [method for method, _ in provider.calls] == ["POST", "POST", "DELETE"]
    settings.PUBLIC_URL = "https://new.example"
    later()
    assert (
        provider.bodies[3]["url"]
        == f"https://new.example/services/subscribed/a{subscribed.organization.orgid}"
    )


def test_the_page_says_that_nothing_has_to_be_entered_at_the_provider(
    provider: Provider, subscribed: Integration, admin_of_acme: User
) -> None:
    client = Client()
    client.force_login(admin_of_acme)
    url = (
        f"/admin/integrations/integration/organization/{subscribed.organization_id}/{subscribed.template_id}/"
    )
    before = client.get(url).content.decode()
    assert "subscribes to the webhooks of this provider by itself. It has not done so yet." in before
    subscriptions.renew_due()
    page = client.get(url).content.decode()
    assert "Patchbay is subscribed to the webhooks of this provider until " in page
    assert "You need not enter it anywhere." in page and "its subscription is ended" in page
    assert subscribed.webhook_url in page and subscribed.account_webhook_url not in page


def test_the_validation_call_is_answered_while_the_request_is_in_flight(
    provider: Provider, subscribed: Integration, live_server: Any, settings: Any
) -> None:
    settings.PUBLIC_URL = live_server.url
    said: list[bytes] = []

    def validating(method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        answer = Client().get(body["url"].removeprefix(live_server.url), {"challenge": "c-123"})
        said.append(answer.content)
        return provider.well(method, path, body) if answer.content == b"c-123" else (400, {})

    provider.answer = validating
    subscriptions.renew_due()
    assert said == [b"c-123"]
    assert row().subscription_id == "sub-1"
    assert [item.verdict for item in WebhookRequest.objects.all()] == ["ignored"]


def test_failures_are_retried_ever_later_and_shown_until_they_end(
    provider: Provider, subscribed: Integration
) -> None:
    provider.answer = lambda *_: (400, {"error": "no such plan"})
    subscriptions.renew_due()
    first = (row().due_at - timezone.now()).total_seconds()  # type: ignore[operator]
    later()
    second = (row().due_at - timezone.now()).total_seconds()  # type: ignore[operator]
    assert 47 < first < 73 and 95 < second < 145
    subscribed.refresh_from_db()
    assert "no such plan" in subscribed.problem
    provider.answer = provider.well
    later()
    subscribed.refresh_from_db()
    assert (subscribed.problem, row().failures, row().subscription_id) == ("", 0, "sub-1")


def test_what_is_subscribed_cannot_be_deleted_before_it_is_ended(
    provider: Provider, subscribed: Integration
) -> None:
    subscriptions.renew_due()
    with pytest.raises(ProtectedError, match="Subscription of Subscribed SMS, Acme"):
        Integration.objects.filter(pk=subscribed.pk).delete()
    assert Integration.objects.exists() and row().subscribed_at is not None
    setup.switch(subscribed, on=False)
    subscriptions.renew_due()
    Integration.objects.filter(pk=subscribed.pk).delete()
    assert not Subscription.objects.exists()
    assert provider.calls == [("POST", "/subscriptions"), ("DELETE", "/subscriptions/sub-1")]


def test_what_is_being_subscribed_cannot_be_deleted(provider: Provider, subscribed: Integration) -> None:
    Subscription.objects.due().claim(1)
    with pytest.raises(ProtectedError):
        subscribed.delete()
    assert Integration.objects.exists()


def test_a_former_subscription_is_ended_too_when_it_is_switched_off(
    provider: Provider, subscribed: Integration
) -> None:
    subscriptions.renew_due()
    Subscription.objects.update(replaced="sub-0")
    setup.switch(subscribed, on=False)
    subscriptions.renew_due()
    assert provider.calls[1:] == [("DELETE", "/subscriptions/sub-0"), ("DELETE", "/subscriptions/sub-1")]
    assert row().subscribed_at is None


def test_an_end_that_the_provider_refuses_is_left_to_the_administrator(
    provider: Provider, subscribed: Integration
) -> None:
    subscriptions.renew_due()
    provider.answer = lambda *_: (500, {"error": "broken"})
    setup.switch(subscribed, on=False)
    subscriptions.renew_due()
    ((said, problem),) = setup.arrival_of(Integration.objects.get())
    assert said == "Switched off, but still subscribed at the provider. Patchbay is unsubscribing."
    assert "status 500" in problem
    for _ in range(subscriptions.MOST_ENDINGS):
        later()
    assert provider.calls[1:] == [("DELETE", "/subscriptions/sub-1")] * subscriptions.MOST_ENDINGS
    ((said, problem),) = setup.arrival_of(Integration.objects.get())
    assert said == (
        "Switched off, but the provider has not ended the subscription sub-1, and is asked no more. "
        "Delete it at the provider."
    )
    assert "status 500" in problem
    Integration.objects.all().delete()


def test_what_may_have_been_ended_is_subscribed_again(provider: Provider, subscribed: Integration) -> None:
    subscriptions.renew_due()
    provider.answer = lambda *_: (500, {})
    setup.switch(subscribed, on=False)
    subscriptions.renew_due()
    provider.answer = provider.well
    setup.switch(subscribed, on=True)
    subscriptions.renew_due()
    assert provider.calls[2] == ("POST", "/subscriptions") and provider.bodies[2]["renews"] == "sub-1"


def test_access_is_renewed_until_it_is_ended(provider: Provider, subscribed: Integration) -> None:
    AccessToken.objects.create(integration=subscribed, renew_at=timezone.now())
    subscriptions.renew_due()
    setup.switch(subscribed, on=False)
    assert Task.RENEW_TOKENS in due_tasks()[0]
    subscriptions.renew_due()
    assert Task.RENEW_TOKENS not in due_tasks()[0]
    oauth.renew_due()
    assert AccessToken.objects.get().renew_at is not None
    Subscription.objects.update(subscribed_at=timezone.now())
    oauth.renew_due()
    assert AccessToken.objects.get().renew_at is None  # tried; this template has no grant


def test_what_the_provider_has_ended_itself_needs_no_end(provider: Provider, subscribed: Integration) -> None:
    subscriptions.renew_due()
    provider.answer = lambda *_: (404, {})
    setup.switch(subscribed, on=False)
    subscriptions.renew_due()
    subscribed.refresh_from_db()
    assert (row().subscribed_at, row().due_at, subscribed.problem) == (None, None, "")


def test_a_secret_is_not_sent_where_nobody_has_confirmed(
    provider: Provider, subscribed: Integration, settings: Any
) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = [provider.origin, "http://127.0.0.1:9"]
    subscribed.template.revise(json.dumps(document("http://127.0.0.1:9")))
    subscriptions.renew_due()
    subscribed.refresh_from_db()
    assert provider.calls == [] and "http://127.0.0.1:9" in subscribed.held_reason
    assert row().subscribed_at is None


def test_two_processes_subscribe_once(provider: Provider, subscribed: Integration) -> None:
    first = Subscription.objects.due().claim(5)
    assert Subscription.objects.due().claim(5) == [] and len(first) == 1
    subscriptions.renew_due()
    assert provider.calls == []
    Subscription.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    subscriptions.renew_due()
    assert len(provider.calls) == 1


def test_many_are_claimed_by_as_many_statements_as_one(subscribed: Integration, globex: Organization) -> None:
    Integration.objects.create(organization=globex, template=subscribed.template)
    with CaptureQueriesContext(connection) as for_one:
        assert len(Subscription.objects.due().claim(1)) == 1
    Subscription.objects.update(lease_until=None)
    with CaptureQueriesContext(connection) as for_two:
        assert len(Subscription.objects.due().claim(5)) == 2
    assert len(for_one) == len(for_two)
    assert set(Subscription.objects.values_list("fence", flat=True)) == {1, 2}


def test_what_changes_meanwhile_is_not_forgotten(provider: Provider, subscribed: Integration) -> None:
    def switched(method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        setup.switch(Integration.objects.get(), on=False)
        provider.answer = provider.well
        return provider.well(method, path, body)

    provider.answer = switched
    subscriptions.renew_due()
    assert provider.calls == [("POST", "/subscriptions"), ("DELETE", "/subscriptions/sub-1")]
    assert row().subscribed_at is None


def test_an_answer_that_cannot_be_stored_holds_up_no_other(
    provider: Provider, subscribed: Integration, globex: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Integration.objects.create(organization=globex, template=subscribed.template)
    holds.enter(other, {"API key": "secret-key-2"})
    stamp_of = subscriptions.stamp_of

    def fails(service: PreparedIntegration) -> str:
        if service.integration == subscribed:
            raise ValueError("cannot be stamped")
        return stamp_of(service)

    monkeypatch.setattr(subscriptions, "stamp_of", fails)
    subscriptions.renew_due()
    mine, others = (Subscription.objects.get(integration=item) for item in (subscribed, other))
    assert (mine.subscribed_at, mine.failures, mine.lease_until) == (None, 1, None)
    assert mine.problem == "The provider's answer could not be stored. See the server's log."
    assert (others.subscription_id != "", others.failures, others.problem) == (True, 0, "")
    assert len(provider.calls) == 2
