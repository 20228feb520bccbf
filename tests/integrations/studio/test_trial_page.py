"""Trying a provider on a page: simulated nothing leaves and nothing is stored; for real one request does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from integrations import holds
from integrations.models import Integration, Template
from integrations.sandbox import Sandbox
from messaging.models import DeliveryAttempt, Message
from portal.models import AuditEntry, Organization, User

KEY = "planted-secret-1"
SEND = {"do": "send", "send-text": "Hello <b>", "send-answer": "ok", "send-report": "delivered"}


@dataclass
class Try:
    """A template of Acme's account that Acme uses with a key of its own, and the pages on which it is tried."""

    template: Template
    integration: Integration
    sandbox: Sandbox

    @property
    def studio(self) -> str:
        return reverse("admin:integrations_studio_trial", args=[self.template.pk])

    @property
    def page(self) -> str:
        args = [self.integration.organization_id, self.template.pk]
        return reverse("admin:integrations_trial", args=args)

    def draft(self, **changes: Any) -> None:
        """A draft that sends the key to another place."""
        self.template.save_draft(json.dumps(document(self.sandbox.api_url) | changes))


def document(url: str) -> dict[str, Any]:
    return {
        "id": "acme-sms",
        "name": "Acme SMS",
        "properties": ["API key"],
        "auth": {"type": "Bearer", "token": "$API key$"},
        "API": {
            "SendMessage": {
                "request_url": url,
                "request_parameters": {"from": "$from$", "to": "$to$", "content": "$content$"},
            }
        },
        "Webhook": [
            {
                "event_type": "message",
                "request_parameters": {"from": "$from$", "to": "$to$", "text": "$text$"},
            }
        ],
    }


@pytest.fixture
def tried(acme: Organization, sandbox: Sandbox) -> Try:
    template = Template(account=acme.account)
    template.revise(json.dumps(document(sandbox.api_url)))
    integration = Integration.objects.create(organization=acme, template=template)
    holds.enter(integration, {"API key": KEY})
    return Try(template, integration, sandbox)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def rows() -> dict[str, int]:
    """How many rows there are of each model of ours."""
    found = [
        model
        for app in ("portal", "integrations", "messaging")
        for model in apps.get_app_config(app).get_models()
    ]
    return {model._meta.label: model._default_manager.count() for model in found}


def shown(client: Client, url: str) -> str:
    return client.get(url).content.decode()


def real(client: Client, url: str, **changes: str) -> dict[str, str]:
    """The form for a message for real, as the page has it."""
    found = re.search(r'name="real-token" value="([^"]+)"', shown(client, url))
    form = {"do": "real", "real-sender": "+61855555501", "real-to": "+61 412 345 678", "real-text": "Hello"}
    chosen = re.search(r'name="integration" value="(\d+)"', shown(client, url))
    return (
        form | {"real-token": found[1] if found else "", "integration": chosen[1] if chosen else ""} | changes
    )


@pytest.mark.parametrize("place", ["studio", "page"])
def test_a_simulated_round_trip_is_shown_and_nothing_is_stored(
    tried: Try, reseller: User, place: str
) -> None:
    client, url = signed_in(reseller), getattr(tried, place)
    before = rows()
    answer = client.post(url, SEND)
    assert (answer.status_code, answer["Location"].partition("#")[2]) == (302, "phone")
    page = shown(client, url)
    assert page.count("Hello &lt;b&gt;") >= 3  # on the phone, in the request, and in the time line
    assert "The seconds are simulated" in page
    assert "The provider has accepted it" in page
    answer = client.post(url, {"do": "reply", "reply-text": "Yes, please"})
    assert answer.status_code == 302
    page = shown(client, url)
    assert "What Patchbay reads" in page
    assert "Yes, please" in page
    assert client.post(url, {"do": "clear"}).status_code == 302
    assert "Yes, please" not in shown(client, url)
    assert (rows(), tried.sandbox.received) == (before, [])


def test_a_draft_is_tried_before_anybody_uses_it(tried: Try, reseller: User) -> None:
    tried.template.save_draft(json.dumps(document("https://elsewhere.example/v2")))
    client = signed_in(reseller)
    client.post(tried.studio, SEND)
    assert "POST https://elsewhere.example/v2" in shown(client, tried.studio)
    client.post(tried.studio, SEND | {"revision": "1"})
    assert f"POST {tried.sandbox.api_url}" in shown(client, tried.studio)
    assert "https://elsewhere.example" not in shown(client, tried.page)


def test_a_template_without_a_document_says_so(tried: Try, reseller: User) -> None:
    empty = Template.objects.create(account=tried.template.account, service_id="empty", name="Empty")
    page = shown(signed_in(reseller), reverse("admin:integrations_studio_trial", args=[empty.pk]))
    assert "Nothing to try" in page


