"""A provider that calls only subscribers, played by the sandbox over HTTP, with its validation call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import ProtectedError
from django.utils import timezone

from integrations import setup, subscriptions
from integrations.cases import run_folder
from integrations.models import Integration, Subscription
from integrations.sandbox import Sandbox
from integrations.sandbox.catalog_entry import services
from messaging.inbound import file_events
from messaging.models import Message, Number, WebhookRequest
from portal.models import Organization, User
from tests.flows.numbers import connected

pytestmark = pytest.mark.django_db(transaction=True)

FOLDER = services()["subscribed"]
CONTACT = "+61412345678"


@pytest.fixture
def provider(settings: Any, live_server: Any) -> Iterator[Sandbox]:
    sandbox = Sandbox(FOLDER, delay_delivered=0.05)
    sandbox.start()
    settings.PUBLIC_URL = live_server.url
    settings.PATCHBAY_ALLOWED_ORIGINS = [sandbox.origin, live_server.url]
    yield sandbox
    sandbox.stop()


@pytest.fixture
def ours(provider: Sandbox, acme: Organization, alice: User) -> Number:
    return connected(provider, acme, alice)


def asked(provider: Sandbox) -> list[tuple[str, str]]:
    return [
        (request.method, request.path.removeprefix("/api/subscriptions")) for request in provider.received
    ]


def test_its_cases() -> None:
    assert [result.difference for result in run_folder(FOLDER)] == [""] * 8


def test_it_calls_from_the_subscription_until_its_end(provider: Sandbox, ours: Number) -> None:
    assert provider.text(CONTACT, ours.number, "too early") == 0
    subscriptions.renew_due()
    row = Subscription.objects.get()
    assert list(provider.provider.subscriptions) == [row.subscription_id]
    assert [item.verdict for item in WebhookRequest.objects.all()] == ["ignored"]  # the validation call
    assert provider.text(CONTACT, ours.number, "in time") == 200
    file_events.drain()
    assert [message.text for message in Message.objects.all()] == ["in time"]

    began = timezone.now() - timedelta(minutes=59)
    Subscription.objects.update(subscribed_at=began, expires_at=began + timedelta(hours=1), due_at=began)
    subscriptions.renew_due()
    renewed = Subscription.objects.get()
    assert renewed.subscription_id == row.subscription_id
    assert renewed.expires_at is not None and renewed.expires_at > timezone.now() + timedelta(minutes=59)
    assert json.loads(provider.received[1].body)["renews"] == row.subscription_id

    integration = Integration.objects.ready().get()
    setup.switch(integration, on=False)
    subscriptions.renew_due()
    assert asked(provider) == [("POST", ""), ("POST", ""), ("DELETE", f"/{row.subscription_id}")]
    assert provider.provider.subscriptions == {}
    assert provider.text(CONTACT, ours.number, "too late") == 0


def test_it_can_be_deleted_when_the_provider_has_ended_the_subscription(
    provider: Sandbox, acme: Organization, alice: User
) -> None:
    connected(provider, acme, alice)
    subscriptions.renew_due()
    Number.objects.all().delete()
    WebhookRequest.objects.all().delete()
    with pytest.raises(ProtectedError):
        Integration.objects.get().delete()
    assert len(provider.provider.subscriptions) == 1
    setup.switch(Integration.objects.get(), on=False)
    subscriptions.renew_due()
    assert [method for method, _ in asked(provider)] == ["POST", "DELETE"]
    assert provider.provider.subscriptions == {}
    Integration.objects.get().delete()
    subscriptions.renew_due()
    assert [method for method, _ in asked(provider)] == ["POST", "DELETE"]


def test_a_webhook_that_does_not_answer_is_shown_and_tried_again(
    provider: Sandbox, ours: Number, settings: Any
) -> None:
    url, settings.PUBLIC_URL = settings.PUBLIC_URL, "http://127.0.0.1:9"
    subscriptions.renew_due()
    integration = Integration.objects.get()
    assert "does not answer the validation call" in integration.problem
    assert provider.provider.subscriptions == {} and Subscription.objects.get().failures == 1
    settings.PUBLIC_URL = url
    Subscription.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    subscriptions.renew_due()
    integration.refresh_from_db()
    assert integration.problem == "" and len(provider.provider.subscriptions) == 1
