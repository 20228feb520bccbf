"""Requests that pretend to be a provider's: nothing of Acme changes, whoever sends what to which URL.

The attacker knows all ids, numbers and URLs, and has Globex's keys, but not Acme's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations import properties
from integrations.models import Integration, PropertyValues, Template
from messaging.engine import webhooks
from messaging.inbound import delivery_reports, file_events, reprocess
from messaging.models import (
    Contact,
    Conversation,
    DeliveryAttempt,
    Message,
    Number,
    OptOut,
    WebhookEvent,
    WebhookRequest,
)
from messaging.statuses import Direction, QueueState, Status
from portal import process
from portal.models import Account, Organization, User

FROM = "+61412345678"
KEY = {"type": "header", "name": "X-Key", "value": "$Key$"}
EVENTS: list[dict[str, Any]] = [
    {
        "event_type": "messageStatus",
        "request_parameters": {"type": "status", "id": "$messageid?$", "ref": "$message_uuid?$", "is": "$status$"},
        "status_map": {"delivered": "delivered", "failed": "failed"},
    },
    {
        "event_type": "messageDelivered",
        "request_parameters": {"type": "many", "items": [{"id": "$messageid$"}]},
    },
    {
        "event_type": "optOut",
        "continue": True,
        "request_parameters": {"type": "in", "stop": "yes", "from": "$from$", "to": ["$to$"]},
    },
    {
        "event_type": "message",
        "request_parameters": {"type": "in", "id": "$messageid?$", "from": "$from$", "to": ["$to$"], "text": "$content$"},
    },
    {"event_type": "ignore", "request_parameters": {"type": "ping"}},
]  # fmt: skip
ANSWER = {"body": {"ours": "$message_uuid$"}}


def document(name: str, verify: Any, events: list[dict[str, Any]] | None = None) -> str:
    section: dict[str, Any] = {"events": events or EVENTS, "response": ANSWER}
    if verify is not None:
        section["verify"] = verify
    return json.dumps({"id": name, "name": name.title(), "properties": ["Key"], "Webhook": section})


@dataclass
class World:
    """Acme and Globex with the same provider, each with a number and a message that was sent."""

    account: Account
    template: Template
    acme: Integration
    globex: Integration
    number: Number
    theirs: Number
    message: Message
    their_message: Message

    def post(self, owner: str, document: Any, key: str = "", service: str = "signed", **extra: Any) -> Any:
        url = f"/services/{service}/a{self.owner(owner)}"
        body = document if isinstance(document, bytes) else json.dumps(self.filled(document)).encode()
        headers = {"X-Key": key} if key else {}
        return Client().post(url, body, content_type="application/json", headers=headers, **extra)

    def owner(self, name: str) -> str:
        if name == "account":
            return self.account.accountid
        return Organization.objects.get(name=name).orgid

    def filled(self, document: Any) -> Any:
        """The document with the ids of Acme's and Globex's messages and numbers."""
        if isinstance(document, dict):
            return {key: self.filled(value) for key, value in document.items()}
        if isinstance(document, list):
            return [self.filled(value) for value in document]
        return {
            "ACME": self.number.number,
            "GLOBEX": self.theirs.number,
            "REF": str(self.message.uuid),
        }.get(document, document)

    def settle(self) -> None:
        """All that happens later: what was stored is filed, released and reprocessed."""
        file_events.drain()
        delivery_reports.release_all()
        file_events.drain()
        for row in WebhookRequest.objects.order_by("pk"):
            reprocess.process_anyway(row)
        reprocess.reprocess_many(WebhookRequest.objects.all())
        file_events.drain()

    def assert_untouched(self, but: str = "signed") -> None:
        """`but`: an orphan of Acme's own may wait at this provider, if it is another one."""
        self.settle()
        self.message.refresh_from_db()
        organization = self.acme.organization
        assert (self.message.status, self.message.status_text) == (Status.SENT, "")
        assert set(self.message.delivery_attempts.values_list("status", flat=True)) <= {Status.SENT}
        assert not WebhookEvent.objects.filter(message=self.message).exists()
        assert not Message.objects.filter(organization=organization, direction=Direction.IN).exists()
        events = WebhookEvent.objects.filter(organization=organization)
        assert not (events.exclude(state="orphan") if but != "signed" else events).exists()
        assert not WebhookEvent.objects.filter(number=self.number).exists()
        assert not OptOut.objects.filter(organization=organization).exists()