def test_a_file_goes_to_the_phone(tried: Try, reseller: User) -> None:
    client = signed_in(reseller)
    file = SimpleUploadedFile("<cat>.png", b"\x89PNG\r\n\x1a\n" + bytes(100), "image/png")
    assert client.post(tried.studio, SEND | {"send-file": file}).status_code == 302
    assert "/media/trial/file.png" in shown(client, tried.studio)


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"send-text": ""}, "Write a text, or choose a file."),
        ({"send-text": "x" * 1001}, "at most 1000 characters"),
        ({"send-answer": "maybe"}, "Select a valid choice"),
        ({"send-report": "lost"}, "Select a valid choice"),
        (
            {"send-file": SimpleUploadedFile("a.png", bytes(512 * 1024 + 1))},
            "The file is larger than 512 KiB",
        ),
        ({"do": "reply", "reply-text": " "}, "Write a text."),
    ],
)
def test_what_cannot_be_tried_is_told(tried: Try, reseller: User, form: dict[str, Any], says: str) -> None:
    client = signed_in(reseller)
    answer = client.post(tried.studio, SEND | form)
    assert (answer.status_code, says in answer.content.decode()) == (422, True)
    assert "Send a text, or write one on the phone" in shown(client, tried.studio)


def test_only_the_newest_ten_are_kept_and_each_person_has_their_own(
    tried: Try, reseller: User, operator: User
) -> None:
    client = signed_in(reseller)
    for number in range(12):
        client.post(tried.studio, SEND | {"send-text": f"Text {number}."})
    page = shown(client, tried.studio)
    assert ("Text 11." in page, "Text 2." in page, "Text 1." in page) == (True, True, False)
    assert "Text 11." not in shown(signed_in(operator), tried.studio)


def test_administrators_of_an_organization_try_it_simulated_alone(tried: Try, admin_of_acme: User) -> None:
    client = signed_in(admin_of_acme)
    before = rows()
    assert client.post(tried.page, SEND).status_code == 302
    page = shown(client, tried.page)
    assert ("The provider has accepted it" in page, "For real" in page) == (True, False)
    assert "request_parameters" not in page
    form = real(client, tried.page, integration=str(tried.integration.pk), **{"real-token": "x"})
    assert client.post(tried.page, form).status_code == 404
    assert client.get(tried.studio).status_code == 404
    assert (rows(), tried.sandbox.received) == (before, [])


def test_a_built_in_provider_is_tried_from_the_gallery(
    acme: Organization, admin_of_acme: User, generic: Template
) -> None:
    client = signed_in(admin_of_acme)
    url = reverse("admin:integrations_trial", args=[acme.pk, generic.pk])
    assert f'href="{url}"' in shown(client, reverse("admin:integrations_gallery", args=[acme.pk]))
    assert f'href="{url}"' in shown(client, reverse("admin:integrations_setup", args=[acme.pk, generic.pk]))
    assert client.post(url, SEND).status_code == 302
    assert "The provider has accepted it" in shown(client, url)
    assert not Integration.objects.exists()


@pytest.mark.parametrize("who", ["charlie", "alice", "admin_of_globex", "stranger"])
def test_strangers_try_nothing(
    tried: Try, request: pytest.FixtureRequest, who: str, make_reseller: Callable[[], User]
) -> None:
    user = make_reseller() if who == "stranger" else request.getfixturevalue(who)
    client, before = signed_in(user), rows()
    form = {
        "do": "real",
        "integration": str(tried.integration.pk),
        "real-token": "x",
        "real-sender": "+61855555501",
    }
    for url in (tried.studio, tried.page):
        for answer in (client.get(url), client.post(url, SEND), client.post(url, form)):
            assert answer.status_code in (403, 404)
    assert (rows(), tried.sandbox.received) == (before, [])


# --- For real ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["reseller", "operator"])
@pytest.mark.parametrize("place", ["studio", "page"])
def test_one_request_is_sent_for_real(
    tried: Try, request: pytest.FixtureRequest, who: str, place: str
) -> None:
    client, url = signed_in(request.getfixturevalue(who)), getattr(tried, place)
    page = shown(client, url)
    assert "The provider charges Acme for it" in page
    assert f"<strong>API key</strong> goes to {tried.sandbox.origin}." in page
    assert client.post(url, real(client, url)).status_code == 302
    [received] = tried.sandbox.received
    assert received.json == {"from": "+61855555501", "to": "+61412345678", "content": "Hello"}
    assert received.headers["authorization"] == f"Bearer {KEY}"
    page = shown(client, url)
    # The sandbox knows another key.
    assert ("The credentials are wrong" in page, "The seconds were measured." in page) == (True, True)
    assert ("Authorization: Bearer •••" in page, KEY in page) == (True, False)
    entry = AuditEntry.objects.get(action="tried")
    assert (entry.object_id, entry.changes) == (str(tried.integration.pk), {"revision": ["", "1"]})
    assert (Message.objects.count(), DeliveryAttempt.objects.count()) == (0, 0)


