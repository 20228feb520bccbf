"""Webhooks at the view: what is kept, with which verdict, how it is answered; and what is filed of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import requests
from django.db import connection, connections, transaction
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from integrations import holds
from integrations.language.frames import MAX_EVENTS
from integrations.models import Integration, Template
from messaging.inbound import file_events, reprocess
from messaging.models import (
    Attachment,
    Contact,
    Conversation,
    DeliveryAttempt,
    Message,
    Number,
    OptOut,
    WebhookEvent,
    WebhookRequest,
)
from messaging.outbound import dispatch
from messaging.outbound.submit import Refused, submit
from messaging.rules import optout
from messaging.statuses import EventState, QueueState, Status
from messaging.webhooks import store
from messaging.webhooks.store import Webhooks
from portal import process
from portal.models import Account, Organization, User

FROM = "+61412345678"


def text(to: str = "+61855555501", content: str = "Hello", sender: str = FROM) -> dict[str, Any]:
    return {"method": "message", "params": {"from": sender, "to": to, "content": content}}


def post(client: Client, url: str, document: Any, **extra: Any) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return client.post(url, body, content_type=extra.pop("content_type", "application/json"), **extra)


@pytest.fixture
def url(private: Number) -> str:
    return f"/services/generic/a{private.account.accountid}"


def test_a_text_is_filed(client: Client, url: str, private: Number) -> None:
    answer = post(client, url, text(content='<b>"Hi"</b> $content$\n🙂'))
    assert answer.status_code == 200
    kept = WebhookRequest.objects.get()
    assert (kept.verdict, kept.organization, kept.reason) == ("accepted", private.organization, "")
    assert Message.objects.count() == 0
    file_events.drain()
    message = Message.objects.get()
    assert (message.text, message.direction, message.queue_state) == ('<b>"Hi"</b> $content$\n🙂', "in", 2)
    assert (message.conversation.number, message.conversation.contact.address) == (private, FROM)
    assert message.integration == private.integration
    assert WebhookEvent.objects.get().message == message


@pytest.mark.parametrize("suffix", ["/", "/any/path"])
def test_a_path_or_slash_after_the_account_is_no_redirect(client: Client, url: str, suffix: str) -> None:
    assert post(client, url + suffix, text()).status_code == 200
    assert WebhookRequest.objects.get().verdict == "accepted"


def test_the_organizations_own_url(client: Client, url: str, service: Integration) -> None:
    assert post(client, f"/services/generic/a{service.organization.orgid}", text()).status_code == 200
    assert WebhookRequest.objects.get().verdict == "accepted"


@pytest.mark.parametrize(
    ("form", "spelled"),
    [
        ("e164", "+61855555501"),
        ("e164", "61855555501"),
        ("e164", "+61 8 5555 5501"),
        ("e164", "0061855555501"),
        ("intl", "61855555501"),
        ("national", "855555501"),
        ("national0", "0855555501"),
        ("national0", "(08) 5555 5501"),
    ],
)
def test_the_number_is_found_however_the_service_writes_it(
    client: Client, url: str, private: Number, form: str, spelled: str
) -> None:
    private.inbound_format = form
    private.save()
    post(client, url, text(to=spelled))
    assert WebhookEvent.objects.get().number == private


@pytest.mark.parametrize("method", ["get", "head", "put", "delete", "options"])
@pytest.mark.parametrize("query", ["", "?a=1"])
def test_other_methods_never_break(client: Client, url: str, method: str, query: str) -> None:
    answer = getattr(client, method)(url + query)
    # Without a query, there is nothing in them.
    probes = method in ("head", "options") or not query
    assert answer.status_code == (200 if probes else 400)
    assert (Message.objects.count(), WebhookRequest.objects.count()) == (0, 0 if probes else 1)


@pytest.mark.parametrize(
    ("service_id", "owner"),
    [("generic", "1" * 20), ("unknown", None), ("Generic", None), ("generic", "globex")],
)
def test_unknown_services_and_accounts_are_404_alike(
    client: Client, private: Number, globex: Organization, service_id: str, owner: str | None
) -> None:
    owner_id = {"globex": "9" * 20, None: private.account.accountid}.get(owner, owner)
    answer = post(client, f"/services/{service_id}/a{owner_id}", text())
    assert (answer.status_code, answer.content) == (404, b"There is no such webhook.\n")
    assert WebhookRequest.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "content_type", "verdict", "status", "reason"),
    [
        (b"not json", "application/json", "unparsable", 400, "not JSON"),
        (b"{", "application/json", "unparsable", 400, "not JSON"),
        (b'{"a": NaN}', "application/json", "unparsable", 400, "NaN"),
        (b"[" * 100_000, "application/json", "unparsable", 400, "nested"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "application/json", "unparsable", 400, "nested"),
        (b"\xff\xfe\x00", "application/json", "unparsable", 400, "utf-8"),
        (b"{}", "application/json", "unmatched", 400, "No event"),
        (b'{"method": "other"}', "application/json", "unmatched", 400, "No event"),
        (b'{"a": 1e999999, "b": ' + b"9" * 5000 + b"}", "application/json", "unmatched", 400, "No event"),
        (b"a=1&a=2", "application/x-www-form-urlencoded", "unmatched", 400, "No event"),
        (b"<a><b></a>", "application/xml", "unparsable", 400, ""),
        (b"plain words", "text/plain", "unmatched", 400, "No event"),
        (b"anything", "nonsense", "unmatched", 400, "No event"),
    ],
)
def test_what_cannot_be_read_is_kept_with_the_reason(
    client: Client, url: str, body: bytes, content_type: str, verdict: str, status: int, reason: str
) -> None:
    answer = post(client, url, body, content_type=content_type)
    kept = WebhookRequest.objects.get()
    assert (answer.status_code, kept.verdict) == (status, verdict)
    assert reason in kept.reason
    assert bytes(kept.body) == body
    assert WebhookEvent.objects.count() == 0


def test_json_under_another_content_type_is_json(client: Client, url: str) -> None:
    assert post(client, url, text(), content_type="text/plain").status_code == 200


def test_duplicate_keys_and_odd_characters(client: Client, url: str) -> None:
    body = (
        b'{"method": "x", "method": "message", "params": {"from": "+61412345678", "to": "+61855555501",'
        b' "content": "a\\u0000b \\ud800 %41 a+b"}}'
    )
    assert post(client, url, body).status_code == 200
    file_events.drain()
    assert Message.objects.get().text == "a\ufffdb \ufffd %41 a+b"


def test_a_body_over_1_mib_is_413_and_not_kept(client: Client, url: str) -> None:
    assert post(client, url, b"x" * (1024 * 1024 + 1)).status_code == 413
    assert WebhookRequest.objects.count() == 0


def test_an_unknown_number_is_put_aside_for_the_account(client: Client, url: str, private: Number) -> None:
    answer = post(client, url, text(to="+61899999999"))
    kept = WebhookRequest.objects.get()
    assert (answer.status_code, kept.verdict, kept.organization) == (200, "unknown_number", None)
    assert kept.reason.startswith(
        "+61899999999 is not an active number of Southern Voice with Generic HTTP SMS set up"
    )
    assert WebhookEvent.objects.count() == 0


def test_the_number_of_another_organization_on_an_organizations_url(
    client: Client, private: Number, globex: Organization, generic: Template
) -> None:
    Integration.objects.create(organization=globex, template=generic)
    post(client, f"/services/generic/a{globex.orgid}", text())
    kept = WebhookRequest.objects.get()
    assert (kept.verdict, kept.organization) == ("unknown_number", globex)
    assert WebhookEvent.objects.count() == 0


def test_the_number_of_another_account(client: Client, private: Number, generic: Template) -> None:
    other = Account.objects.create(name="Other")
    organization = Organization.objects.create(account=other, name="Elsewhere", domain="else.example")
    Integration.objects.create(organization=organization, template=generic)
    post(client, f"/services/generic/a{other.accountid}", text())
    assert WebhookRequest.objects.get().verdict == "unknown_number"
    assert WebhookEvent.objects.count() == 0


def test_a_service_that_is_switched_off(client: Client, url: str) -> None:
    Integration.objects.update(enabled=False)
    answer = post(client, url, text())
    kept = WebhookRequest.objects.get()
    assert (answer.status_code, kept.verdict) == (200, "disabled")
    assert kept.reason == "Generic HTTP SMS is switched off for Acme."


def test_two_organizations_share_the_accounts_url(
    client: Client, url: str, private: Number, globex: Organization, generic: Template
) -> None:
    integration = Integration.objects.create(organization=globex, template=generic)
    holds.enter(integration, {"API URL": "https://x.example", "API key": "another"})
    Number.objects.create(organization=globex, integration=integration, number="+61855555599", country="AU")
    post(client, url, text(to="+61855555599"))
    post(client, url, text())
    file_events.drain()
    found = Message.objects.order_by("pk").values_list("organization__name", flat=True)
    assert list(found) == ["Globex", "Acme"]
    assert list(WebhookRequest.objects.order_by("pk").values_list("organization__name", flat=True)) == [
        "Globex",
        "Acme",
    ]


def test_an_ambiguous_spelling_is_put_aside(client: Client, url: str, private: Number) -> None:
    private.inbound_format = "national"
    private.save()
    other = Number.objects.create(
        organization=private.organization, number="+64855555501", country="NZ", inbound_format="national"
    )
    Number.objects.filter(pk=other.pk).update(spelling=private.spelling)
    post(client, url, text(to="855555501"))
    kept = WebhookRequest.objects.get()
    assert kept.verdict == "unknown_number"
    assert "may mean several numbers" in kept.reason


def test_identical_bytes_within_seconds_are_one_message(client: Client, url: str) -> None:
    assert [post(client, url, text()).status_code for _ in range(3)] == [200, 200, 200]
    assert sorted(WebhookRequest.objects.values_list("verdict", flat=True)) == [
        "accepted",
        "duplicate",
        "duplicate",
    ]
    file_events.drain()
    assert Message.objects.count() == 1


def test_identical_bytes_a_minute_later_are_another_message(client: Client, url: str) -> None:
    post(client, url, text())
    WebhookRequest.objects.update(received_at=F("received_at") - timedelta(minutes=1))
    post(client, url, text())
    file_events.drain()
    assert Message.objects.count() == 2


WHO = {"type": "$event_key$", "from": "$from$", "to": "$to$"}
WITH_ID = {
    "id": "with-id",
    "name": "With id",
    "Webhook": {
        "response": {"body": {"ours": "$message_uuid$"}},
        "events": [
            {
                "event_key": "in",
                "event_type": "message",
                "request_parameters": {
                    "type": "$event_key$",
                    "id": "$messageid$",
                    "from": "$from$",
                    "to": ["$to$"],
                    "content": "$content$",
                },
            },
            {
                "event_key": "many",
                "event_type": "message",
                "request_parameters": {
                    "type": "$event_key$",
                    "items": [{"id": "$messageid$", "from": "$from$", "to": "$to$", "content": "$content$"}],
                },
            },
            {"event_key": "stop", "event_type": "optOut", "request_parameters": WHO},
            {"event_key": "start", "event_type": "optIn", "request_parameters": WHO},
            {
                "event_key": "report",
                "event_type": "messageDelivered",
                "request_parameters": {"type": "$event_key$", "reference": "$message_uuid$"},
            },
        ],
    },
}


@pytest.fixture
def with_id(private: Number) -> str:
    template = Template(account=private.account)
    template.revise(json.dumps(WITH_ID))
    Integration.objects.create(organization=private.organization, template=template)
    return f"/services/with-id/a{private.account.accountid}"


def test_the_same_provider_id_is_one_message_and_one_answer(client: Client, with_id: str) -> None:
    document = {"type": "in", "id": "m1", "from": FROM, "to": "+61855555501", "content": "Hi"}
    first, second = (post(client, with_id, {**document, "extra": n}) for n in range(2))
    assert first.json() == second.json()
    file_events.drain()
    assert str(Message.objects.get().uuid) == first.json()["ours"]
    assert list(WebhookRequest.objects.order_by("pk").values_list("verdict", flat=True)) == [
        "accepted",
        "duplicate",
    ]


def test_a_recipient_list_is_filed_for_each_of_our_numbers(
    client: Client, with_id: str, private: Number, shared: Number
) -> None:
    document = {
        "type": "in",
        "id": "m1",
        "from": FROM,
        "to": [private.number, "+61899999999", shared.number],
        "content": "Hi",
    }
    post(client, with_id, document)
    file_events.drain()
    assert {message.conversation.number for message in Message.objects.all()} == {private, shared}


def test_opt_out_and_in_hold_with_the_commit(client: Client, with_id: str, private: Number) -> None:
    post(client, with_id, {"type": "stop", "from": "0412345678", "to": private.number})
    assert OptOut.objects.get().address == FROM
    post(client, with_id, {"type": "start", "from": FROM, "to": private.number})
    assert OptOut.objects.count() == 0


def test_a_report_by_our_own_id(client: Client, with_id: str, private: Number, alice: User) -> None:
    private.integration = Integration.objects.get(template__service_id="with-id")
    private.save()
    message = submit(alice, private, FROM, text="hi")
    post(client, with_id, {"type": "report", "reference": str(message.uuid)})
    file_events.drain()
    message.refresh_from_db()
    assert (message.status, message.queue_state) == (Status.DELIVERED, QueueState.DONE)


def delivered(messageid: str) -> dict[str, Any]:
    return {"method": "delivered", "params": {"messageid": messageid}}


def attempt_of(message: Message, integration: Integration, messageid: str) -> DeliveryAttempt:
    return DeliveryAttempt.objects.create(
        message=message,
        organization=message.organization,
        integration=integration,
        fence=1,
        started_at=timezone.now(),
        result="sent",
        provider_id=messageid,
        status=Status.SENT,
    )


def test_a_report_by_the_providers_id(
    client: Client, url: str, private: Number, alice: User, service: Integration
) -> None:
    message = submit(alice, private, FROM, text="hi")
    Message.objects.update(status=Status.SENT, queue_state=QueueState.DONE)
    attempt = attempt_of(message, service, "p1")
    post(client, url, delivered("p1"))
    post(client, url, {"method": "failed", "params": {"messageid": "p1", "reason": "too late"}})
    file_events.drain()
    message.refresh_from_db()
    attempt.refresh_from_db()
    assert (message.status, attempt.status) == (Status.DELIVERED, Status.DELIVERED)


def test_a_failure_carries_its_reason(
    client: Client, url: str, private: Number, alice: User, service: Integration
) -> None:
    message = submit(alice, private, FROM, text="hi")
    Message.objects.update(status=Status.SENT, queue_state=QueueState.DONE)
    attempt_of(message, service, "p1")
    post(client, url, {"method": "failed", "params": {"messageid": "p1", "reason": "number out of order"}})
    file_events.drain()
    message.refresh_from_db()
    assert (message.status, message.status_text) == (Status.FAILED, "number out of order")


def test_a_report_with_an_id_of_another_account_changes_nothing(
    client: Client, private: Number, alice: User, service: Integration, generic: Template
) -> None:
    message = submit(alice, private, FROM, text="hi")
    attempt_of(message, service, "p1")
    other = Account.objects.create(name="Other")
    organization = Organization.objects.create(account=other, name="Elsewhere", domain="else.example")
    Integration.objects.create(organization=organization, template=generic)
    post(client, f"/services/generic/a{other.accountid}", delivered("p1"))
    file_events.drain()
    message.refresh_from_db()
    assert (message.status, WebhookEvent.objects.get().state) == (Status.QUEUED, EventState.ORPHAN)


@pytest.mark.django_db(transaction=True)
def test_a_report_that_comes_before_its_id_is_joined(
    client: Client, url: str, private: Number, alice: User, sandbox: Any
) -> None:
    sandbox.reports = False
    message = submit(alice, private, FROM, text="hi")
    dispatch.drain()
    attempt = DeliveryAttempt.objects.get()
    known = attempt.provider_id
    DeliveryAttempt.objects.all().delete()
    post(client, url, delivered(known))
    file_events.drain()
    assert WebhookEvent.objects.get().state == EventState.ORPHAN
    Message.objects.update(status=Status.SENT)
    attempt.pk = None
    attempt.save(force_insert=True)
    WebhookEvent.objects.update(state=EventState.WAITING)
    file_events.drain()
    message.refresh_from_db()
    assert message.status == Status.DELIVERED


def test_a_poisoned_event_is_set_aside_and_the_others_are_filed(
    client: Client, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    understood = optout.understood

    def poisoned(event: WebhookEvent, text: str) -> str:
        if text == "poison":
            raise ValueError("Nobody expected this.")
        return understood(event, text)

    monkeypatch.setattr(optout, "understood", poisoned)
    post(client, url, text(content="poison"))
    post(client, url, text(content="fine"))
    file_events.drain()
    states = dict(WebhookEvent.objects.values_list("state", "reason"))
    assert states["failed"] == "ValueError: Nobody expected this."
    assert Message.objects.get().text == "fine"


@pytest.mark.parametrize(
    ("came", "whom", "answerable"),
    [
        ("Acme Insurance Limited", "Acme Insurance Limited", False),
        ("alice@example.com", "alice@example.com", False),
        ("rcs:49151", "rcs:49151", False),
        ("+72345", "72345", True),
        ("436641234567", "+436641234567", True),
        ("0", "0", False),
    ],
)
def test_a_text_from_whomever_is_filed(
    client: Client, url: str, alice: User, came: str, whom: str, answerable: bool
) -> None:
    post(client, url, text(sender=came))
    file_events.drain()
    message = Message.objects.get()
    contact = message.conversation.contact
    assert (contact.address, contact.answerable) == (whom, answerable)
    if not answerable:
        with pytest.raises(Refused, match="is not a phone number"):
            submit(alice, message.conversation.number, whom, text="hi")
        assert Message.objects.count() == 1


def test_both_spellings_of_a_mexican_mobile_are_one_contact(client: Client, url: str, alice: User) -> None:
    for sender in ("+5215512345678", "525512345678"):
        post(client, url, text(sender=sender))
    file_events.drain()
    conversation = Conversation.objects.get()
    assert conversation.contact.address == "+5215512345678"
    answer = submit(alice, conversation.number, "+52 55 1234 5678", text="hola")
    assert answer.conversation == conversation
    post(client, url, text(sender="+525512345678", content="STOP"))
    with pytest.raises(Refused, match="has opted out"):
        submit(alice, conversation.number, "+5215512345678", text="hola")
    post(client, url, text(sender="+5215512345678", content="START"))
    assert not OptOut.objects.exists()


def test_a_batch_files_100_with_as_many_queries_as_one(client: Client, url: str) -> None:
    counts = []
    for batch in (["first"], ["second"], [f"text {index}" for index in range(100)]):
        for content in batch:
            post(client, url, text(content=content))
        with CaptureQueriesContext(connection) as captured:
            assert file_events.file_batch() == len(batch)
        counts.append(len(captured))
    assert Message.objects.count() == 102
    assert counts[1] == counts[2] < counts[0]  # the first makes the contact and the conversation


@pytest.mark.django_db(transaction=True)
def test_two_who_file_at_once_keep_the_order_of_arrival(
    client: Client, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_events, "BATCH", 5)
    for index in range(60):
        post(client, url, text(content=str(index)))

    def file(_: int) -> None:
        while file_events.file_batch():
            pass
        connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(file, range(3)))
    found = Message.objects.order_by("pk").values_list("text", flat=True)
    assert list(found) == [str(index) for index in range(60)]
    assert Conversation.objects.get().last_message.text == "59"


def test_the_senders_number_is_read_with_the_country_of_ours(client: Client, url: str) -> None:
    post(client, url, text(sender="0412 345 678"))
    post(client, url, text(sender="61412345678", content="again"))
    file_events.drain()
    assert list(Contact.objects.values_list("address", flat=True)) == [FROM]
    assert Conversation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_stored_is_500_and_leaves_nothing(client: Client, url: str) -> None:
    client.raise_request_exception = False
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE messaging_webhookevent RENAME TO gone")
        answer = post(client, url, text())
        cursor.execute("ALTER TABLE gone RENAME TO messaging_webhookevent")
    assert (answer.status_code, WebhookRequest.objects.count()) == (500, 0)


def test_pictures_wait_to_be_fetched(client: Client, url: str) -> None:
    params = {"from": FROM, "to": "+61855555501", "text": "Look", "url": "https://media.example/a.png"}
    post(client, url, {"method": "file", "params": params})
    file_events.drain()
    file = Attachment.objects.get()
    assert (file.state, file.source_url, file.message.text) == (
        "waiting",
        "https://media.example/a.png",
        "Look",
    )


def in_parallel(count: int, send: Callable[[int], requests.Response]) -> list[requests.Response]:
    """The answers to so many requests at once. The test server listens to few; who is refused comes again."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(send, range(count)))