def sent(number: Number, messageid: str = "") -> Message:
    """A message that was sent from a number; with the id that the provider has given it."""
    contact, _ = Contact.objects.get_or_create(organization=number.organization, address=FROM)
    conversation, _ = Conversation.objects.get_or_create(
        organization=number.organization, number=number, contact=contact
    )
    message = Message.objects.create(
        organization=number.organization,
        conversation=conversation,
        integration=number.integration,
        direction=Direction.OUT,
        text="hi",
        status=Status.SENT,
        queue_state=QueueState.DONE,
        expires_at=timezone.now(),
    )
    if messageid:
        recorded(message, messageid)
    return message


def recorded(message: Message, messageid: str) -> None:
    """The provider has answered with its id."""
    DeliveryAttempt.objects.create(
        message=message,
        organization=message.organization,
        integration=message.integration,
        fence=message.delivery_attempts.count() + 1,
        started_at=timezone.now(),
        result="sent",
        provider_id=messageid,
        status=Status.SENT,
    )
    webhooks.release_orphans([messageid], [message.pk])


def enable(organization: Organization, template: Template, **values: str) -> Integration:
    integration = Integration.objects.create(organization=organization, template=template)
    properties.store(integration, values)
    return integration


@pytest.fixture
def world(acme: Organization, globex: Organization, account: Account) -> World:
    template = Template(account=account)
    template.revise(document("signed", KEY))
    ours, theirs = enable(acme, template, Key="acme's"), enable(globex, template, Key="globex's")
    number = Number.objects.create(organization=acme, integration=ours, number="+61855555501", country="AU")
    other = Number.objects.create(
        organization=globex, integration=theirs, number="+61855555599", country="AU"
    )
    Organization.objects.create(account=account, name="Nobody", domain="nobody.example")
    return World(account, template, ours, theirs, number, other, sent(number, "m1"), sent(other, "g1"))


BY_ID = {"type": "status", "id": "m1", "is": "failed"}
BY_OUR_ID = {"type": "status", "ref": "REF", "is": "failed"}
BY_BOTH = {"type": "status", "id": "m1", "ref": "REF", "is": "failed"}
BY_A_STRANGE_ID = {"type": "status", "id": "g1", "ref": "REF", "is": "failed"}
MANY = {"type": "many", "items": [{"id": "m1"}, {"id": "m1"}]}
TEXT = {"type": "in", "from": FROM, "to": ["ACME"], "text": "Hello"}
KEYWORD = {**TEXT, "text": "STOP"}
OPT_OUT = {**TEXT, "stop": "yes"}
FORGED = [BY_ID, BY_OUR_ID, BY_BOTH, MANY, TEXT, {**TEXT, "id": "t1"}, KEYWORD, OPT_OUT]


@pytest.mark.parametrize("owner", ["account", "Acme", "Globex", "Nobody"])
def test_without_a_key(world: World, owner: str) -> None:
    for forged in FORGED:
        answer = world.post(owner, forged)
        assert (answer.status_code, answer.content) == (401, b"")
    row = WebhookRequest.objects.get()
    assert (row.verdict, row.more) == ("unverified", len(FORGED) - 1)
    assert WebhookEvent.objects.count() == 0
    world.assert_untouched()