def test_a_second_click_sends_nothing(tried: Try, reseller: User) -> None:
    client = signed_in(reseller)
    form = real(client, tried.page)
    statuses = [client.post(tried.page, form).status_code for _ in range(2)]
    assert (statuses, len(tried.sandbox.received)) == ([302, 422], 1)
    assert AuditEntry.objects.filter(action="tried").count() == 1


def test_an_answer_that_repeats_the_secret_is_redacted(tried: Try, reseller: User) -> None:
    tried.template.revise(
        json.dumps(document(f"{tried.sandbox.origin}/api/{KEY}/nothing") | {"properties": ["API key"]})
    )
    client = signed_in(reseller)
    assert client.post(tried.page, real(client, tried.page)).status_code == 302
    page = shown(client, tried.page)
    assert ("The provider refuses it" in page, KEY in page) == (True, False)


def test_a_draft_sends_no_secret_to_an_origin_that_nobody_confirmed(
    tried: Try, reseller: User, settings: Any
) -> None:
    other = Sandbox(delay_delivered=0.05)
    other.start()
    settings.PATCHBAY_ALLOWED_ORIGINS = [tried.sandbox.origin, other.origin]
    client = signed_in(reseller)
    form = real(client, tried.studio)
    tried.template.save_draft(json.dumps(document(other.api_url)))
    page = shown(client, tried.studio)
    assert f"Acme SMS will now send your API key to {other.origin}." in page
    assert "Send one message for real" not in page
    before = rows()
    answer = client.post(tried.studio, form)
    assert answer.status_code == 422
    assert (rows(), other.received, tried.sandbox.received) == (before, [], [])
    other.stop()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"real-to": "0412 345 678"}, "Write the number with + and its country code"),
        ({"real-to": ""}, "This field is required."),
        ({"real-sender": ""}, "This field is required."),
        ({"real-text": ""}, "This field is required."),
        ({"real-token": ""}, "This field is required."),
        ({"real-text": "x" * 400}, "This text takes 3 requests, and a trial sends one."),
    ],
)
def test_nothing_is_sent_for_real_that_is_incomplete(
    tried: Try, reseller: User, changes: dict[str, str], says: str
) -> None:
    split = document(tried.sandbox.api_url)
    split["API"]["SendMessage"]["split"] = {"max": 160}
    tried.template.revise(json.dumps(split))
    client = signed_in(reseller)
    form, before = real(client, tried.page, **changes), rows()
    answer = client.post(tried.page, form)
    if changes != {"real-token": ""}:
        assert says in answer.content.decode()
    assert (answer.status_code, rows(), tried.sandbox.received) == (422, before, [])


def test_nothing_is_sent_for_real_while_it_is_switched_off(tried: Try, reseller: User) -> None:
    client = signed_in(reseller)
    form = real(client, tried.page)
    Integration.objects.update(enabled=False)
    assert client.post(tried.page, form).status_code == 404
    assert ("For real" in shown(client, tried.page), tried.sandbox.received) == (False, [])


def test_a_value_that_is_missing_is_asked_for(tried: Try, reseller: User) -> None:
    needs = document(tried.sandbox.api_url) | {"properties": ["API key", "API secret"]}
    tried.template.save_draft(json.dumps(needs))
    assert "Acme SMS needs API secret. Enter it." in shown(signed_in(reseller), tried.studio)


def test_ten_messages_an_hour_are_sent_for_real(tried: Try, reseller: User) -> None:
    client = signed_in(reseller)
    form = real(client, tried.page)
    answers = [client.post(tried.page, form | {"real-token": f"token-{number}"}) for number in range(11)]
    assert [answer.status_code for answer in answers] == [302] * 10 + [422]
    assert "You have sent 10 messages in this hour." in answers[-1].content.decode()
    assert len(tried.sandbox.received) == 10


def test_the_organization_is_chosen_where_there_are_several(
    tried: Try, globex: Organization, reseller: User
) -> None:
    other = Integration.objects.create(organization=globex, template=tried.template)
    holds.enter(other, {"API key": "planted-secret-2"})
    client = signed_in(reseller)
    assert "Send one message for real" not in shown(client, tried.studio)
    url = f"{tried.studio}?integration={other.pk}"
    assert client.post(tried.studio, real(client, url)).status_code == 302
    [received] = tried.sandbox.received
    assert received.headers["authorization"] == "Bearer planted-secret-2"
