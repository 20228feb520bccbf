"""What a process remembers of accounts, numbers and services, and that no change is overlooked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from portal.memory import Memory

from integrations import properties
from integrations.models import Integration, Template
from messaging.models import Number, WebhookRequest
from messaging.rules import move_number
from messaging.webhooks import routing
from portal import memory
from portal.models import Organization


def post(client: Client, number: Number, to: str = "+61855555501", **params: Any) -> str:
    """The verdict on a text for a number."""
    params = {"from": "+61412345678", "to": to, "content": str(timezone.now()), **params}
    body = json.dumps({"method": "message", "params": params})
    client.post(f"/services/generic/a{number.account.accountid}", body, content_type="application/json")
    return WebhookRequest.objects.latest("pk").verdict


def test_a_number_that_moves_is_seen_at_once(client: Client, private: Number, globex: Organization) -> None:
    assert post(client, private) == "accepted"
    private.active = False
    private.save()
    assert post(client, private) == "unknown_number"
    other = Integration.objects.create(organization=globex, template=private.integration.template)
    properties.store(other, {"API URL": "https://x.example", "API key": "k"})
    Number.objects.create(organization=globex, integration=other, number=private.number)
    assert post(client, private) == "accepted"
    assert WebhookRequest.objects.latest("pk").organization == globex


def test_moving_a_number_is_seen_at_once(client: Client, private: Number, globex: Organization) -> None:
    assert post(client, private) == "accepted"
    other = Integration.objects.create(organization=globex, template=private.integration.template)
    move_number.move(private, globex, other)
    assert post(client, private) == "accepted"
    assert WebhookRequest.objects.latest("pk").organization == globex


def test_a_service_that_is_switched_off_is_seen_at_once(client: Client, private: Number) -> None:
    assert post(client, private) == "accepted"
    private.integration.enabled = False
    private.integration.save()
    assert post(client, private) == "disabled"
    private.integration.enabled = True
    private.integration.save()
    assert post(client, private) == "accepted"


def test_a_new_revision_is_seen_at_once(client: Client, private: Number, generic: Template) -> None:
    assert post(client, private) == "accepted"
    document = json.loads(generic.published.source)
    document["Webhook"] = {"event_type": "ignore", "request_parameters": {"method": "message"}}
    generic.revise(json.dumps(document))
    assert post(client, private) == "ignored"


def test_what_another_process_changes_is_seen_after_two_seconds(
    client: Client, private: Number, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert post(client, private) == "accepted"
    Number.objects.update(active=False)  # sends no signal, like another process
    assert post(client, private) == "accepted"
    moment = memory.time.monotonic() + memory.SECONDS
    monkeypatch.setattr(memory.time, "monotonic", lambda: moment)
    assert post(client, private) == "unknown_number"


def test_what_was_not_there_is_asked_for_again(private: Number) -> None:
    owner = routing.owner_of("generic", private.account.accountid)
    assert owner is not None
    assert routing.numbers_named(owner, {"+61899999999"}) == {}
    Number.objects.filter(pk=private.pk).update(number="+61899999999", spelling="+61899999999")
    assert routing.numbers_named(owner, {"+61899999999"}) == {"+61899999999": [private]}
    assert routing.owner_of("generic", "1" * 20) is None


def test_what_was_read_before_a_change_is_not_remembered_after_it() -> None:
    known: Memory[str, int] = Memory()

    def slow() -> int:
        memory.forget()  # the change comes while the database answers
        return 1

    assert known.get("a", slow) == 1
    assert known.get("a", lambda: 2) == 2
    assert known.get("a", lambda: 3) == 2


def test_a_memory_has_its_limit() -> None:
    known: Memory[int, int] = Memory(most=10)
    for number in range(25):
        known.get(number, lambda: 1)
    assert len(known._known) <= 10
    asked: list[Any] = []

    def load(missing: Any) -> dict[int, int]:
        asked.append(list(missing))
        return dict.fromkeys(missing, 2)

    assert known.many([24, 99, 98], load) == {24: 1, 99: 2, 98: 2}
    assert asked == [[99, 98]]


def test_one_thread_asks_anew_while_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    known: Memory[str, int] = Memory()
    assert known.get("a", lambda: 1) == 1
    began = memory.time.monotonic()
    monkeypatch.setattr(memory.time, "monotonic", lambda: began + memory.RENEW_SECONDS)
    seen: list[int | None] = []

    def slow() -> int:
        seen.append(known.get("a", lambda: 3))  # another thread meanwhile
        return 2

    assert (known.get("a", slow), seen) == (2, [1])
    assert known.get("a", lambda: None) == 2
    later = began + 2 * memory.RENEW_SECONDS
    monkeypatch.setattr(memory.time, "monotonic", lambda: later)
    assert known.get("a", lambda: None) is None
    assert known.get("a", lambda: 4) == 4