@pytest.mark.parametrize("owner", ["account", "Acme", "Globex", "Nobody"])
def test_with_the_key_of_another_organization(world: World, owner: str) -> None:
    statuses = {world.post(owner, forged, key="globex's").status_code for forged in FORGED}
    assert statuses == ({200} if owner == "Globex" else {401})
    assert WebhookEvent.objects.exclude(integration=world.globex).count() == 0
    world.post(owner, BY_A_STRANGE_ID, key="globex's")
    world.assert_untouched()


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
@pytest.mark.parametrize("owner", ["account", "Globex", "Nobody"])
def test_by_another_method(world: World, owner: str, method: str) -> None:
    url = f"/services/signed/a{world.owner(owner)}?type=status&id=m1&is=failed"
    body = json.dumps(BY_ID).encode()
    answer = getattr(Client(), method)(url, **({} if method in ("get", "head") else {"data": body, "content_type": "application/json"}))  # fmt: skip
    assert answer.status_code == (200 if method in ("head", "options") else 401)
    assert WebhookEvent.objects.count() == 0
    world.assert_untouched()


def test_their_own_id_beside_ours_changes_theirs_alone(world: World) -> None:
    both = {"type": "many", "items": [{"id": "m1"}, {"id": "g1"}, {"id": "m1"}]}
    assert world.post("account", both, key="globex's").status_code == 200
    row = WebhookRequest.objects.get()
    assert (row.verdict, row.organization) == ("accepted", world.globex.organization)
    assert row.reason == " ".join(["Nothing in the request proves that it is for Acme."] * 2)
    world.assert_untouched()
    world.their_message.refresh_from_db()
    assert world.their_message.status == Status.DELIVERED


def test_a_report_of_another_organization_beside_theirs_is_seen(world: World) -> None:
    world.post("account", {"type": "many", "items": [{"id": "m1"}, {"id": "g1"}]}, "globex's")
    row = WebhookRequest.objects.in_quarantine(User(is_operator=True)).get()
    unfit = WebhookEvent.objects.get(state="failed")
    assert (row.verdict, unfit.payload["place"]) == ("accepted", "/items/0")
    assert unfit.reason == "Nothing in the request proves that it is for Acme."
    world.assert_untouched()


def test_their_own_number_beside_ours_gets_the_text_alone(world: World) -> None:
    for forged in (TEXT, KEYWORD, OPT_OUT):
        assert world.post("account", {**forged, "to": ["GLOBEX", "ACME"]}, "globex's").status_code == 200
    world.assert_untouched()
    assert Message.objects.filter(organization=world.globex.organization, direction="in").count() == 3


def test_a_report_of_ours_beside_their_text(world: World) -> None:
    events = [{**EVENTS[0], "continue": True, "request_parameters": {"id": "$messageid$", "is": "$status$"}}]
    events.append(
        {**EVENTS[3], "request_parameters": {"from": "$from$", "to": ["$to$"], "text": "$content$"}}
    )
    world.template.revise(document("signed", KEY, events))
    mixed = {"id": "m1", "is": "failed", "from": FROM, "to": ["GLOBEX"], "text": "Hello"}
    assert world.post("account", mixed, "globex's").status_code == 200
    world.assert_untouched()
    assert Message.objects.filter(organization=world.globex.organization, direction="in").count() == 1


@pytest.mark.parametrize("owner", ["account", "Globex"])
def test_an_id_that_becomes_ours_later(world: World, owner: str) -> None:
    later = {"type": "many", "items": [{"id": "m2"}]}
    assert world.post(owner, later, key="globex's").status_code == 200
    file_events.drain()
    recorded(world.message, "m2")
    world.assert_untouched()


def test_a_service_that_nobody_has_set_up(world: World) -> None:
    Template(account=world.account).revise(document("other", KEY))
    for owner in ("account", "Acme", "Globex", "Nobody"):
        for forged in FORGED:
            assert world.post(owner, forged, service="other").status_code == 401
    assert WebhookEvent.objects.count() == 0
    world.assert_untouched()


