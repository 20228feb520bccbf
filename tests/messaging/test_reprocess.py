"""Out of the quarantine: what could not be filed is, after the template or a number was mended."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from integrations import holds
from integrations.models import Integration, Template
from messaging.inbound import file_events, reprocess
from messaging.models import Message, Number, OptOut, WebhookEvent, WebhookRequest
from messaging.reporting import webhook_details
from portal import process
from portal.models import Organization, User

FROM = "+61412345678"


def post(client: Client, number: Number, to: str, content: str = "Hello", **params: Any) -> WebhookRequest:
    """The kept trace of a text."""
    body = {"method": "message", "params": {"from": FROM, "to": to, "content": content, **params}}
    url = f"/services/generic/a{number.account.accountid}"
    client.post(url, json.dumps(body), content_type="application/json")
    return WebhookRequest.objects.latest("pk")


def add(number: Number, spelled: str) -> Number:
    return Number.objects.create(
        organization=number.organization, integration=number.integration, number=spelled, country="AU"
    )


def texts() -> list[str]:
    file_events.drain()
    return list(Message.objects.order_by("pk").values_list("text", flat=True))


def state() -> list[Any]:
    file_events.drain()
    requests = WebhookRequest.objects.order_by("pk").values_list("pk", "verdict", "reason", "organization")
    events = WebhookEvent.objects.order_by("pk").values_list("pk", "state", "key", "message")
    return [list(requests), list(events), texts()]


def test_a_number_that_was_added_gets_its_text_once(client: Client, private: Number) -> None:
    row = post(client, private, "+61855555577")
    assert (row.verdict, row.organization, row.replayed_at) == ("unknown_number", None, None)
    assert reprocess.reprocess(row) is False
    assert (row.verdict, texts()) == ("unknown_number", [])
    assert row.replayed_at is not None
    add(private, "+61855555577")
    assert reprocess.reprocess(row) is True
    assert (row.verdict, row.reason, row.organization) == ("accepted", "", private.organization)
    before = state()
    assert before[-1] == ["Hello"]
    assert (reprocess.reprocess(row), reprocess.process_anyway(row)) == (False, False)
    assert state() == before


def test_a_service_that_was_switched_on_again(client: Client, private: Number) -> None:
    private.integration.enabled = False
    private.integration.save()
    row = post(client, private, private.number)
    assert (row.verdict, reprocess.reprocess(row), texts()) == ("disabled", False, [])
    private.integration.enabled = True
    private.integration.save()
    assert (reprocess.reprocess(row), row.verdict, texts()) == (True, "accepted", ["Hello"])


def test_a_template_that_was_mended(client: Client, private: Number, generic: Template) -> None:
    url = f"/services/generic/a{private.account.accountid}/sms?x=%41"
    sent = {"who": FROM, "whom": private.number, "what": "Hi"}
    client.post(url, json.dumps(sent), content_type="application/json")
    row = WebhookRequest.objects.get()
    assert (row.verdict, row.answer_status) == ("unmatched", 400)
    document = json.loads(generic.published.source)
    document["Webhook"] = {
        "event_type": "message",
        "path": "sms",
        "request_query": {"x": "A"},
        "request_parameters": {"who": "$from$", "whom": "$to$", "what": "$content$"},
    }
    generic.revise(json.dumps(document))
    assert (reprocess.reprocess(row), row.verdict, row.tried, texts()) == (True, "accepted", [], ["Hi"])
    assert row.answer_status == 400  # what was answered then


def signed(account: Any, verify: dict[str, Any]) -> Template:
    template = Template(account=account)
    event = {
        "event_type": "message",
        "request_parameters": {"from": "$from$", "to": "$to$", "text": "$content$"},
    }
    source = {"id": "signed", "name": "Signed", "properties": ["Key"], "Webhook": {"verify": verify, **event}}
    template.revise(json.dumps(source))
    return template


TIMED = {"type": "hmac", "key": "$Key$", "signature": "$headers.X-Sig$", "over": "$headers.X-Time$.$body$", "timestamp": "$headers.X-Time$"}  # fmt: skip


def test_a_signature_is_checked_again_as_of_then(client: Client, private: Number) -> None:
    template = signed(private.account, TIMED)
    integration = Integration.objects.create(organization=private.organization, template=template)
    holds.enter(integration, {"Key": "wrong"})
    body = json.dumps({"from": FROM, "to": private.number, "text": "Hi"}).encode()
    moment = str(int(time.time()))
    signature = hmac.new(b"right", f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Sig": signature, "X-Time": moment}
    url = f"/services/signed/a{private.account.accountid}"
    answer = client.post(url, body, content_type="application/json", headers=headers)
    row = WebhookRequest.objects.get()
    assert (answer.status_code, row.verdict) == (401, "unverified")
    with time_machine.travel(datetime.now(UTC) + timedelta(days=2)):
        assert (reprocess.reprocess(row), row.verdict, texts()) == (False, "unverified", [])
        holds.enter(integration, {"Key": "right"})
        assert (reprocess.reprocess(row), row.verdict, texts()) == (True, "accepted", ["Hi"])


def test_what_a_signature_covers_of_the_call_is_known_still(client: Client, private: Number) -> None:
    template = signed(private.account, {"type": "ip", "ranges": ["203.0.113.0/24"]})
    Integration.objects.create(organization=private.organization, template=template)
    url = f"/services/signed/a{private.account.accountid}/x y/?a=%41&b=%C3%BC"
    body = json.dumps({"from": FROM, "to": "+61855555577", "text": "Hi"})
    client.post(url, body, content_type="application/json", REMOTE_ADDR="203.0.113.9")
    row = WebhookRequest.objects.get()
    assert (row.verdict, row.ip) == ("unknown_number", "203.0.113.9")
    called = row.as_received()
    assert called.url == f"http://localhost:8000/services/signed/a{row.owner}/x%20y/?a=%41&b=%C3%BC"
    add(private, "+61855555577")
    assert (reprocess.reprocess(row), texts()) == (True, ["Hi"])


def test_another_organizations_key_opens_nothing_afterwards(
    client: Client, private: Number, globex: Organization
) -> None:
    template = signed(private.account, {"type": "header", "name": "X-Key", "value": "$Key$"})
    for organization, key in ((private.organization, "acme"), (globex, "globex")):
        integration = Integration.objects.create(organization=organization, template=template)
        holds.enter(integration, {"Key": key})
    body = json.dumps({"from": FROM, "to": "+61855555577", "text": "Hi"})
    url = f"/services/signed/a{private.account.accountid}"
    client.post(url, body, content_type="application/json", headers={"X-Key": "globex"})
    row = WebhookRequest.objects.get()
    assert row.verdict == "unknown_number"
    add(private, "+61855555577")
    assert (reprocess.reprocess(row), row.verdict, texts()) == (False, "unverified", [])


def test_a_duplicate_is_filed_anyway_once(client: Client, private: Number) -> None:
    post(client, private, private.number)
    row = post(client, private, private.number)
    assert (row.verdict, reprocess.reprocess(row), texts()) == ("duplicate", False, ["Hello"])
    assert reprocess.process_anyway(row) is True
    assert (row.verdict, row.organization, texts()) == ("accepted", private.organization, ["Hello", "Hello"])
    before = state()
    assert (reprocess.process_anyway(row), reprocess.reprocess(row)) == (False, False)
    assert state() == before


def test_a_duplicate_by_its_id_is_filed_anyway(client: Client, private: Number, generic: Template) -> None:
    document = json.loads(generic.published.source)
    params = {"from": "$from$", "to": "$to$", "content": "$content$", "messageid": "$messageid$"}
    document["Webhook"] = {"event_type": "message", "request_parameters": {"params": params}}
    generic.revise(json.dumps(document))
    for content in ("one", "two"):
        row = post(client, private, private.number, content, messageid="m1")
    assert (row.verdict, reprocess.process_anyway(row), texts()) == ("duplicate", True, ["one", "two"])


def test_what_is_no_duplicate_is_not_filed_anyway(client: Client, private: Number) -> None:
    row = post(client, private, "+61855555577")
    assert (reprocess.process_anyway(row), row.replayed_at, texts()) == (False, None, [])


def test_copies_in_the_quarantine_count_once(client: Client, private: Number) -> None:
    for _ in range(3):
        post(client, private, "+61855555577")
    WebhookRequest.objects.filter(pk=WebhookRequest.objects.latest("pk").pk).update(
        received_at=F("received_at") + timedelta(minutes=1)
    )
    add(private, "+61855555577")
    assert reprocess.reprocess_many(WebhookRequest.objects.all()) == 2
    verdicts = WebhookRequest.objects.order_by("pk").values_list("verdict", flat=True)
    assert (list(verdicts), texts()) == (["accepted", "duplicate", "accepted"], ["Hello", "Hello"])
    assert reprocess.reprocess_many(WebhookRequest.objects.all()) == 0


def test_an_event_that_could_not_be_filed_is_read_again(
    client: Client, private: Number, generic: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(written: str, country: str) -> str:
        raise ValueError("Nobody expected this.")

    with monkeypatch.context() as patched:
        patched.setattr(file_events, "sender", poisoned)
        row = post(client, private, private.number, **{"from": "tel=0412345678;x"})
        assert (texts(), WebhookEvent.objects.get().state) == ([], "failed")
    document = json.loads(generic.published.source)
    document["Webhook"] = {
        "event_type": "message",
        "request_parameters": {"params": {"from": "tel=$from$;x", "to": "$to$", "content": "$content$"}},
    }
    generic.revise(json.dumps(document))
    assert (reprocess.reprocess(row), row.verdict, texts()) == (True, "accepted", ["Hello"])
    event = WebhookEvent.objects.get()
    assert (event.state, event.reason, event.message.conversation.contact.address) == ("done", "", FROM)
    before = state()
    assert (reprocess.reprocess(row), state()) == (False, before)


def test_an_event_whose_template_is_another_now_is_tried_as_it_was(
    client: Client, private: Number, generic: Template
) -> None:
    row = post(client, private, private.number)
    WebhookEvent.objects.update(state="failed", reason="a defect that was mended")
    document = json.loads(generic.published.source)
    document["Webhook"] = {"event_type": "ignore", "request_parameters": {"method": "message"}}
    generic.revise(json.dumps(document))
    assert (reprocess.reprocess(row), texts()) == (True, ["Hello"])


def test_a_stop_that_was_put_aside_holds_from_the_replay_on(client: Client, private: Number) -> None:
    row = post(client, private, "+61855555577", "STOP")
    number = add(private, "+61855555577")
    assert OptOut.objects.count() == 0
    assert reprocess.reprocess(row) is True
    assert OptOut.objects.get().number == number


def test_ten_take_as_many_queries_as_one(client: Client, private: Number, settings: Any) -> None:
    settings.WEBHOOK_CACHE_SECONDS = 60
    process.close()
    for index in range(11):
        post(client, private, "+61855555577", str(index))
    add(private, "+61855555577")
    rows = WebhookRequest.objects.order_by("pk")
    keys = list(rows.values_list("pk", flat=True))
    reprocess.reprocess(rows[0])  # from here on the number is cached
    counts = []
    for part in (keys[1:2], keys[2:]):
        with CaptureQueriesContext(connection) as captured:
            assert reprocess.reprocess_many(rows.filter(pk__in=part)) == len(part)
        counts.append(len(captured))
    assert counts[0] == counts[1]
    assert texts() == [str(index) for index in range(11)]


def test_a_row_that_cannot_be_opened_holds_up_no_other(client: Client, private: Number) -> None:
    for index in range(3):
        post(client, private, "+61855555577", str(index))
    second = WebhookRequest.objects.order_by("pk")[1]
    add(private, "+61855555577")
    with connection.cursor() as cursor:
        statement = "UPDATE messaging_webhookrequest SET headers = %s WHERE id = %s"
        cursor.execute(statement, [b"under a lost key", second.pk])
    assert reprocess.reprocess_many(WebhookRequest.objects.all()) == 2
    assert texts() == ["0", "2"]


BATCH = {
    "id": "batch",
    "name": "Batch",
    "properties": [],
    "Webhook": [
        {
            "event_type": "messageStatus",
            "request_parameters": {"results": [{"id": "$messageid$", "state": "$status$"}]},
            "status_map": {"DELIVRD": "delivered"},
        },
        {
            "event_type": "message",
            "request_parameters": {
                "results": [{"id?": "$messageid$", "from": "$from$", "to": "$to$", "text": "$content$"}]
            },
        },
    ],
}


def test_elements_that_fit_no_event_are_kept_and_read_again(client: Client, private: Number) -> None:
    template = Template(account=private.account)
    template.revise(json.dumps(BATCH))
    Integration.objects.create(organization=private.organization, template=template, enabled=True)
    url = f"/services/batch/a{private.account.accountid}"

    def element(ident: str, said: str) -> dict[str, str]:
        return {"id": ident, "from": FROM, "to": private.number, "text": said}

    body = {
        "results": [
            element("1", ""),  # the same id as another: two events
            element("1", "a"),
            element("", "b"),
            element("", ""),
            {"id": "4", "state": "BOUNCED"},
        ]
    }
    for _ in range(2):  # the second is a repeat of the first
        assert client.post(url, json.dumps(body), content_type="application/json").status_code == 200
    row, repeat = WebhookRequest.objects.order_by("pk")
    assert (row.verdict, repeat.verdict, texts()) == ("accepted", "duplicate", ["a", "b"])
    unfit = WebhookEvent.objects.filter(type="unfit").order_by("pk")
    assert [(event.payload["place"], event.state, event.organization) for event in unfit] == [
        ("/results/0", "failed", private.organization),
        ("/results/3", "failed", private.organization),
        ("/results/4", "failed", private.organization),
    ]
    assert unfit[2].reason == (
        "status_map has no entry for 'BOUNCED'; "
        "/Webhook/1/request_parameters/results/0/from: $from$ is missing or empty"
    )
    assert row in WebhookRequest.objects.in_quarantine(User(is_operator=True))
    details = webhook_details.of(row)
    assert details["may_reprocess"]
    assert "/results/4 of the request fits no event of the template" in [
        words for _, words in details["events"]
    ]
    before = state()
    assert (reprocess.reprocess(row), state()) == (True, before)  # nothing was mended
    document = json.loads(json.dumps(BATCH))
    document["Webhook"][1]["request_parameters"]["results"][0]["text"] = "$content?$"
    template.revise(json.dumps(document))
    for _ in range(2):
        reprocess.reprocess(row)
        assert texts() == ["a", "b", "", ""]
        assert [event.payload["place"] for event in unfit.all()] == ["/results/4"]
    document["Webhook"][0]["status_map"]["BOUNCED"] = "failed"
    template.revise(json.dumps(document))
    reprocess.reprocess(row)
    assert (texts(), unfit.all().count(), WebhookEvent.objects.count()) == (["a", "b", "", ""], 0, 5)
    assert row not in WebhookRequest.objects.in_quarantine(User(is_operator=True))


def test_a_text_inside_of_what_a_report_has_taken_is_kept_and_read_again(
    client: Client, private: Number
) -> None:
    text_of = {"from": "$from$", "to": "$to$", "text": "$content$"}
    reports = {
        "event_type": "messageDelivered",
        "request_parameters": {"entry": [{"reports": [{"id": "$messageid$"}]}]},
    }
    document = {
        **BATCH,
        "Webhook": [
            reports,
            {"event_type": "message", "request_parameters": {"entry": [{"texts": [text_of]}]}},
        ],
    }
    template = Template(account=private.account)
    template.revise(json.dumps(document))
    Integration.objects.create(organization=private.organization, template=template, enabled=True)
    said = [{"from": FROM, "to": private.number, "text": text} for text in ("one", "two")]
    body = {"entry": [{"reports": [{"id": "7"}], "texts": said}]}
    url = f"/services/batch/a{private.account.accountid}"
    assert client.post(url, json.dumps(body), content_type="application/json").status_code == 200
    file_events.drain()
    kept = WebhookEvent.objects.filter(type="unfit").order_by("pk")
    assert [event.payload["place"] for event in kept] == ["/entry/0/texts/0", "/entry/0/texts/1"]
    document["Webhook"] = [{**reports, "continue": True}, *document["Webhook"][1:]]
    template.revise(json.dumps(document))
    assert reprocess.reprocess(WebhookRequest.objects.get())
    assert texts() == ["one", "two"] and not kept.all()
