"""Webhooks and attempts of the traces become cases, without anybody's numbers, names, words or keys in them."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass

import pytest
from django.test import Client
from django.utils import timezone

from integrations import cases, properties
from integrations.models import Integration, Template, TemplateCase
from messaging.models import DeliveryAttempt, Message, Number, WebhookRequest
from messaging.outbound.submit import submit
from messaging.statuses import Status
from portal.models import Organization, User
from tests.integrations.studio.conftest import PREVIEWED, signed_in

KEY, SIGNING = "planted-api-key-1", "planted-signing-key-2"
PLANTED = (KEY, SIGNING, "412345678", "855555501", "998877665544", "Zaphod", "Beeblebrox", "Magrathea")
INBOUND = {
    "event": "mo", "id": "998877665544", "from": "+61412345678", "to": "+61855555501",
    "text": "Meet Zaphod at Magrathea", "contact": {"name": "Zaphod Beeblebrox", "again": "0412 345 678"},
    "key": KEY,
}  # fmt: skip


@dataclass
class Traced:
    """A webhook request and a delivery attempt, with planted values in them."""

    template: Template
    integration: Integration
    message: Message

    def receive(self, body: dict[str, object]) -> WebhookRequest:
        written = json.dumps(body).encode()
        signature = hmac.new(SIGNING.encode(), written, hashlib.sha256).hexdigest()
        url = f"/services/acme-sms/a{self.integration.organization.orgid}"
        Client().post(url, written, "application/json", headers={"X-Acme-Signature": signature})
        return WebhookRequest.objects.latest("pk")

    def attempt(self, status: int, body: str) -> DeliveryAttempt:
        return DeliveryAttempt.objects.create(
            message=self.message, organization=self.integration.organization, integration=self.integration,
            fence=1, started_at=timezone.now(), result="failed", status=Status.FAILED, answer_status=status,
            answer_headers={"Content-Type": "application/json", "X-Trace": KEY}, answer_body=body,
        )  # fmt: skip

    def only_case(self) -> str:
        row = self.template.cases.get()
        assert self.template.published is not None
        assert cases.run(self.template.published.compiled, json.loads(row.source)) == ""
        assert [word for word in PLANTED if word.casefold() in row.source.casefold()] == []
        return row.source


@pytest.fixture
def traced(acme: Organization, alice: User) -> Traced:
    template = Template(account=acme.account)
    template.revise(json.dumps(PREVIEWED))
    integration = Integration.objects.create(organization=acme, template=template)
    properties.store(integration, {"API key": KEY, "Signing key": SIGNING, "Sender": "Magrathea"})
    number = Number.objects.create(
        organization=acme, integration=integration, number="+61855555501", country="AU"
    )
    number.assignments.create(user=alice)
    message = submit(alice, number, "+61412345678", text="Meet Zaphod at Magrathea")
    return Traced(template, integration, message)


def test_a_webhook_becomes_a_case(traced: Traced, reseller: User) -> None:
    row = traced.receive(INBOUND)
    assert row.verdict == "accepted"
    client, page = signed_in(reseller), f"/admin/messaging/webhookrequest/{row.pk}"
    assert "Make this webhook a case" in client.get(f"{page}/change/").content.decode()
    answer = client.post(f"{page}/case/")
    case = traced.template.cases.get()
    url = f"/admin/integrations/template/{traced.template.pk}/studio/cases/{case.pk}/"
    assert (answer.status_code, answer["Location"]) == (302, url)
    made = json.loads(traced.only_case())
    assert made["request"]["json"]["from"] == "+61415550002"
    assert made["request"]["json"]["contact"]["again"] == "0415 550 002"
    assert made["country"] == "AU"
    (event,) = made["expect"]["events"]
    assert (event["type"], event["from"], event["to"], event["text"]) == (
        "message", "+61415550002", "+61855550003", "Hello",
    )  # fmt: skip


def test_a_webhook_that_fits_no_event_becomes_a_case_of_that(traced: Traced, reseller: User) -> None:
    row = traced.receive({**INBOUND, "event": "moved"})
    signed_in(reseller).post(f"/admin/messaging/webhookrequest/{row.pk}/case/")
    expected = json.loads(traced.only_case())["expect"]
    assert (expected["events"], expected["unmatched"]) == ([], True)


def test_the_answer_to_an_attempt_becomes_a_case(traced: Traced, reseller: User) -> None:
    body = {"code": 5, "reason": "Zaphod at +61412345678 refuses", "id": "998877665544", "key": KEY}
    attempt = traced.attempt(400, json.dumps(body))
    client = signed_in(reseller)
    page = client.get(f"/admin/messaging/message/{traced.message.pk}/change/").content.decode()
    assert "Make this answer a case" in page
    assert client.post(f"/admin/messaging/deliveryattempt/{attempt.pk}/case/").status_code == 302
    made = json.loads(traced.only_case())
    assert made["message"] == {"from": "+15005550006", "to": "+15005550001", "text": "Hello"}
    assert (made["responses"][0]["status"], made["responses"][0]["json"]["code"]) == (400, 5)
    assert made["outcome"]["result"] == "failed"


@pytest.mark.parametrize("who", ["organization admin", "member"])
def test_only_who_may_change_the_template_makes_cases(
    traced: Traced, who: str, admin_of_acme: User, alice: User
) -> None:
    row, attempt = traced.receive(INBOUND), traced.attempt(400, "{}")
    client = signed_in(admin_of_acme if who == "organization admin" else alice)
    expected = 404 if who == "organization admin" else 403
    for page in (f"webhookrequest/{row.pk}", f"deliveryattempt/{attempt.pk}"):
        assert client.post(f"/admin/messaging/{page}/case/").status_code == expected
    for page in (f"webhookrequest/{row.pk}", f"message/{traced.message.pk}"):
        assert " a case</button>" not in client.get(f"/admin/messaging/{page}/change/").content.decode()
    assert TemplateCase.objects.count() == 0
