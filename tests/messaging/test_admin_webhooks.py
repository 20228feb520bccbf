"""The inspector of webhooks and the quarantine, and reading again from there."""

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


def come(client: Client, number: Number, to: str, content: str = "Hello") -> WebhookRequest:
    """The kept trace of a text for the number `to`, by the URL of the organization."""
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
    row = come(Client(), private, "+61855555577")
    assert row.verdict == Verdict.UNKNOWN_NUMBER
    return row


@pytest.mark.parametrize("who", ["operator", "reseller", "admin_of_acme"])
def test_a_lost_text_is_found_and_filed(
    lost: WebhookRequest, private: Number, client: Client, request: pytest.FixtureRequest, who: str
) -> None:
    client.force_login(request.getfixturevalue(who))
    listed = client.get(LIST, {"quarantine": "yes"})
    assert list(listed.context["cl"].result_list) == [lost]
    assert "Read all again" in listed.content.decode()
    assert '<span class="pb-badge">1</span>' in listed.content.decode()
    assert "1 webhook could not be filed." in client.get("/admin/").content.decode()
    page = client.get(page_of(lost)).content.decode()
    assert "Add the number, or set how the service writes it" in page
    assert f"POST /services/generic/a{private.organization.orgid}" in page
    answer = client.post(reverse("admin:messaging_read_again", args=[lost.pk]), follow=True)
    assert "Nothing new could be filed:" in answer.content.decode()
    add(private, "+61855555577")
    answer = client.post(reverse("admin:messaging_read_again", args=[lost.pk]), follow=True)
    assert "what it says is filed" in answer.content.decode()
    assert "Read again</button>" not in answer.content.decode()
    file_events.drain()
    assert Message.objects.get().text == "Hello"
    listed = client.get(LIST, {"quarantine": "yes"})
    assert list(listed.context["cl"].result_list) == []
    assert "pb-badge" not in listed.content.decode()


def test_the_whole_quarantine_is_read_again(
    private: Number, admin_of_acme: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MOST", 2)
    for text in ("one", "two", "three"):
        come(Client(), private, "+61855555577", text)
    come(Client(), private, "+61855555578", "lost")
    add(private, "+61855555577")
    client.force_login(admin_of_acme)
    first = client.post(reverse("admin:messaging_read_all"), follow=True).content.decode()
    assert "2 of 2 were understood now and are filed." in first
    assert "There are more." in first
    second = client.post(reverse("admin:messaging_read_all"), follow=True).content.decode()
    assert "1 of 2 were understood now and are filed." in second
    file_events.drain()
    assert sorted(Message.objects.values_list("text", flat=True)) == ["one", "three", "two"]
    assert quarantine.count(admin_of_acme) == 1


def test_chosen_ones_are_read_again(private: Number, admin_of_acme: User, client: Client) -> None:
    first, second = (come(Client(), private, "+61855555577", text) for text in ("one", "two"))
    add(private, "+61855555577")
    client.force_login(admin_of_acme)
    client.post(LIST, {"action": "read_again", "_selected_action": [first.pk]})
    verdicts = WebhookRequest.objects.order_by("pk").values_list("verdict", flat=True)
    assert list(verdicts) == ["accepted", "unknown_number"]
    assert second.pk in quarantine.among(WebhookRequest.objects.all()).values_list("pk", flat=True)


def test_a_copy_is_filed_anyway(private: Number, admin_of_acme: User, client: Client) -> None:
    come(Client(), private, private.number)
    copy = come(Client(), private, private.number)
    assert copy.verdict == Verdict.DUPLICATE
    client.force_login(admin_of_acme)
    assert "File anyway" in client.get(page_of(copy)).content.decode()
    url = reverse("admin:messaging_file_anyway", args=[copy.pk])
    assert "What it says is filed." in client.post(url, follow=True).content.decode()
    assert "There is nothing to file." in client.post(url, follow=True).content.decode()
    file_events.drain()
    assert Message.objects.count() == 2


def test_an_event_that_could_not_be_filed_is_in_quarantine(
    private: Number, admin_of_acme: User, client: Client
) -> None:
    row = come(Client(), private, private.number)
    WebhookEvent.objects.update(state=EventState.FAILED, reason="ValueError: odd")
    client.force_login(admin_of_acme)
    assert list(client.get(LIST, {"quarantine": "yes"}).context["cl"].result_list) == [row]
    page = client.get(page_of(row)).content.decode()
    assert "ValueError: odd" in page
    assert "Read again</button>" in page


def test_the_page_says_what_each_event_said_against_it(
    private: Number, reseller: User, client: Client
) -> None:
    Client().post(
        f"/services/generic/a{private.account.accountid}/sandbox-key?key=sandbox-key",
        json.dumps({"method": "odd", "key": "sandbox-key"}),
        content_type="application/json",
    )
    row = WebhookRequest.objects.get()
    client.force_login(reseller)
    page = client.get(page_of(row)).content.decode()
    assert "/Webhook/0/request_parameters/method" in page
    assert "sandbox-key" not in page


def test_strangers_read_and_file_nothing(
    lost: WebhookRequest, private: Number, admin_of_globex: User, client: Client
) -> None:
    add(private, "+61855555577")
    before = list(WebhookRequest.objects.values())
    client.force_login(admin_of_globex)
    for verb in ("read_again", "file_anyway"):
        assert client.post(reverse(f"admin:messaging_{verb}", args=[lost.pk])).status_code == 404
    client.post(LIST, {"action": "read_again", "_selected_action": [lost.pk]})
    client.post(reverse("admin:messaging_read_all"))
    assert "pb-badge" not in client.get(LIST).content.decode()
    assert list(WebhookRequest.objects.values()) == before
    assert not WebhookEvent.objects.exists()


def test_a_list_without_rows_says_why(lost: WebhookRequest, operator: User, client: Client) -> None:
    client.force_login(operator)
    page = client.get(LIST, {"q": "+61499999999"}).content.decode()
    assert "No entry fits the search and the filters." in page
    assert "filter_list_off" in page
    assert "No entry fits" not in client.get(LIST).content.decode()
    WebhookRequest.objects.all().delete()
    page = client.get(LIST).content.decode()
    assert "Nothing here yet" in page
    assert "filter_list_off" not in page