def test_a_service_whose_only_integration_is_switched_off(world: World) -> None:
    Integration.objects.update(enabled=False)
    for owner in ("account", "Acme", "Globex"):
        for forged in FORGED:
            assert world.post(owner, forged).status_code == 401
    assert WebhookEvent.objects.count() == 0
    world.assert_untouched()


@pytest.mark.parametrize("owner", ["account", "Acme", "Globex", "Nobody"])
def test_through_a_provider_that_verifies_nothing(world: World, owner: str) -> None:
    template = Template(account=world.account)
    template.revise(document("open", None))
    for organization in (world.acme.organization, world.globex.organization):
        enable(organization, template, Key="x")
    for forged in FORGED:
        if "from" not in forged:  # anybody may send texts to Acme's number through it
            world.post(owner, forged, service="open")
    world.assert_untouched(but="open")


def test_the_url_of_an_organization_reaches_it_alone_without_verification(world: World) -> None:
    world.template.revise(document("signed", None))
    for owner in ("Globex", "Nobody"):
        for forged in (*FORGED, {"type": "many", "items": [{"id": "m2"}]}):
            world.post(owner, forged)
    file_events.drain()
    recorded(world.message, "m2")
    world.assert_untouched()


@pytest.mark.parametrize("owner", ["account", "Globex"])
def test_an_organization_that_pins_a_revision_without_verification(world: World, owner: str) -> None:
    world.globex.revision = world.template.save_draft(document("signed", None))
    world.globex.save()
    for forged in (*FORGED, {"type": "many", "items": [{"id": "g1"}, {"id": "m1"}, {"id": "m2"}]}):
        world.post(owner, forged)
        world.post(owner, {**forged, "to": ["GLOBEX", "ACME"]})
    file_events.drain()
    recorded(world.message, "m2")
    world.assert_untouched()


@pytest.mark.parametrize("owner", ["account", "Acme", "Globex"])
def test_we_pin_a_revision_with_verification(world: World, owner: str) -> None:
    world.acme.revision = world.template.published
    world.acme.save()
    world.template.revise(document("signed", None))
    for forged in (*FORGED, {"type": "many", "items": [{"id": "g1"}, {"id": "m1"}, {"id": "m2"}]}):
        world.post(owner, forged)
        world.post(owner, {**forged, "to": ["GLOBEX", "ACME"]})
    file_events.drain()
    recorded(world.message, "m2")
    world.assert_untouched()


def test_another_account_with_the_same_built_in_provider(world: World) -> None:
    Template.objects.filter(pk=world.template.pk).update(account=None)
    account = Account.objects.create(name="Other")
    organization = Organization.objects.create(account=account, name="Elsewhere", domain="else.example")
    enable(organization, world.template, Key="theirs")
    Integration.objects.filter(organization=world.globex.organization).update(enabled=False)
    for key in ("", "theirs", "globex's"):
        for owner in (account.accountid, organization.orgid):
            for forged in (*FORGED, {"type": "many", "items": [{"id": "m2"}]}):
                body = json.dumps(world.filled(forged))
                Client().post(
                    f"/services/signed/a{owner}",
                    body,
                    content_type="application/json",
                    headers={"X-Key": key},
                )
    file_events.drain()
    recorded(world.message, "m2")
    world.assert_untouched()


@pytest.mark.parametrize("owner", ["account", "Globex", "Nobody"])
def test_events_that_verify_one_by_one(world: World, owner: str) -> None:
    events = [event if event["event_type"] == "ignore" else {**event, "verify": KEY} for event in EVENTS]
    world.template.revise(document("signed", None, events))
    for forged in FORGED:
        assert world.post(owner, forged).status_code == 401
        world.post(owner, forged, key="globex's")
    world.assert_untouched()


def test_an_event_that_is_not_verified_opens_nothing_for_the_others(world: World) -> None:
    events = [{**event, "continue": True, "verify": KEY} for event in EVENTS[:4]]
    open_event = {"event_type": "ignore", "continue": True, "request_parameters": {}}
    world.template.revise(document("signed", None, [open_event, *events]))
    for owner in ("account", "Acme", "Globex", "Nobody"):
        for forged in FORGED:
            world.post(owner, forged)
            world.post(owner, forged, key="globex's")
    world.assert_untouched()


