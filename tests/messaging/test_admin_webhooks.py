"""The pages of webhook requests, the quarantine, and reprocessing."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.urls import reverse

from messaging.admin import webhooks
from messaging.inbound import file_events, quarantine
from messaging.models import Message, Number, WebhookEvent, WebhookRequest
from messaging.statuses import EventState, Verdict
from portal.models import User

pytestmark = pytest.mark.django_db

LIST = "/admin/messaging/webhookrequest/"


def receive(client: Client, number: Number, to: str, content: str = "Hello") -> WebhookRequest:
    """The stored request of a text for the number `to`, by the URL of the organization."""
    body = {"method": "message", "params": {"from": "+61412345678", "to": to, "content": content}}
    url = f"/services/generic/a{number.organization.orgid}"
    client.post(url, json.dumps(body), content_type="application/json")
    return WebhookRequest.objects.latest("pk")


def page_of(row: WebhookRequest) -> str:
    return reverse("admin:messaging_webhookrequest_change", args=[row.pk])


def add(number: Number, spelled: str) -> None:
    Number.objects.create(
        organization=number.organization, integration=number.integration, number=spelled, country="AU"
    )


@pytest.fixture
def lost(private: Number) -> WebhookRequest:
    """A text for a number that nobody has."""
    row = receive(Client(), private, "+61855555577")
    assert row.verdict == Verdict.UNKNOWN_NUMBER
    return row


@pytest.mark.parametrize("who", ["operator", "reseller", "admin_of_acme"])
def test_a_lost_text_is_found_and_reprocessed(
    lost: WebhookRequest, private: Number, client: Client, request: pytest.FixtureRequest, who: str
) -> None:
    client.force_login(request.getfixturevalue(who))
    listed = client.get(LIST, {"quarantine": "yes"})
    assert list(listed.context["cl"].result_list) == [lost]
    assert "Reprocess all" in listed.content.decode()
    assert '<span class="pb-badge">1</span>' in listed.content.decode()
    assert "1 webhook request is in quarantine." in client.get("/admin/").content.decode()
    page = client.get(page_of(lost)).content.decode()
    assert "Add the number, or correct how the provider writes it." in page
    assert f"POST /services/generic/a{private.organization.orgid}" in page
    answer = client.post(reverse("admin:messaging_reprocess", args=[lost.pk]), follow=True)
    assert "The request could not be processed:" in answer.content.decode()
    add(private, "+61855555577")
    answer = client.post(reverse("admin:messaging_reprocess", args=[lost.pk]), follow=True)
    assert "Its events are being processed." in answer.content.decode()
    assert "Reprocess</button>" not in answer.content.decode()
    file_events.drain()
    assert Message.objects.get().text == "Hello"
    listed = client.get(LIST, {"quarantine": "yes"})
    assert list(listed.context["cl"].result_list) == []
    assert "pb-badge" not in listed.content.decode()


def test_the_whole_quarantine_is_reprocessed(
    private: Number, admin_of_acme: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MAX_REPROCESSED", 2)
    for text in ("one", "two", "three"):
        receive(Client(), private, "+61855555577", text)
    receive(Client(), private, "+61855555578", "lost")
    add(private, "+61855555577")
    client.force_login(admin_of_acme)
    first = client.post(reverse("admin:messaging_reprocess_all"), follow=True).content.decode()
    assert "2 of 2 requests were accepted." in first
    assert "There are more requests." in first
    second = client.post(reverse("admin:messaging_reprocess_all"), follow=True).content.decode()
    assert "1 of 2 requests were accepted." in second
    file_events.drain()
    assert sorted(Message.objects.values_list("text", flat=True)) == ["one", "three", "two"]
    assert quarantine.count(admin_of_acme) == 1


def test_selected_requests_are_reprocessed(private: Number, admin_of_acme: User, client: Client) -> None:
    first, second = (receive(Client(), private, "+61855555577", text) for text in ("one", "two"))
    add(private, "+61855555577")
    client.force_login(admin_of_acme)
    client.post(LIST, {"action": "reprocess", "_selected_action": [first.pk]})
    verdicts = WebhookRequest.objects.order_by("pk").values_list("verdict", flat=True)
    assert list(verdicts) == ["accepted", "unknown_number"]
    assert second.pk in WebhookRequest.objects.in_quarantine(User(is_operator=True)).values_list(
        "pk", flat=True
    )


def test_a_duplicate_is_processed_anyway(private: Number, admin_of_acme: User, client: Client) -> None:
    receive(Client(), private, private.number)
    copy = receive(Client(), private, private.number)
    assert copy.verdict == Verdict.DUPLICATE
    client.force_login(admin_of_acme)
    assert "Process anyway" in client.get(page_of(copy)).content.decode()
    url = reverse("admin:messaging_process_anyway", args=[copy.pk])
    assert "The events of the request are being processed." in client.post(url, follow=True).content.decode()
    assert "The request contains nothing to process." in client.post(url, follow=True).content.decode()
    file_events.drain()
    assert Message.objects.count() == 2


def test_a_failed_event_is_in_quarantine(private: Number, admin_of_acme: User, client: Client) -> None:
    row = receive(Client(), private, private.number)
    WebhookEvent.objects.update(state=EventState.FAILED, reason="ValueError: odd")
    client.force_login(admin_of_acme)
    assert list(client.get(LIST, {"quarantine": "yes"}).context["cl"].result_list) == [row]
    page = client.get(page_of(row)).content.decode()
    assert "ValueError: odd" in page
    assert "Reprocess</button>" in page


def test_the_page_says_why_no_event_matches(private: Number, reseller: User, client: Client) -> None:
    Client().post(
        f"/services/generic/a{private.account.accountid}/sandbox-key?key=sandbox-key",
        json.dumps({"method": "odd", "key": "sandbox-key"}),
        content_type="application/json",
    )
    row = WebhookRequest.objects.get()
    client.force_login(reseller)
    page = client.get(page_of(row)).content.decode()
    assert "<code>/Webhook/0/request_parameters/method</code>" in page
    assert "sandbox-key" not in page


def test_strangers_reprocess_nothing(
    lost: WebhookRequest, private: Number, admin_of_globex: User, client: Client
) -> None:
    add(private, "+61855555577")
    before = list(WebhookRequest.objects.values())
    client.force_login(admin_of_globex)
    for verb in ("reprocess", "process_anyway"):
        assert client.post(reverse(f"admin:messaging_{verb}", args=[lost.pk])).status_code == 404
    client.post(LIST, {"action": "reprocess", "_selected_action": [lost.pk]})
    client.post(reverse("admin:messaging_reprocess_all"))
    assert "pb-badge" not in client.get(LIST).content.decode()
    assert list(WebhookRequest.objects.values()) == before
    assert not WebhookEvent.objects.exists()


def test_a_list_without_rows_says_why(lost: WebhookRequest, operator: User, client: Client) -> None:
    client.force_login(operator)
    page = client.get(LIST, {"q": "+61499999999"}).content.decode()
    assert "No entries match the search and the filters." in page
    assert "filter_list_off" in page
    assert "No entries match" not in client.get(LIST).content.decode()
    WebhookRequest.objects.all().delete()
    page = client.get(LIST).content.decode()
    assert "No webhooks yet" in page
    assert "filter_list_off" not in page
