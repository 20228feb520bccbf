"""What is stored as secret stays secret, whatever a later document says."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from integrations import holds, properties, webhooks
from integrations.events import InboundRequest
from integrations.language.errors import DocumentError
from integrations.models import Integration, PropertyValues, Template
from integrations.sandbox import Sandbox
from messaging.models import DeliveryAttempt, Message, Number, WebhookRequest
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from messaging.statuses import QueueState
from portal.models import Organization, User
from tests.pages import post

KEY = "planted-secret-1"
SETUP = "/admin/integrations/integration/organization/{}/{}/"
ACCOUNT = "/admin/integrations/integration/account/{}/{}/"
FLAGS = [
    {"name": "API key", "secret": False},
    {"name": "API key", "type": "secret", "secret": False},
    {"name": "API key", "type": "text"},
    {"name": "API key", "type": "choice", "choices": ["one", "other"]},
    {"name": "API key", "type": "list"},
    {"name": "API key", "type": "list", "secret": False, "required": False},
    {"name": "API key", "type": "text", "default": "nothing", "required": False},
    {"name": "API key", "type": "boolean", "required": False},
]


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
        "Webhook": [{"event_type": "message", "request_parameters": {"from": "$from$", "text": "$text$"}}],
    }


@pytest.fixture
def template(acme: Organization, sandbox: Sandbox) -> Template:
    template = Template(account=acme.account)
    template.revise(json.dumps(document(sandbox.api_url)))
    return template


@pytest.fixture
def integration(template: Template, acme: Organization, admin_of_acme: User) -> Integration:
    """Set up on the page."""
    assert (
        post(signed_in(admin_of_acme), SETUP.format(acme.pk, template.pk), {"property-0": KEY}).status_code
        == 302
    )
    return Integration.objects.get()


@pytest.fixture
def number(integration: Integration, alice: User) -> Number:
    number = Number.objects.create(
        organization=integration.organization, integration=integration, number="+61855555501", country="AU"
    )
    number.assignments.create(user=alice)
    return number


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def revise(template: Template, change: Callable[[dict[str, Any]], Any], *, publish: bool = True) -> Any:
    assert template.published is not None
    made = json.loads(template.published.source)
    change(made)
    return (template.revise if publish else template.save_draft)(json.dumps(made))


def with_flag(flag: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return lambda made: made.update(properties=[flag])


def pages(integration: Integration, *users: User) -> str:
    """All pages about the integration's values, as these users see them."""
    organization, template = integration.organization, integration.template
    urls = [
        SETUP.format(organization.pk, template.pk),
        ACCOUNT.format(organization.account_id, template.pk),
        f"/admin/integrations/integration/organization/{organization.pk}/",
        "/admin/integrations/integration/",
        f"/admin/integrations/template/{template.pk}/studio/",
        f"/admin/integrations/integration/account/{organization.account_id}/",
        f"/admin/integrations/integration/account/{organization.account_id}/{template.pk}/organizations/",
    ]
    found = ""
    for user in users:
        client = signed_in(user)
        for url in urls:
            found += client.get(url).content.decode()
        found += client.post(urls[0], {"property-0": "", "do": "check"}).content.decode()
        found += client.post(urls[0], {"property-0": "", "do": "save"}).content.decode()
    return found


@pytest.mark.parametrize("flag", FLAGS, ids=json.dumps)
def test_a_stored_secret_is_not_shown_when_the_document_says_it_is_none(
    integration: Integration, number: Number, admin_of_acme: User, reseller: User, alice: User,
    sandbox: Sandbox, flag: dict[str, Any],
) -> None:  # fmt: skip
    revise(integration.template, with_flag(flag))
    url = SETUP.format(integration.organization_id, integration.template_id)
    page = signed_in(admin_of_acme).get(url).content.decode()
    assert KEY not in page
    assert "Enter it again" in page
    submit(alice, number, "+61412345678", text="Hello")
    dispatch.drain()
    assert sandbox.received == []  # nothing is sent with a blank
    assert Message.objects.get().queue_state == QueueState.WAITING
    assert KEY not in pages(integration, admin_of_acme, reseller)


@pytest.mark.parametrize("flag", FLAGS[:3], ids=json.dumps)
def test_a_pinned_revision_shows_it_no_more_than_a_published_one(
    integration: Integration, admin_of_acme: User, reseller: User, flag: dict[str, Any]
) -> None:
    revision = revise(integration.template, with_flag(flag), publish=False)
    Integration.objects.update(revision=revision)
    assert KEY not in pages(integration, admin_of_acme, reseller)


