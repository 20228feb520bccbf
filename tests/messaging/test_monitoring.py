"""/readyz and /metrics: who may read them, what they say, and that they cost the same however much waits."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.core.cache import caches
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from integrations.models import Integration, PropertyValues
from messaging.errors import Refused
from messaging.inbound import file_events
from messaging.models import Message, Number, WebhookEvent, WebhookRequest
from messaging.outbound import dispatch, submit
from messaging.statuses import QueueState
from portal.models import User

TOKEN = "a-token-for-prometheus"
LATER = timedelta(seconds=120)
OLD = "No worker takes the {} that have been due for more than 60 seconds. Is one running?"


def scrape(client: Client) -> dict[tuple[str, ...], float]:
    """The value of each sample, by its name and the values of its labels in the order of their names."""
    response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 200
    families = text_string_to_metric_families(response.content.decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def token(settings: Any) -> str:
    settings.METRICS_TOKEN = TOKEN
    return TOKEN


def waiting(author: User, number: Number, count: int = 1) -> list[Message]:
    """Messages that have been due for two minutes."""
    for index in range(count):
        submit.submit(author, number, f"+614123456{index:02}", text="Hello")
    Message.objects.update(next_attempt_at=timezone.now() - LATER)
    return list(Message.objects.all())


def test_metrics_are_not_there_without_the_setting(client: Client, db: None) -> None:
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer é"])
def test_metrics_need_the_token(client: Client, token: str, db: None, given: str) -> None:
    response = client.get("/metrics", headers={"Authorization": given})
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
    assert b"patchbay_" not in response.content
    assert client.post("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 405


@pytest.mark.django_db(transaction=True)
def test_what_is_sent_and_received_is_counted(
    client: Client, token: str, alice: User, private: Number
) -> None:
    url = f"/services/generic/a{private.organization.orgid}"
    before = scrape(client)
    params = {"from": "+61412345678", "to": private.number, "content": "Hi", "id": "1"}
    document = {"method": "message", "params": params}
    assert client.post(url, document, content_type="application/json").status_code == 200
    assert client.post(url, b"\xff", content_type="application/json").status_code >= 200
    assert client.post("/services/generic/a00000000000000000000", {}).status_code == 404
    file_events.drain()
    submit.submit(alice, private, "+61412345678", text="Hello")
    dispatch.drain()
    after = scrape(client)

    def grown(*sample: str) -> float:
        return after.get(sample, 0) - before.get(sample, 0)

    assert grown("patchbay_webhooks_total", "generic", "accepted") == 1
    assert grown("patchbay_webhooks_total", "generic", "unparsable") == 1
    assert grown("patchbay_webhooks_refused_total", "unknown service or account") == 1
    assert grown("patchbay_webhook_to_filed_seconds_count", "message") == 1
    assert grown("patchbay_submissions_total", "accepted") == 1
    assert grown("patchbay_sends_total", "sent", "generic") == 1
    assert grown("patchbay_provider_seconds_count", "generic") == 1
    assert grown("patchbay_submission_to_answer_seconds_count", "generic") == 1
    assert after["patchbay_integrations", "generic", "on"] == 1


@pytest.mark.django_db(transaction=True)
def test_submissions_are_counted_once_they_are_committed(
    client: Client, token: str, alice: User, private: Number, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted() -> tuple[float, float]:
        found = scrape(client)
        accepted, refused = (("patchbay_submissions_total", name) for name in ("accepted", "refused"))
        return found.get(accepted, 0), found.get(refused, 0)

    accepted, refused = counted()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        submit.submit(alice, private, "+61412345678", text="Hello")
        raise ZeroDivisionError
    assert (Message.objects.count(), counted()) == (0, (accepted, refused))
    with transaction.atomic():
        submit.submit(alice, private, "+61412345678", text="Hello")
        assert counted() == (accepted, refused)
    assert counted() == (accepted + 1, refused)
    submit.submit(alice, private, "+61412345678", text="Hello")
    assert counted() == (accepted + 2, refused)
    Integration.objects.update(enabled=False)
    with pytest.raises(Refused):
        submit.submit(alice, private, "+61412345678", text="Hello")
    assert counted() == (accepted + 2, refused + 1)

    def away(batch: Any) -> Any:
        raise OperationalError("the database is away")

    monkeypatch.setattr("messaging.engine.outbox.insert", away)
    Integration.objects.update(enabled=True)
    with pytest.raises(OperationalError):
        submit.submit(alice, private, "+61412345678", text="Hello")
    assert counted() == (accepted + 2, refused + 1)


@pytest.mark.django_db(transaction=True)
def test_no_label_names_a_person_an_organization_or_a_message(
    client: Client, token: str, alice: User, private: Number
) -> None:
    test_what_is_sent_and_received_is_counted(client, token, alice, private)
    text = client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).content.decode()
    labels = set(re.findall(r"[{,](\w+)=", text))
    assert labels <= {"service", "verdict", "reason", "result", "type", "task", "queue", "state", "le"}
    for secret in ("61412345678", private.number, "Acme", "Alice", private.organization.orgid, TOKEN):
        assert secret not in text


@pytest.mark.django_db
def test_the_queues_and_breakers_of_this_moment(
    client: Client, token: str, alice: User, private: Number, service: Integration
) -> None:
    waiting(alice, private, 3)
    found = scrape(client)
    assert found["patchbay_queue_depth", "messages"] == 3
    assert 119 < found["patchbay_queue_age_seconds", "messages"] < 180
    assert found["patchbay_queue_untaken", "messages"] == 1
    for state, change in (
        ("paused", {"paused_until": timezone.now() + LATER}),
        ("held", {"held_since": timezone.now(), "holds_messages": True}),
    ):
        Integration.objects.update(**change)
        found = scrape(client)
        assert found["patchbay_integrations", "generic", state] == 1
        assert ("patchbay_integrations", "generic", "on") not in found
        assert found["patchbay_queue_age_seconds", "messages"] == 0  # they are held back
        assert found["patchbay_queue_untaken", "messages"] == 0
    Integration.objects.update(enabled=False)
    assert scrape(client)["patchbay_integrations", "generic", "off"] == 1


@pytest.mark.django_db
def test_a_scrape_costs_the_same_for_one_message_and_for_many(
    client: Client, token: str, alice: User, private: Number
) -> None:
    counts = []
    for count in (1, 30):
        waiting(alice, private, count)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            scrape(client)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6


@pytest.mark.django_db
def test_without_the_database_metrics_say_so(client: Client, token: str) -> None:
    with mock.patch("messaging.engine.figures.read", side_effect=OperationalError):
        found = scrape(client)
    assert found["patchbay_database_up",] == 0
    assert ("patchbay_queue_depth", "messages") not in found


@pytest.mark.django_db
def test_ready_says_when_no_worker_takes_what_waits(
    client: Client, alice: User, private: Number, service: Integration
) -> None:
    submit.submit(alice, private, "+61412345678", text="Hello")
    assert client.get("/readyz").json()["workers"] == "ok"  # due for a moment only
    waiting(alice, private)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["workers"] == OLD.format("messages")
    dispatch.drain()
    assert client.get("/readyz").json()["workers"] == "ok"


def _pause(message: Message) -> None:
    Integration.objects.update(paused_until=timezone.now() + LATER)


def _hold(message: Message) -> None:
    Integration.objects.update(holds_messages=True)


def _limit_credentials(message: Message) -> None:
    PropertyValues.objects.update(free_at=timezone.now() + LATER)


def _limit_number(message: Message) -> None:
    Number.objects.update(free_at=timezone.now() + LATER)


def _send_another(message: Message) -> None:
    copy = Message.objects.get(pk=message.pk)
    copy.pk, copy.uuid = None, "0d5cf0cb-6f4b-5a53-9c1d-6c1d0a6f2f0e"
    copy.queue_state, copy.lease_until = QueueState.CLAIMED, timezone.now() + LATER
    copy.save()


@pytest.mark.django_db
@pytest.mark.parametrize("hold", [_pause, _hold, _limit_credentials, _limit_number, _send_another])
def test_ready_knows_what_holds_messages_back(
    client: Client, alice: User, private: Number, hold: Any
) -> None:
    (message,) = waiting(alice, private)
    hold(message)
    assert client.get("/readyz").json() == {
        "status": "ok",
        "database": "ok",
        "broker": "ok",
        "workers": "ok",
    }


@pytest.mark.django_db
def test_ready_says_when_nobody_files_webhooks(client: Client, private: Number) -> None:
    params = {"from": "+61412345678", "to": private.number, "content": "Hi", "id": "1"}
    url = f"/services/generic/a{private.organization.orgid}"
    client.post(url, {"method": "message", "params": params}, content_type="application/json")
    assert client.get("/readyz").json()["workers"] == "ok"
    WebhookEvent.objects.update(created_at=timezone.now() - LATER)
    assert WebhookRequest.objects.count() == 1
    assert client.get("/readyz").json()["workers"] == OLD.format("webhook events")
    file_events.drain()
    assert client.get("/readyz").json()["workers"] == "ok"


@pytest.mark.django_db
def test_ready_without_broker_is_degraded_and_without_database_unavailable(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(caches["broker"]), "get", mock.Mock(side_effect=ConnectionError))
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "degraded",
        "database": "ok",
        "broker": "does not respond: ConnectionError",
        "workers": "ok",
    }
    with mock.patch("messaging.engine.due.nobody_takes", side_effect=OperationalError):
        response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "unavailable")
    assert client.get("/healthz").status_code == 200


@pytest.mark.django_db
def test_ready_costs_one_query(client: Client, alice: User, private: Number) -> None:
    waiting(alice, private, 20)
    with CaptureQueriesContext(connection) as queries:
        client.get("/readyz")
    assert len(queries) == 1