def deliver(url: str, document: Any) -> requests.Response:
    with requests.Session() as session:
        session.mount(
            "http://", HTTPAdapter(max_retries=Retry(20, backoff_factor=0.05, allowed_methods=None))
        )
        return session.post(url, json=document, timeout=30)


@pytest.mark.django_db(transaction=True)
def test_50_parallel_copies_make_one_message(
    live_server: Any, url: str, with_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.webhooks.store.REPEAT_SECONDS", 600)  # however long all of them take
    answers = in_parallel(50, lambda _: deliver(live_server.url + url, text()))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "")}
    document = {"type": "in", "id": "m1", "from": FROM, "to": "+61855555501", "content": "Hi"}
    answers = in_parallel(50, lambda n: deliver(live_server.url + with_id, {**document, "try": n}))
    assert {answer.status_code for answer in answers} == {200}
    (ours,) = {answer.json()["ours"] for answer in answers}
    file_events.drain()
    assert Message.objects.filter(uuid=ours).count() == 1
    assert Message.objects.count() == 2
    verdicts = WebhookRequest.objects.values_list("verdict", flat=True)
    assert (len(verdicts), sorted(set(verdicts)), list(verdicts).count("accepted")) == (
        100,
        ["accepted", "duplicate"],
        2,
    )