def test_a_property_that_is_renamed_and_back_stays_secret(
    integration: Integration, admin_of_acme: User, reseller: User
) -> None:
    def rename(made: dict[str, Any]) -> None:
        made["properties"] = [{"name": "Key", "required": False}]
        made["auth"]["token"] = "$Key$"

    def back(made: dict[str, Any]) -> None:
        made["properties"] = [{"name": "API key", "secret": False}]
        made["auth"]["token"] = "$API key$"

    revise(integration.template, rename)
    assert (
        KEY
        not in signed_in(admin_of_acme)
        .get(SETUP.format(integration.organization_id, integration.template_id))
        .content.decode()
    )
    revise(integration.template, back)
    assert KEY not in pages(integration, admin_of_acme, reseller)


def test_a_secret_of_the_account_stays_secret(
    template: Template, acme: Organization, admin_of_acme: User, reseller: User
) -> None:
    assert (
        post(
            signed_in(reseller), ACCOUNT.format(acme.account_id, template.pk), {"property-0": KEY}
        ).status_code
        == 302
    )
    assert (
        post(signed_in(admin_of_acme), SETUP.format(acme.pk, template.pk), {"property-0": ""}).status_code
        == 302
    )
    revise(template, with_flag(FLAGS[0]))
    integration = Integration.objects.get()
    assert KEY not in pages(integration, admin_of_acme, reseller)
    assert properties.values_of([Integration.objects.ready().get()])[integration.pk] == {}


def test_it_works_again_once_it_is_entered_again(
    integration: Integration, number: Number, admin_of_acme: User, alice: User, sandbox: Sandbox
) -> None:
    submit(alice, number, "+61412345678", text="Hello")
    revise(integration.template, with_flag(FLAGS[0]))
    dispatch.drain()
    assert sandbox.received == []
    url = SETUP.format(integration.organization_id, integration.template_id)
    assert "Enter API key again" in signed_in(admin_of_acme).get(url).content.decode()
    assert post(signed_in(admin_of_acme), url, {"property-0": "shown-key"}).status_code == 302
    dispatch.drain()
    assert [request.headers["authorization"] for request in sandbox.received] == ["Bearer shown-key"]
    assert 'value="shown-key"' in signed_in(admin_of_acme).get(url).content.decode()


def test_the_answer_to_a_webhook_does_not_contain_it(integration: Integration, number: Number) -> None:
    def answering(made: dict[str, Any]) -> None:
        made["properties"] = [FLAGS[0]]
        made["Webhook"][0]["response"] = {"body": "<$API key$>"}

    revise(integration.template, answering)
    url = f"/services/acme-sms/a{integration.organization.orgid}"
    body = {"from": "+61412345678", "text": "Hi"}
    answer = Client().post(url, body, content_type="application/json")
    assert (answer.status_code, KEY.encode() in answer.content) == (200, False)


def test_a_value_that_no_longer_counts_verifies_no_webhook(integration: Integration, number: Number) -> None:
    def verified(made: dict[str, Any]) -> None:
        made["properties"] = [FLAGS[0]]
        made["Webhook"] = {
            "verify": {"type": "header", "name": "X-Key", "value": "$API key$"},
            "events": made["Webhook"],
        }

    revise(integration.template, verified)
    url = f"/services/acme-sms/a{integration.organization.orgid}"
    for given in ({}, {"X-Key": ""}, {"X-Key": KEY}, {"X-Key": "None"}):
        answer = Client().post(
            url, {"from": "+61412345678", "text": "Hi"}, content_type="application/json", headers=given
        )
        assert answer.status_code == 401
    assert Message.objects.count() == 0


def test_traces_stay_masked_when_the_document_says_it_is_no_secret(
    integration: Integration, number: Number, admin_of_acme: User, alice: User
) -> None:
    url = f"/services/acme-sms/a{integration.organization.orgid}"
    body = {"from": "+61412345678", "text": f"the key is {KEY}"}
    Client().post(url, body, content_type="application/json", headers={"X-Key": KEY})
    submit(alice, number, "+61412345678", text=f"Hello {KEY}")
    dispatch.drain()
    revise(integration.template, with_flag(FLAGS[0]))
    client = signed_in(admin_of_acme)
    page = client.get(f"/admin/messaging/webhookrequest/{WebhookRequest.objects.get().pk}/change/")
    assert (page.status_code, KEY in page.content.decode()) == (200, False)
    attempt = DeliveryAttempt.objects.get()
    assert KEY not in json.dumps([attempt.headers, attempt.body, attempt.url, attempt.answer_body])


