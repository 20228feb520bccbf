"""Whose webhook it is, and how long a change may go unseen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations import holds
from integrations.models import Integration, Template
from messaging.models import Number, WebhookRequest
from messaging.rules import move_number
from messaging.webhooks import owners, routing
from portal import process
from portal.models import Organization


def post(client: Client, number: Number, to: str = "+61855555501", **params: Any) -> str:
    """The verdict on a text for a number."""
    params = {"from": "+61412345678", "to": to, "content": str(timezone.now()), **params}
    body = json.dumps({"method": "message", "params": params})
    client.post(f"/services/generic/a{number.account.accountid}", body, content_type="application/json")
    return WebhookRequest.objects.latest("pk").verdict


def test_a_number_that_is_switched_off_and_added_elsewhere(
    client: Client, private: Number, globex: Organization
) -> None:
    assert post(client, private) == "accepted"
    private.active = False
    private.save()
    assert post(client, private) == "unknown_number"
    other = Integration.objects.create(organization=globex, template=private.integration.template)
    holds.enter(other, {"API URL": "https://x.example", "API key": "k"})
    Number.objects.create(organization=globex, integration=other, number=private.number)
    assert post(client, private) == "accepted"
    assert WebhookRequest.objects.latest("pk").organization == globex


def test_a_number_that_moves(client: Client, private: Number, globex: Organization) -> None:
    assert post(client, private) == "accepted"
    other = Integration.objects.create(organization=globex, template=private.integration.template)
    move_number.move(private, globex, other)
    assert post(client, private) == "accepted"
    assert WebhookRequest.objects.latest("pk").organization == globex


def test_an_integration_that_is_switched_off_and_on(client: Client, private: Number) -> None:
    assert post(client, private) == "accepted"
    private.integration.enabled = False
    private.integration.save()
    assert post(client, private) == "disabled"
    private.integration.enabled = True
    private.integration.save()
    assert post(client, private) == "accepted"


def test_a_new_revision(client: Client, private: Number, generic: Template) -> None:
    assert post(client, private) == "accepted"
    document = json.loads(generic.published.source)
    document["Webhook"] = {"event_type": "ignore", "request_parameters": {"method": "message"}}
    generic.revise(json.dumps(document))
    assert post(client, private) == "ignored"


def test_a_change_may_go_unseen_for_the_time_of_the_cache(
    client: Client, private: Number, settings: Any
) -> None:
    settings.WEBHOOK_CACHE_SECONDS = 60
    process.close()
    assert post(client, private) == "accepted"
    Number.objects.update(active=False)
    assert post(client, private) == "accepted"
    process.close()  # as after 60 seconds
    assert post(client, private) == "unknown_number"


def test_what_was_found_is_not_asked_for_again(client: Client, private: Number, settings: Any) -> None:
    counts = []
    settings.WEBHOOK_CACHE_SECONDS = 60
    process.close()
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert post(client, private) == "accepted"
        counts.append(len(queries))
    assert counts[1] < counts[0]


@pytest.mark.parametrize("seconds", [0, 60])
def test_what_was_not_found_is_asked_for_again(private: Number, settings: Any, seconds: int) -> None:
    settings.WEBHOOK_CACHE_SECONDS = seconds
    process.close()
    owner = owners.owner_of("generic", private.account.accountid)
    assert owner is not None
    assert routing.numbers_named(owner, {"+61899999999"}) == {}
    Number.objects.filter(pk=private.pk).update(number="+61899999999", spelling="+61899999999")
    assert routing.numbers_named(owner, {"+61899999999"}) == {"+61899999999": [private]}
    assert owners.owner_of("generic", "1" * 20) is None