@pytest.mark.django_db(transaction=True)
def test_different_texts_at_once_are_all_filed(live_server: Any, url: str) -> None:
    answers = in_parallel(30, lambda n: deliver(live_server.url + url, text(content=str(n))))
    assert {answer.status_code for answer in answers} == {200}
    file_events.drain()
    assert sorted(int(word) for word in Message.objects.values_list("text", flat=True)) == list(range(30))


def queries_of(does: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        does()
    return len([query for query in captured if "SAVEPOINT" not in query["sql"]])


def many(first: int, count: int) -> dict[str, Any]:
    items = [
        {"id": f"m{first + n}", "from": FROM, "to": "+61855555501", "content": str(n)} for n in range(count)
    ]
    return {"type": "many", "items": items}


@pytest.fixture
def cached(settings: Any) -> None:
    """What was found is cached, as in production."""
    settings.WEBHOOK_CACHE_SECONDS = 60
    process.close()


def test_a_request_takes_few_queries_and_100_events_no_more(
    client: Client, with_id: str, cached: None
) -> None:
    post(client, with_id, many(1, 1))  # accounts and numbers are cached from here on
    documents = many(10, 1), many(100, 100)
    counts = [queries_of(partial(post, client, with_id, document)) for document in documents]
    assert WebhookEvent.objects.count() == 102
    assert counts == [2, 2]  # the request, its events


def test_as_many_contacts_as_a_request_can_name_opt_out_at_once(client: Client, with_id: str) -> None:
    items = many(0, MAX_EVENTS)["items"]
    for place, item in enumerate(items):
        item.update({"from": f"+614123{place:05}", "content": "STOP"})
    assert post(client, with_id, {"type": "many", "items": items}).status_code == 200
    assert OptOut.objects.count() == MAX_EVENTS
    for item in items:
        item.update({"id": f"later {item['id']}", "content": "START"})
    assert post(client, with_id, {"type": "many", "items": items}).status_code == 200
    assert OptOut.objects.count() == 0


def test_100_requests_at_once_take_as_many_queries_as_one(
    client: Client, with_id: str, url: str, cached: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries: list[store.Received] = []

    def written(batch: list[store.Received]) -> None:
        with transaction.atomic():
            Webhooks().write(batch)

    def collect(request: WebhookRequest, events: list[WebhookEvent]) -> None:
        entries.append(store.Received(request, events))

    monkeypatch.setattr(store, "store", collect)
    documents = [
        (with_id, many(1, 1)),
        *[(with_id, many(n, 1)) for n in range(10, 109)],
        (with_id, many(10, 1)),
    ]
    documents += [(url, text()), *[(url, text(content=str(n))) for n in range(50)], (url, text())]
    documents += [
        (with_id, {"type": "stop", "from": f"+6141234{n}", "to": "+61855555501"}) for n in range(5000, 5050)
    ]
    for address, document in documents:
        post(client, address, document)
    own, copies = entries[:100], [entries[100], entries[152]]
    others, stops = [*entries[101:152]], entries[153:]
    assert [queries_of(partial(written, batch)) for batch in (own[:1], own[1:])] == [2, 2]
    # More: the advisory lock (PostgreSQL) and the look for the same bytes; opt-outs and their marks; what repeats is marked.
    lock = connection.vendor == "postgresql"
    assert [queries_of(partial(written, batch)) for batch in (others[:1], others[1:])] == [3 + lock] * 2
    assert [queries_of(partial(written, batch)) for batch in (stops[:1], stops[1:])] == [6 + lock] * 2
    assert queries_of(lambda: written(copies)) == 6 + lock  # and what came first is read
    assert OptOut.objects.count() == 50
    assert WebhookRequest.objects.filter(verdict="duplicate").count() == 2


def test_elements_of_one_request_with_equal_ids_are_two_messages(client: Client, with_id: str) -> None:
    items = many(1, 1)["items"] + many(1, 1)["items"]
    for _ in range(2):
        post(client, with_id, {"type": "many", "items": items})
    file_events.drain()
    assert Message.objects.count() == 2
    assert list(WebhookRequest.objects.order_by("pk").values_list("verdict", flat=True)) == [
        "accepted",
        "duplicate",
    ]


def test_a_number_named_twice_gets_one_message(client: Client, with_id: str, private: Number) -> None:
    document = {"type": "in", "from": FROM, "to": [private.number, private.number[1:]], "content": "Hi"}
    post(client, with_id, {**document, "id": "m1"})
    assert WebhookEvent.objects.count() == 1


def test_a_repeated_stop_does_not_undo_a_later_start(client: Client, with_id: str, private: Number) -> None:
    stop = {"type": "stop", "from": FROM, "to": private.number}
    post(client, with_id, stop)
    post(client, with_id, {**stop, "type": "start"})
    post(client, with_id, stop)
    assert OptOut.objects.count() == 0
    assert WebhookRequest.objects.latest("pk").verdict == "duplicate"


def test_what_repeats_in_part_is_filed_in_part(client: Client, with_id: str) -> None:
    post(client, with_id, many(1, 2))
    post(client, with_id, many(2, 2))
    file_events.drain()
    assert Message.objects.count() == 3
    assert WebhookRequest.objects.latest("pk").verdict == "accepted"


def test_raw_bytes_are_encrypted_at_rest(client: Client, url: str) -> None:
    post(client, url, text(content="very private words"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM messaging_webhookrequest")
        assert b"very private words" not in bytes(cursor.fetchone()[0])
        cursor.execute("SELECT payload FROM messaging_webhookevent")
        assert b"very private words" not in bytes(cursor.fetchone()[0])


def test_a_date_format_that_an_earlier_version_accepted_gives_no_date(
    private: Number, acme: Organization, account: Account
) -> None:
    shape = {"from": "$from$", "to": "$to$", "text": "$content$", "date": "$date?|strptime:'%d%d'$"}
    event = {"event_type": "message", "request_parameters": shape}
    template = Template.objects.create(account=account, service_id="dates", name="Dates")
    document = {"id": "dates", "name": "Dates", "Webhook": [event]}
    template.published = template.revisions.create(number=1, source=json.dumps(document))
    template.save()
    other = Integration.objects.create(organization=acme, template=template)
    Number.objects.create(organization=acme, integration=other, number="+61855555508", country="AU")
    sent = {"from": FROM, "to": "+61855555508", "text": "Hello", "date": "0303"}
    got = post(Client(), f"/services/dates/a{account.accountid}", sent)
    assert got.status_code == 200
    file_events.drain()
    assert Message.objects.get().text == "Hello"


def test_a_repeated_id_of_another_sender_is_another_message(client: Client, with_id: str) -> None:
    document = {"type": "in", "id": "m1", "from": FROM, "to": "+61855555501", "content": "Hi"}
    for sender in (FROM, "+61412345679", FROM):
        post(client, with_id, {**document, "from": sender})
    file_events.drain()
    assert Message.objects.count() == 2
    verdicts = list(WebhookRequest.objects.order_by("pk").values_list("verdict", flat=True))
    assert verdicts == ["accepted", "accepted", "duplicate"]


def test_an_element_for_an_unknown_number_is_seen_and_filed_once_the_number_is_there(
    client: Client, with_id: str, private: Number
) -> None:
    items = [
        {"id": f"m{to}", "from": FROM, "to": to, "content": to} for to in (private.number, "+61855555577")
    ]
    post(client, with_id, {"type": "many", "items": items})
    file_events.drain()
    assert [message.text for message in Message.objects.all()] == [private.number]
    row = WebhookRequest.objects.get()
    assert row.reason.startswith("+61855555577 is not an active number of Southern Voice")
    mine = Integration.objects.get(template__service_id="with-id")
    Number.objects.create(
        organization=mine.organization, integration=mine, number="+61855555577", country="AU"
    )
    assert reprocess.reprocess(row)
    file_events.drain()
    assert sorted(message.text for message in Message.objects.all()) == [private.number, "+61855555577"]


TWO_IN_ONE = [
    {
        "event_type": "message",
        "continue": True,
        "request_parameters": {"from": "$from$", "to": "$to$", "text": "$content$"},
    },
    {
        "event_type": "message",
        "request_parameters": {"from": "$from$", "copy": "$to$", "text": "$content$"},
    },
]


def test_a_text_to_an_unknown_number_beside_another_event_waits_until_the_number_is_there(
    client: Client, private: Number
) -> None:
    template = Template(account=private.account)
    template.revise(json.dumps({"id": "twice", "name": "Twice", "Webhook": TWO_IN_ONE}))
    mine = Integration.objects.create(organization=private.organization, template=template)
    document = {"from": FROM, "to": "+61855555577", "copy": private.number, "text": "Hi"}
    post(client, f"/services/twice/a{private.account.accountid}", document)
    file_events.drain()
    assert list(Message.objects.values_list("conversation__number", flat=True)) == [private.pk]
    row = WebhookRequest.objects.in_quarantine(User(is_operator=True)).get()
    assert WebhookEvent.objects.get(state=EventState.FAILED).reason.startswith(
        "+61855555577 is not an active"
    )
    reprocess.reprocess(row)
    assert WebhookEvent.objects.count() == 2
    number = Number.objects.create(
        organization=mine.organization, integration=mine, number="+61855555577", country="AU"
    )
    for _ in range(2):
        reprocess.reprocess(row)
        file_events.drain()
        numbers = Message.objects.order_by("pk").values_list("conversation__number", flat=True)
        assert list(numbers) == [private.pk, number.pk]
    assert not WebhookRequest.objects.in_quarantine(User(is_operator=True)).exists()


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET", "POST"])
def test_a_probe_is_counted_and_not_stored(client: Client, url: str, method: str) -> None:
    assert client.generic(method, url).status_code == 200
    assert (WebhookRequest.objects.count(), WebhookEvent.objects.count()) == (0, 0)