@pytest.mark.parametrize(
    "change",
    [
        {"request_parameters": {"k": "$API key|hex$", "to": "$to$"}},
        {"request_parameters": {"k": "$v|upper$"}, "variables": {"v": "x$API key$"}},
        {"request_query": {"k": "$API key|sha256$"}},
        {"request_headers": {"X-Key": "$API key|base64|hex$"}},
        {"request_parameters": {"k": {"$when": {"$API key$": {"matches": "^planted"}}, "$value": "it does"}}},
    ],
    ids=json.dumps,
)
def test_traces_do_not_show_what_was_made_of_a_secret(
    integration: Integration, number: Number, alice: User, change: dict[str, Any]
) -> None:
    revise(integration.template, lambda made: made["API"]["SendMessage"].update(change))
    submit(alice, number, "+61412345678", text="Hello")
    dispatch.drain()
    attempt = DeliveryAttempt.objects.get()
    shown = json.dumps([attempt.headers, attempt.body, attempt.url]).casefold()
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    for derived in (KEY, KEY.encode().hex(), digest, base64.b64encode(KEY.encode()).hex(), "it does"):
        assert derived not in shown


@pytest.mark.parametrize(
    "change",
    [
        {"response_errors": [{"when": {"$status$": 400}, "text": "$API key|hex$"}]},
        {"response_errors": [{"when": {"$API key$": {"matches": "^a"}}, "result": "failed"}]},
        {"response_errors": [{"code": "$v$"}], "variables": {"v": "$API key$"}},
        {"response_map": {"id": "$messageid|or:API key$"}},
        {"response_success": {"$API key$": "x"}},
    ],
    ids=json.dumps,
)
def test_what_people_see_of_a_response_is_not_made_of_a_secret(
    template: Template, change: dict[str, Any]
) -> None:
    with pytest.raises(DocumentError, match="people see what a response means"):
        revise(template, lambda made: made["API"]["SendMessage"].update(change))
    assert template.revisions.count() == 1


def test_each_element_of_a_secret_list_is_masked(
    integration: Integration, number: Number, admin_of_acme: User
) -> None:
    revise(
        integration.template,
        lambda made: made["properties"].append({"name": "Old keys", "type": "list", "secret": True}),
    )
    found = Integration.objects.ready().get()
    holds.enter(found, {"API key": KEY, "Old keys": ["first-old-key", "second-old-key"]})
    url = f"/services/acme-sms/a{integration.organization.orgid}"
    Client().post(url, {"from": "+61412345678", "text": "second-old-key"}, content_type="application/json")
    page = signed_in(admin_of_acme).get(
        f"/admin/messaging/webhookrequest/{WebhookRequest.objects.get().pk}/change/"
    )
    assert (page.status_code, "second-old-key" in page.content.decode()) == (200, False)


def test_what_was_public_and_becomes_secret_is_no_longer_shown(
    template: Template, acme: Organization, admin_of_acme: User
) -> None:
    revise(template, with_flag(FLAGS[0]))
    url = SETUP.format(acme.pk, template.pk)
    client = signed_in(admin_of_acme)
    post(client, url, {"property-0": "formerly-public"})
    assert "formerly-public" in client.get(url).content.decode()
    revise(template, with_flag({"name": "API key"}))
    assert "formerly-public" not in client.get(url).content.decode()
    assert not Integration.objects.get().holds_messages


def test_what_pages_get_holds_no_secret(integration: Integration) -> None:
    found = Integration.objects.ready().get()
    row = PropertyValues.objects.get()
    shown = properties.shown(found.compiled, row)
    assert (shown.values, shown.saved, KEY in repr(shown)) == ({}, {"API key"}, False)
    credentials = properties.credentials_of([found])[found.pk]
    assert KEY not in repr(credentials)
    assert KEY not in repr(row)
    received = webhooks.read(found.compiled, InboundRequest("POST"), credentials.values)
    assert KEY not in repr(received)