def test_a_list_of_schemes(world: World) -> None:
    schemes = [
        {"when": {"$headers.X-Other$": True}, "type": "header", "name": "X-Other", "value": "$Key$"},
        KEY,
    ]
    world.template.revise(document("signed", schemes))
    for owner in ("account", "Acme", "Globex", "Nobody"):
        for forged in FORGED:
            for value in ("", "other", "globex's"):
                world.post(owner, forged, HTTP_X_OTHER=value)
    world.assert_untouched()


def test_addresses_instead_of_keys(world: World) -> None:
    world.template.revise(document("signed", {"type": "ip", "ranges": "$Key$"}))
    properties.store(world.acme, {"Key": "203.0.113.0/24"})
    properties.store(world.globex, {"Key": "127.0.0.0/8"})
    for owner in ("account", "Acme", "Globex", "Nobody"):
        for forged in FORGED:
            world.post(owner, forged)
    world.assert_untouched()


def test_a_repeat_without_the_key_gets_no_stored_answer(world: World) -> None:
    first = world.post("account", TEXT, key="acme's")
    assert (first.status_code, list(first.json())) == (200, ["ours"])
    for key, owner in (("", "account"), ("", "Acme"), ("globex's", "account"), ("", "Globex")):
        again = world.post(owner, TEXT, key=key)
        assert (again.status_code, again.content) == (401, b"")
    other = world.post("Globex", TEXT, key="globex's")
    assert first.json()["ours"] not in other.content.decode()
    world.settle()
    assert Message.objects.filter(direction="in").count() == 1


def test_the_bytes_of_another_organization_are_no_repeat(world: World) -> None:
    """Who sends first with a key of their own does not make the provider's request a duplicate."""
    to_both = {**TEXT, "to": ["ACME", "GLOBEX"]}
    theirs, ours = world.post("account", to_both, "globex's"), world.post("account", to_both, "acme's")
    assert (theirs.status_code, ours.status_code) == (200, 200)
    assert theirs.json() != ours.json()
    file_events.drain()
    assert Message.objects.filter(organization=world.acme.organization, direction="in").count() == 1


def test_a_request_that_nobody_vouches_for_is_in_nobodys_log(world: World) -> None:
    world.post("account", {"type": "in", "from": FROM, "to": ["+61899999999"], "text": "Hi"})
    Client().head(f"/services/signed/a{world.account.accountid}")
    assert set(WebhookRequest.objects.values_list("organization", flat=True)) == {None}


def test_requests_from_before_are_no_way_in(world: World) -> None:
    """What an earlier version stored without a key is filed for nobody."""
    request = WebhookRequest.objects.create(
        account=world.account, template=world.template, owner=world.owner("Globex"), method="POST",
        query=b"", headers={"content-type": "application/json"}, body=json.dumps(BY_ID).encode(),
        digest="0", verdict="accepted", answer_status=200,
    )  # fmt: skip
    for messageid, ref in (("m1", ""), ("", str(world.message.uuid)), ("m1", str(world.message.uuid))):
        WebhookEvent.objects.create(
            request=request, type="status", provider_id=messageid,
            payload={"kind": "status", "status": "failed", "messageid": messageid, "message_uuid": ref},
        )  # fmt: skip
    world.assert_untouched()


def check(world: World, changes: Callable[[], Any], status: Status = Status.DELIVERED) -> None:
    changes()
    file_events.drain()
    world.message.refresh_from_db()
    assert world.message.status == status


@pytest.mark.parametrize("owner", ["account", "Acme"])
@pytest.mark.parametrize("report", [BY_ID, BY_OUR_ID, BY_BOTH], ids=json.dumps)
def test_our_own_key_is_good(world: World, owner: str, report: Any) -> None:
    check(world, lambda: world.post(owner, report, key="acme's"), Status.FAILED)
    assert WebhookRequest.objects.get().organization == world.acme.organization


