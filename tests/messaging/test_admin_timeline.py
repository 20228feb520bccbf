"""The timeline of a message in the administration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from messaging.inbound import file_events
from messaging.models import DeliveryAttempt, Message, Number, OptOut, WebhookEvent, WebhookRequest
from messaging.outbound import submit
from messaging.reporting import timeline
from messaging.statuses import QueueState, Status
from portal.models import User
from tests.messaging.queues import write_many

pytestmark = pytest.mark.django_db


def page_of(message: Message) -> str:
    return reverse("admin:messaging_message_change", args=[message.pk])


def attempt(message: Message, seconds: int, result: str, **fields: Any) -> DeliveryAttempt:
    return DeliveryAttempt.objects.create(
        message=message,
        organization=message.organization,
        integration=message.integration,
        fence=DeliveryAttempt.objects.count() + 1,
        started_at=message.created_at + timedelta(seconds=seconds),
        result=result,
        status=Status.SENT,
        **fields,
    )


def report(message: Message, seconds: int, status: str, **payload: str) -> WebhookEvent:
    assert message.integration is not None
    request = WebhookRequest.objects.create(
        account=message.organization.account,
        organization=message.organization,
        template=message.integration.template,
        integration=message.integration,
        method="POST",
        query=b"",
        headers={},
        body=b"",
        digest="",
        verdict="accepted",
        answer_status=200,
    )
    return WebhookEvent.objects.create(
        request=request,
        organization=message.organization,
        message=message,
        type="status",
        payload={"kind": "status", "status": status, **payload},
        state="done",
        created_at=message.created_at + timedelta(seconds=seconds),
    )


def titles(message: Message) -> list[tuple[str, str]]:
    return [(step.tone, step.title) for step in timeline.of_message(message)["steps"]]


def written(number: Number, author: User | None, **fields: Any) -> Message:
    (message,) = write_many(number, 1, author=author, queue_state=QueueState.DONE, **fields)
    message.refresh_from_db()
    return message


def test_all_that_happened_in_order(
    private: Number, alice: User, admin_of_acme: User, client: Client
) -> None:
    message = written(private, alice, status=Status.FAILED, status_code="30003", status_text="Out of reach.")
    event = report(message, 6, "failed", code="30003", text="Out of reach.")
    attempt(message, 5, "sent", part=2, parts=2)
    attempt(message, 1, "retry", text="It answered 503.")
    attempt(
        message, 4, "sent", part=1, parts=2, provider_id="SM1", url="https://api.example/", answer_status=201
    )
    assert titles(message) == [
        ("plain", "Submitted by Alice and queued."),
        ("plain", "Generic HTTP SMS could not take the message. Patchbay retries later."),
        ("good", "Part 1 of 2: Generic HTTP SMS accepted the message."),
        ("good", "Part 2 of 2: Generic HTTP SMS accepted the message."),
        ("bad", "Delivery report: failed (30003)."),
    ]
    client.force_login(admin_of_acme)
    page = client.get(page_of(message)).content.decode()
    for shown in ("It answered 503.", "SM1", "https://api.example/", "HTTP 201", "Out of reach.", "30003"):
        assert shown in page
    assert reverse("admin:messaging_webhookrequest_change", args=[event.request_id]) in page
    assert "Correct the cause that is stated above, then resend the message." in page


def test_the_timeline_of_an_inbound_message(private: Number, admin_of_acme: User, client: Client) -> None:
    client.post(
        f"/services/generic/a{private.account.accountid}",
        {"method": "message", "params": {"from": "+61412345678", "to": private.number, "content": "STOP"}},
        content_type="application/json",
    )
    file_events.drain()
    came = Message.objects.get(direction="in")
    assert titles(came) == [("good", "Received in a webhook request.")]
    client.force_login(admin_of_acme)
    page = client.get(page_of(came)).content.decode()
    request = WebhookRequest.objects.get()
    assert reverse("admin:messaging_webhookrequest_change", args=[request.pk]) in page
    assert "The contact has opted out of messages from this number." in page
    answer = Message.objects.get(direction="out")
    assert titles(answer) == [("plain", "Queued as an auto-reply (opt-out).")]
    assert (
        page_of(came)
        in client.get(reverse("admin:messaging_webhookrequest_change", args=[request.pk])).content.decode()
    )
    request.delete()
    came.refresh_from_db()
    assert titles(came) == [("good", "Received. The webhook request has since been deleted.")]


def test_a_copy_and_its_original_lead_to_each_other(
    private: Number, alice: User, admin_of_acme: User, client: Client
) -> None:
    message = written(private, alice, status=Status.FAILED)
    copy = submit.resend_for_author(message)
    client.force_login(admin_of_acme)
    old, new = (client.get(page_of(row)).content.decode() for row in (message, copy))
    assert page_of(copy) in old
    assert "This message was resent." in old
    assert "send-again" not in old
    assert page_of(message) in new
    assert "Created to resend an earlier message." in new


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": Status.UNKNOWN}, "the message may have been delivered. Ask the contact"),
        ({"status": Status.SENT}, "not reported its delivery"),
        ({"queue_state": QueueState.WAITING}, "The message will be sent automatically."),
        ({"status": Status.DELIVERED}, ""),
    ],
)
def test_what_to_do_now(private: Number, alice: User, fields: dict[str, Any], words: str) -> None:
    message = written(private, alice)
    Message.objects.update(**fields)
    message.refresh_from_db()
    advice = timeline.advice(message)
    assert words in advice
    assert bool(advice) == bool(words)


def test_nobody_who_opted_out_is_to_be_written_again(private: Number, alice: User) -> None:
    message = written(private, alice, status=Status.FAILED)
    address = message.conversation.contact.address
    OptOut.objects.create(organization=private.organization, number=private, address=address)
    assert "after they text START" in timeline.advice(message)


@pytest.mark.parametrize(
    ("who", "status"),
    [("operator", 200), ("reseller", 200), ("admin_of_acme", 200), ("admin_of_globex", 404)],
)
def test_who_reads_it(
    private: Number, alice: User, client: Client, request: pytest.FixtureRequest, who: str, status: int
) -> None:
    message = written(private, alice)
    client.force_login(request.getfixturevalue(who))
    assert client.get(page_of(message)).status_code == status


def test_times_are_in_the_viewers_zone(
    private: Number, alice: User, admin_of_acme: User, client: Client
) -> None:
    message = written(private, alice)
    moment = timezone.now().replace(year=2026, month=3, day=1, hour=23, minute=30, second=15)
    Message.objects.update(created_at=moment)
    User.objects.filter(pk=admin_of_acme.pk).update(time_zone="Asia/Kolkata")
    client.force_login(admin_of_acme)
    page = client.get(page_of(message)).content.decode()
    assert "Monday, 2 March 2026" in page
    assert "05:00:15" in page
    assert "All times are in the time zone Asia/Kolkata." in page
    assert timezone.get_current_timezone_name() == "UTC"  # what this thread does next is nobody's


def test_a_long_timeline_is_cut_and_as_many_queries(
    private: Number, alice: User, operator: User, client: Client
) -> None:
    message = written(private, alice)
    client.force_login(operator)
    client.get(page_of(message))
    counts = []
    for more in (1, 9):
        for index in range(more):
            attempt(message, index, "retry")
            report(message, index, "sent")
        with CaptureQueriesContext(connection) as captured:
            client.get(page_of(message))
        counts.append(len(captured))
    assert counts[0] == counts[1]
    for index in range(120):
        attempt(message, 20 + index, "retry")
    context = timeline.of_message(message)
    assert context["left_out"] == 10
    assert len([step for step in context["steps"] if step.attempt]) == 120
    assert "10 attempts in between are not shown." in client.get(page_of(message)).content.decode()


def test_the_log_leads_there_from_every_attempt(
    private: Number, alice: User, operator: User, client: Client
) -> None:
    message = written(private, alice)
    row = attempt(message, 1, "sent")
    client.force_login(operator)
    answer = client.get(reverse("admin:messaging_deliveryattempt_change", args=[row.pk]))
    assert answer["Location"] == f"{page_of(message)}#attempt-{row.pk}"
    assert f'id="attempt-{row.pk}"' in client.get(page_of(message)).content.decode()


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        (400, "Generic HTTP SMS rejected the message."),
        (None, "The message was not sent through Generic HTTP SMS."),
    ],
)
def test_who_did_not_answer_has_rejected_nothing(
    private: Number, alice: User, answer: int | None, title: str
) -> None:
    message = written(private, alice, status=Status.FAILED)
    attempt(message, 1, "failed", answer_status=answer)
    assert ("bad", title) in titles(message)


def test_failed_attempts_link_to_where_their_cause_is_repaired(
    private: Number, alice: User, admin_of_acme: User, reseller: User, admin_of_globex: User
) -> None:
    message = written(private, alice)
    assert private.integration is not None
    address = reverse("admin:messaging_deliveryattempt_changelist")
    credentials = reverse(
        "admin:integrations_setup", args=[private.organization_id, private.integration.template_id]
    )
    link = f'<a href="{credentials}">Open the credentials</a>'

    def page(user: User) -> tuple[str, int]:
        client = Client()
        client.force_login(user)
        with CaptureQueriesContext(connection) as queries:
            shown = client.get(address).content.decode()
        return shown, len(queries)

    attempt(message, 1, "sent")
    assert link not in page(admin_of_acme)[0]
    attempt(message, 2, "unauthorized")
    shown, before = page(admin_of_acme)
    assert shown.count(link) == 1
    for seconds in range(3, 20):
        attempt(message, seconds, "retry")
    shown, after = page(admin_of_acme)
    assert (shown.count(link), after) == (18, before)
    assert page(reseller)[0].count(link) == 18
    assert link not in page(admin_of_globex)[0]
