"""A number that moves to another organization: what stays, what goes, and who may do it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from integrations import holds
from integrations.models import Integration, Template
from integrations.sandbox import Sandbox
from messaging.errors import Refused
from messaging.models import Conversation, Message, Number
from messaging.outbound import dispatch
from messaging.outbound.submit import submit
from messaging.rules import move_number
from messaging.statuses import Status
from portal.models import Account, Organization, User
from tests.messaging.rules import CONTACT, receive


@pytest.fixture
def theirs(globex: Organization, generic: Template, sandbox: Sandbox) -> Integration:
    """The same service at Globex."""
    integration = Integration.objects.create(organization=globex, template=generic)
    holds.enter(integration, {"API URL": sandbox.api_url, "API key": "sandbox-key"})
    return integration


def test_the_old_ownership_is_closed_and_keeps_its_conversations(
    private: Number, alice: User, globex: Organization, theirs: Integration
) -> None:
    receive(private, "before")
    moved = move_number.move(private, globex, theirs)
    receive(private, "after")
    private.refresh_from_db()
    assert (private.active, moved.active, moved.number) == (False, True, private.number)
    assert (moved.organization, moved.integration, moved.users.count()) == (globex, theirs, 0)
    found = Conversation.objects.order_by("pk").values_list("organization__name", "last_message__text")
    assert list(found) == [("Acme", "before"), ("Globex", "after")]
    assert Conversation.objects.for_user(alice).count() == 1


def test_what_waited_is_failed_in_words(
    private: Number, alice: User, globex: Organization, sandbox: Sandbox
) -> None:
    waiting = submit(alice, private, CONTACT, text="late")
    move_number.move(private, globex)
    waiting.refresh_from_db()
    assert (waiting.status, waiting.status_text) == (
        Status.FAILED,
        "Not sent, because the number was moved to another organization.",
    )
    dispatch.drain()
    assert sandbox.received == []


def test_what_was_written_at_that_very_moment_is_refused_too(
    private: Number, alice: User, sandbox: Sandbox
) -> None:
    waiting = submit(alice, private, CONTACT, text="late")
    Number.objects.update(active=False)
    dispatch.drain()
    waiting.refresh_from_db()
    assert (waiting.status, sandbox.received) == (Status.FAILED, [])
    assert waiting.status_text == "The number +61855555501 has moved away, or is switched off."


def test_refusals_move_nothing(
    private: Number, acme: Organization, globex: Organization, service: Integration
) -> None:
    other = Organization.objects.create(
        account=Account.objects.create(name="Other"), name="Initech", domain="initech.example"
    )
    for organization, integration, words in (
        (acme, None, "already belongs to this organization"),
        (other, None, "can only be moved within its account"),
        (globex, service, "set up for another organization"),
    ):
        with pytest.raises(Refused, match=words):
            move_number.move(private, organization, integration)
    move_number.move(private, globex)
    with pytest.raises(Refused, match="has already been moved"):
        move_number.move(private, globex)
    assert list(Number.objects.order_by("pk").values_list("organization__name", "active")) == [
        ("Acme", False),
        ("Globex", True),
    ]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_move_it_at_once_one_is_refused(private: Number, account: Account) -> None:
    targets = [
        Organization.objects.create(account=account, name=name, domain=f"{name}.example")
        for name in ("one", "two")
    ]
    results: list[str] = []
    start = threading.Barrier(2)

    def go(target: Organization) -> None:
        start.wait()
        try:
            move_number.move(private, target)
            results.append("moved")
        except Refused as refusal:
            results.append(str(refusal))
        finally:
            connection.close()

    threads = [threading.Thread(target=go, args=[target]) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["The number has already been moved. Reload the page.", "moved"]
    assert Number.objects.filter(active=True).count() == 1


def move_url(number: Number) -> str:
    return reverse("admin:messaging_number_move", args=[number.pk])


def test_the_reseller_moves_it_on_its_page(
    private: Number, globex: Organization, reseller: User, theirs: Integration
) -> None:
    client = Client()
    client.force_login(reseller)
    page = client.get(move_url(private)).content.decode()
    assert "Acme keeps its conversations" in page and "Globex" in page
    answer = client.post(move_url(private), {"organization": globex.pk})
    moved = Number.objects.get(active=True)
    assert answer.headers["Location"] == reverse("admin:messaging_number_change", args=[moved.pk])
    assert (moved.organization, moved.integration) == (globex, theirs)


@pytest.mark.parametrize(
    ("who", "status"), [("admin_of_acme", 200), ("admin_of_globex", 404), ("alice", 403), ("bob", 403)]
)
def test_who_administers_only_one_organization_moves_nothing(
    private: Number, globex: Organization, request: Any, who: str, status: int
) -> None:
    client = Client()
    client.force_login(request.getfixturevalue(who))
    assert client.get(move_url(private)).status_code == status
    assert client.post(move_url(private), {"organization": globex.pk}).status_code == (
        422 if status == 200 else status
    )
    assert Number.objects.get().organization.name == "Acme"
    assert Message.objects.count() == 0