@pytest.mark.parametrize("owner", ["account", "Acme"])
@pytest.mark.parametrize("own", [{}, {"Tag": "of Acme"}, {"Key": "shared"}], ids=str)
@pytest.mark.parametrize("cached", [0, 60])
def test_a_report_before_the_answer_with_a_key_that_all_share(
    world: World, owner: str, own: dict[str, str], cached: int, settings: Any
) -> None:
    settings.WEBHOOK_CACHE_SECONDS = cached
    process.close()
    source = json.loads(document("signed", KEY))
    source["properties"].append({"name": "Tag", "secret": False, "required": False})
    world.template.revise(json.dumps(source))
    PropertyValues.objects.create(account=world.account, template=world.template, values={"Key": "shared"})
    properties.store(world.globex, {})
    properties.store(world.acme, own)
    early = {"type": "many", "items": [{"id": "m2"}]}
    check(world, lambda: world.post(owner, early, key="shared"), Status.SENT)
    expected = None if owner == "account" else world.acme.organization
    assert WebhookRequest.objects.get().organization == expected
    check(world, lambda: recorded(world.message, "m2"))


def test_a_report_before_the_answer_with_a_key_of_our_own(world: World) -> None:
    early = {"type": "many", "items": [{"id": "m2"}]}
    check(world, lambda: world.post("account", early, key="acme's"), Status.SENT)
    check(world, lambda: recorded(world.message, "m2"))


def test_a_report_before_the_answer_without_verification(world: World) -> None:
    world.template.revise(document("signed", None))
    early = {"type": "many", "items": [{"id": "m2"}]}
    check(world, lambda: world.post("account", early), Status.SENT)
    check(world, lambda: recorded(world.message, "m2"))


def test_an_id_of_several_organizations_is_put_aside_without_verification(world: World) -> None:
    world.template.revise(document("signed", None))
    recorded(world.their_message, "m1")
    check(world, lambda: world.post("account", BY_ID), Status.SENT)
    row = WebhookRequest.objects.get()
    assert (row.verdict, row.organization) == ("unknown_number", None)
    assert row.reason == "Several organizations have sent messages with the id m1."
    check(world, lambda: world.post("Acme", BY_ID), Status.FAILED)


def test_an_id_of_several_organizations_belongs_to_whose_key_verifies(world: World) -> None:
    recorded(world.their_message, "m1")
    check(world, lambda: world.post("account", BY_ID, key="acme's"), Status.FAILED)
    world.their_message.refresh_from_db()
    assert world.their_message.status == Status.SENT


def test_a_report_after_the_number_has_got_another_provider(world: World) -> None:
    template = Template(account=world.account)
    template.revise(document("open", None))
    world.number.integration = enable(world.acme.organization, template, Key="x")
    world.number.save()
    Message.objects.filter(pk=world.message.pk).update(integration=world.number.integration)
    check(world, lambda: world.post("account", BY_OUR_ID, key="acme's"), Status.FAILED)


def test_a_pinned_revision_reads_what_the_published_one_does_not(world: World) -> None:
    world.acme.revision = world.template.published
    world.acme.save()
    world.template.revise(document("signed", KEY, [EVENTS[-1]]))
    for owner in ("account", "Acme"):
        assert world.post(owner, {**TEXT, "text": owner}, key="acme's").status_code == 200
        assert world.post(owner, {**TEXT, "text": owner}).status_code == 401
    file_events.drain()
    texts = Message.objects.filter(direction="in").order_by("pk").values_list("text", flat=True)
    assert list(texts) == ["account", "Acme"]


def test_unverified_requests_are_counted_on_one_trace(world: World) -> None:
    for _ in range(3):
        world.post("Nobody", BY_ID)
    row = WebhookRequest.objects.get()
    assert (row.verdict, row.more, row.answer_status, row.integration) == ("unverified", 2, 401, None)
