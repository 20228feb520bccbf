"""A service that signs, splits texts, and keeps its files behind its credentials."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations import holds, media_access, properties, webhooks
from integrations.models import Integration, Template
from integrations.sandbox import Sandbox
from messaging import worker
from messaging.inbound import file_events
from messaging.models import DeliveryAttempt, Message, Number, WebhookEvent, WebhookRequest
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from portal.models import Account, Organization, User

DOCUMENT = {
    "id": "signed",
    "name": "Signed",
    "properties": [{"name": "API URL", "type": "url", "secret": False}, "Token", "Signing key"],
    "auth": {"type": "Bearer", "token": "$Token$"},
    "API": {
        "SendMessage": {
            "request_url": "$API URL$",
            "request_parameters": {"from": "$from$", "to": "$to$", "content": "$content$"},
            "split": {"max": 20},
            "response_map": {"data": {"id": "$messageid$"}},
        },
    },
    "Webhook": {
        "verify": {"type": "hmac", "key": "$Signing key$", "signature": "$headers.X-Sig$"},
        "media_auth": ["media.signed.example"],
        "media_path": "/files/",
        "events": [
            {
                "event_type": "message",
                "request_parameters": {
                    "from": "$from$", "to": ["$to$"], "text": "$content$", "ref": "$ref?$", "n": "$n?$", "of": "$of?$",
                },
                "concat": {"id": "$ref$", "part": "$n$", "count": "$of$"},
            }
        ],
    },
}  # fmt: skip


@pytest.fixture
def signed(acme: Organization, account: Account, sandbox: Sandbox) -> Integration:
    template = Template(account=account)
    template.revise(json.dumps(DOCUMENT))
    integration = Integration.objects.create(organization=acme, template=template)
    holds.enter(integration, {"API URL": sandbox.api_url, "Token": "sandbox-key", "Signing key": "secret"})
    return integration


@pytest.fixture
def number(signed: Integration) -> Number:
    return Number.objects.create(
        organization=signed.organization, integration=signed, number="+61855555509", country="AU"
    )


def post(number: Number, key: str = "secret", **fields: Any) -> int:
    body = json.dumps({"from": "+61412345678", "to": number.number, "text": "Hello"} | fields).encode()
    signature = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    url = f"/services/signed/a{number.account.accountid}"
    return Client().post(url, body, content_type="application/json", headers={"X-Sig": signature}).status_code


def test_a_right_signature_is_filed(number: Number) -> None:
    assert post(number) == 200
    file_events.drain()
    assert Message.objects.get().text == "Hello"


def test_bad_signatures_are_counted_on_one_trace(number: Number) -> None:
    assert [post(number, "wrong"), post(number, "wrong", text="again"), post(number, "wrong")] == [401] * 3
    row = WebhookRequest.objects.get()
    assert (row.verdict, row.more, row.reason) == ("unverified", 2, "The signature is missing or wrong.")
    assert (WebhookEvent.objects.count(), Message.objects.count()) == (0, 0)


def test_each_organization_has_its_key(number: Number, globex: Organization, signed: Integration) -> None:
    other = Integration.objects.create(organization=globex, template=signed.template)
    holds.enter(other, {"API URL": "https://x.example", "Token": "t", "Signing key": "other"})
    assert (post(number, "other"), post(number, "secret")) == (401, 200)
    # What names no number is tried with each organization's key.
    body = b'{"unknown": 1}'
    sent = {}
    for key in ("other", "third"):
        headers = {"X-Sig": hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}
        url = f"/services/signed/a{number.account.accountid}"
        sent[key] = Client().post(url, body, content_type="application/json", headers=headers).status_code
    assert sent == {"other": 200, "third": 401}
    unmatched = WebhookRequest.objects.get(verdict="unmatched")
    assert unmatched.integration == other


@pytest.mark.parametrize("order", list(permutations([1, 2, 3])))
def test_the_parts_of_a_text_become_one_message_in_any_order(number: Number, order: tuple[int, ...]) -> None:
    for part in order:
        assert post(number, ref="r1", n=part, of=3, text=f"<{part}>") == 200
        file_events.drain()
    assert Message.objects.get().text == "<1><2><3>"
    assert {event.state for event in WebhookEvent.objects.all()} == {"done"}
    assert {event.message for event in WebhookEvent.objects.all()} == {Message.objects.get()}


def test_a_text_in_one_batch_and_another_with_the_same_reference_of_somebody_else(number: Number) -> None:
    post(number, ref="r1", n=1, of=2, text="a")
    post(number, ref="r1", n=1, of=2, text="other", **{"from": "+61412345679"})
    post(number, ref="r1", n=2, of=2, text="b")
    file_events.drain()
    assert Message.objects.get().text == "ab"
    assert WebhookEvent.objects.filter(state="part").count() == 1


def test_a_part_that_never_comes_holds_the_others_five_minutes(number: Number) -> None:
    post(number, ref="r1", n=2, of=2, text="the end")
    file_events.drain()
    worker.sweep()
    file_events.drain()
    assert Message.objects.count() == 0
    WebhookEvent.objects.update(created_at=timezone.now() - timedelta(seconds=301))
    file_events.drain()
    assert Message.objects.get().text == "the end"
    assert WebhookEvent.objects.get().reason == "1 parts of this text never arrived."


@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("https://media.signed.example/files/a.jpg", True),
        ("http://media.signed.example/files/a.jpg", False),
        ("https://media.signed.example/other/a.jpg", False),
        ("https://media.signed.example/files/../a.jpg", False),
        ("https://media.signed.example:8443/files/a.jpg", False),
        ("https://evil.example/files/a.jpg", False),
        ("https://media.signed.example@evil.example/files/a.jpg", False),
        ("https://media.signed.example.evil.example/files/", False),
        ("https://[/files/", False),
    ],
)
def test_credentials_go_only_where_the_template_says(signed: Integration, url: str, given: bool) -> None:
    holds.enter(signed, signed.own_values)
    credentials = properties.credentials_of([signed])[signed.pk]
    expected = {"Authorization": "Bearer sandbox-key"} if given else {}
    assert media_access.request_for(signed, credentials, url).headers == expected


@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("http://media.signed.example:8001/files/a.jpg", True),
        ("http://media.signed.example:8001/other/a.jpg", False),
        ("http://media.signed.example:8002/files/a.jpg", False),
        ("http://us:pw@media.signed.example:8001/files/a.jpg", False),
        ("http://other.example:8001/files/a.jpg", False),
    ],
)
def test_an_allowed_origin_may_be_plain_http_on_any_port(
    signed: Integration, settings: Any, url: str, given: bool
) -> None:
    settings.PATCHBAY_ALLOWED_ORIGINS = ["http://media.signed.example:8001", "http://other.example:8001"]
    holds.enter(signed, signed.own_values)
    credentials = properties.credentials_of([signed])[signed.pk]
    expected = {"Authorization": "Bearer sandbox-key"} if given else {}
    assert media_access.request_for(signed, credentials, url).headers == expected


def test_a_long_text_goes_on_from_the_part_that_was_not_sent(
    number: Number, sandbox: Sandbox, alice: User
) -> None:
    number.assignments.create(user=alice)
    sandbox.answer_with("ok", "429")
    message = submit(alice, number, "+61412345678", text="The first part, then the second, and the third.")
    dispatch.drain()
    assert [request.json["content"] for request in sandbox.received] == [
        "The first part, then",
        "the second, and the",
    ]
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    dispatch.drain()
    assert [request.json["content"] for request in sandbox.received] == [
        "The first part, then",
        "the second, and the",
        "the second, and the",
        "third.",
    ]
    message.refresh_from_db()
    results = DeliveryAttempt.objects.order_by("pk").values_list("part", "result")
    assert list(results) == [(1, "sent"), (2, "throttled"), (2, "sent"), (3, "sent")]
    assert message.get_status_display() == "sent"


def test_one_organizations_key_does_not_speak_for_another(
    number: Number, globex: Organization, signed: Integration
) -> None:
    other = Integration.objects.create(organization=globex, template=signed.template)
    holds.enter(other, {"API URL": "https://x.example", "Token": "t", "Signing key": "theirs"})
    theirs = Number.objects.create(
        organization=globex, integration=other, number="+61855555599", country="AU"
    )
    both = [number.number, theirs.number]
    assert post(number, "secret", to=both) == 200
    assert [event.number for event in WebhookEvent.objects.all()] == [number]
    assert "Globex" in WebhookRequest.objects.get().reason
    assert post(number, "secret", to=[theirs.number]) == 401
    holds.enter(other, {"API URL": "https://x.example", "Token": "t", "Signing key": "secret"})
    assert post(number, "secret", to=both, text="again") == 200
    assert WebhookEvent.objects.filter(number=theirs).count() == 1


def test_an_accounts_shared_key_is_tried_once(
    number: Number, globex: Organization, signed: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(5):
        organization = Organization.objects.create(
            account=globex.account, name=str(index), domain=f"{index}.example"
        )
        item = Integration.objects.create(organization=organization, template=signed.template)
        holds.enter(item, {"API URL": "https://x.example", "Token": "t", "Signing key": "shared"})
    tried = []
    real = webhooks.read

    def read(template: Any, request: Any, values: Any, **more: Any) -> Any:
        tried.append(values["Signing key"])
        return real(template, request, values, **more)

    monkeypatch.setattr(webhooks, "read", read)
    assert post(number, "wrong", to="+61899999999") == 401
    assert tried == ["secret", "shared"]


def test_a_reference_that_comes_again_begins_a_text(number: Number) -> None:
    for part, words in (("1", "one "), ("1", "three "), ("2", "two"), ("2", "four")):
        post(number, ref="7", n=part, of="2", text=words)
    file_events.drain()
    assert [message.text for message in Message.objects.order_by("pk")] == ["one two", "three four"]


def test_a_text_that_begins_when_another_with_its_reference_is_late_waits_for_its_end(number: Number) -> None:
    post(number, ref="7", n="1", of="2", text="never ended")
    file_events.drain()
    WebhookEvent.objects.update(created_at=timezone.now() - timedelta(seconds=301))
    post(number, ref="7", n="1", of="2", text="one ")
    file_events.drain()
    assert [message.text for message in Message.objects.all()] == ["never ended"]
    post(number, ref="7", n="2", of="2", text="two")
    file_events.drain()
    assert [message.text for message in Message.objects.order_by("pk")] == ["never ended", "one two"]


def test_the_halves_of_an_emoji_are_joined(number: Number) -> None:
    post(number, ref="7", n="1", of="2", text="a\ud83d")
    file_events.drain()
    post(number, ref="7", n="2", of="2", text="\ude00b")
    file_events.drain()
    assert Message.objects.get().text == "a😀b"
