"""The page Health: figures, order, reach, and retrying a paused integration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from integrations.models import Integration, Template, state_now
from messaging.models import DeliveryAttempt, Message, Number, ServiceHealth, WebhookRequest
from messaging.reporting import health
from messaging.statuses import QueueState, Status
from portal.models import Organization, User
from tests.messaging.queues import integration_of, number_of, template_of, write_many

pytestmark = pytest.mark.django_db

PAGE = "/admin/messaging/servicehealth/"


def attempt(message: Message, result: str, ago: timedelta, ms: int = 100, **fields: Any) -> DeliveryAttempt:
    fields = {"answer_status": 200, "status": Status.SENT, **fields}
    return DeliveryAttempt.objects.create(
        message=message,
        organization=message.organization,
        integration=message.integration,
        fence=DeliveryAttempt.objects.count() + 1,
        started_at=timezone.now() - ago,
        milliseconds=ms,
        result=result,
        **fields,
    )


def found(**condition: Any) -> health.Health:
    (row,) = health.of(ServiceHealth.objects.filter(**condition))
    return row


def test_the_figures_of_a_day(private: Number) -> None:
    waiting = write_many(private, 3)[0]
    Message.objects.filter(pk=waiting.pk).update(queue_state=QueueState.CLAIMED, lease_until=timezone.now())
    minute, hours = timedelta(minutes=1), timedelta(hours=5)
    attempt(waiting, "sent", minute, 10)
    attempt(waiting, "sent", minute, 20, part=1, parts=2)
    attempt(waiting, "sent", minute, 400, part=2, parts=2)
    attempt(waiting, "unknown", minute, 30_000, answer_status=None)
    attempt(waiting, "throttled", minute, 30)
    attempt(waiting, "failed", hours, 500)
    attempt(waiting, "retry", hours, 600)
    attempt(waiting, "unauthorized", timedelta(hours=30), 700)
    row = found()
    assert (row.waiting, row.in_flight) == (2, 1)
    assert (row.attempts_of_hour, row.failures_of_hour, row.rate_of_hour) == (5, 1, "20 %")
    assert (row.attempts, row.failures, row.rate) == (7, 3, "43 %")
    assert row.median == 30  # of 10, 20, 30, 400, 500, 600
    assert len(row.hours) == 24
    assert (sum(hour.good for hour in row.hours), sum(hour.bad for hour in row.hours)) == (2, 3)
    assert [(hour.good, hour.bad) for hour in row.hours if hour.start <= timezone.now() - hours][-1] == (0, 2)


def test_a_service_that_did_nothing_yet(service: Integration) -> None:
    row = found()
    assert (row.label, row.rate, row.median, row.waiting) == ("not used yet", "–", None, 0)
    assert [(hour.good, hour.bad) for hour in row.hours] == [(0, 0)] * 24


def test_that_all_attempts_fail_is_no_working_state(private: Number) -> None:
    message = write_many(private, 1)[0]
    attempt(message, "sent", timedelta(hours=5))
    assert (found().label, found().tone) == ("working", "good")
    attempt(message, "failed", timedelta(minutes=2))
    attempt(message, "unknown", timedelta(minutes=1), answer_status=None)
    assert (found().label, found().tone) == ("all attempts fail", "bad")
    attempt(message, "sent", timedelta(minutes=1))
    assert (found().label, found().tone) == ("working", "good")


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"enabled": False}, "switched off"),
        ({"trouble": "Refused"}, "not working"),
        ({"held_since": F("created_at"), "trouble": "Refused"}, "waits for your confirmation"),
        ({"paused_until": F("created_at"), "failures": 20}, "paused after 20 consecutive failures"),
        ({"last_sent_at": F("created_at")}, "working"),
    ],
)
def test_the_labels_of_states(service: Integration, fields: dict[str, Any], label: str) -> None:
    Integration.objects.update(**fields)
    assert found().label == label
    known = Integration.objects.annotate(in_query=state_now()).get()
    assert known.in_query == known.state


def test_the_last_webhook_is_the_integrations_own(service: Integration, client: Client) -> None:
    for integration in (service, None):
        WebhookRequest.objects.create(
            account=service.organization.account,
            template=service.template,
            integration=integration,
            method="POST",
            query=b"",
            headers={},
            body=b"",
            digest="",
            verdict="accepted",
            answer_status=200,
        )
    row = found()
    assert vars(row.integration)["last_received_at"] == WebhookRequest.objects.order_by("pk")[0].received_at
    assert row.label == "working"


def test_those_in_trouble_come_first(acme: Organization, reseller: User, client: Client) -> None:
    for name, fields in [
        ("fine", {}),
        ("off", {"enabled": False, "paused_until": F("created_at")}),
        ("trouble", {"trouble": "x"}),
        ("paused", {"paused_until": F("created_at")}),
    ]:
        integration = integration_of(acme, template_of(acme.account, name), "https://x.example")
        Integration.objects.filter(pk=integration.pk).update(**fields)
    client.force_login(reseller)
    rows = client.get(PAGE).context["found"]
    assert [row.integration.template.name for row in rows] == ["Paused", "Trouble", "Fine", "Off"]


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("operator", ["Acme", "Globex"]),
        ("reseller", ["Acme", "Globex"]),
        ("admin_of_acme", ["Acme"]),
        ("admin_of_globex", ["Globex"]),
    ],
)
def test_everybody_sees_their_own(
    service: Integration,
    globex: Organization,
    generic: Template,
    client: Client,
    request: pytest.FixtureRequest,
    who: str,
    seen: list[str],
) -> None:
    Integration.objects.create(organization=globex, template=generic)
    client.force_login(request.getfixturevalue(who))
    page = client.get(PAGE)
    assert [row.integration.organization.name for row in page.context["found"]] == seen
    other = client.get(f"{PAGE}?organization={service.organization_id}")
    assert other.status_code == (404 if who == "admin_of_globex" else 200)
    assert client.get(f"{PAGE}?organization=x").status_code == 404


def test_as_many_queries_for_twelve_services_as_for_one(
    acme: Organization, operator: User, client: Client
) -> None:
    client.force_login(operator)
    client.get(PAGE)
    counts = []
    for more in (1, 11):
        for index in range(more):
            integration = integration_of(
                acme, template_of(acme.account, f"own{more}-{index}"), "https://x.example"
            )
            number = number_of(integration, f"+6185556{more:02}{index:02}")
            attempt(write_many(number, 1)[0], "sent", timedelta(minutes=5))
        with CaptureQueriesContext(connection) as captured:
            assert len(client.get(PAGE).context["found"]) in (1, 12)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def paused(number: Number) -> Message:
    """A message that waits for its next attempt, through a service that the breaker has paused."""
    later = timezone.now() + timedelta(minutes=8)
    Integration.objects.update(paused_until=later, pause_seconds=600, failures=25, trouble="Down")
    (message,) = write_many(number, 1, attempts=2)
    Message.objects.filter(pk=message.pk).update(next_attempt_at=later)
    return message


@pytest.mark.parametrize("who", ["operator", "reseller", "admin_of_acme"])
def test_a_paused_integration_is_retried_now(
    private: Number, client: Client, request: pytest.FixtureRequest, who: str
) -> None:
    message = paused(private)
    client.force_login(request.getfixturevalue(who))
    assert "Retry now" in client.get(PAGE).content.decode()
    answer = client.post(
        reverse("admin:messaging_retry_integration", args=[private.integration_id]), follow=True
    )
    assert "One message is being sent through Generic HTTP SMS." in answer.content.decode()
    row = Integration.objects.get()
    assert row.paused_until is not None
    assert row.paused_until <= timezone.now()
    # A single message probes it: the integration stays paused until that message has been sent.
    assert (row.failures, row.trouble) == (25, "Down")
    message.refresh_from_db()
    assert message.next_attempt_at <= timezone.now()


def test_strangers_retry_nothing(private: Number, admin_of_globex: User, client: Client) -> None:
    message = paused(private)
    before = Integration.objects.values().get()
    client.force_login(admin_of_globex)
    url = reverse("admin:messaging_retry_integration", args=[private.integration_id])
    assert client.post(url).status_code == 404
    assert Integration.objects.values().get() == before
    message.refresh_from_db()
    assert message.next_attempt_at > timezone.now()
