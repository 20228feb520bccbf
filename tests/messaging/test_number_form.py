"""The page of a number: its rules in plain words, its answers, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from messaging.models import AutoReply, Conversation, Number
from messaging.sending.submit import submit
from portal.models import User


def fields(number: Number, *users: User, **changes: Any) -> dict[str, Any]:
    """What the page sends."""
    rows = changes.pop("rows", [])
    sent: dict[str, Any] = {
        "number": number.number,
        "country": number.country,
        "display_name": "",
        "integration": number.integration_id,
        "inbound_format": "e164",
        "outbound_format": "e164",
        "active": "on",
        "assigned": [user.pk for user in users],
        "sticky_hours": number.sticky_hours,
        "auto_replies-TOTAL_FORMS": len(rows),
        "auto_replies-INITIAL_FORMS": 0,
        **changes,
    }
    for place, (keyword, text) in enumerate(rows):
        sent |= {f"auto_replies-{place}-keyword": keyword, f"auto_replies-{place}-text": text}
    return sent


def change(user: User, number: Number, sent: dict[str, Any]) -> Any:
    client = Client()
    client.force_login(user)
    return client.post(reverse("admin:messaging_number_change", args=[number.pk]), sent)


def test_an_admin_sets_the_rules(shared: Number, admin_of_acme: User, alice: User, bob: User) -> None:
    answer = change(
        admin_of_acme,
        shared,
        fields(
            shared,
            alice,
            bob,
            sticky_hours="24",
            header="Acme",
            footer="Bye",
            opt_out_keyword="basta",
            opt_out_answer="Gone.",
            help_answer="Call us.",
            rows=[("*", "Welcome"), ("HOURS", "9 to 5")],
        ),
    )
    assert answer.status_code == 302
    number = Number.objects.get(pk=shared.pk)
    assert (number.sticky_hours, number.header, number.footer) == (24, "Acme", "Bye")
    assert (number.opt_out_keyword, number.opt_out_answer, number.help_answer) == (
        "basta",
        "Gone.",
        "Call us.",
    )
    assert set(AutoReply.objects.values_list("number", "keyword", "text")) == {
        (number.pk, "*", "Welcome"),
        (number.pk, "HOURS", "9 to 5"),
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sticky_hours": "5"}, "Select a valid choice"),
        ({"sticky_hours": "-1"}, "Select a valid choice"),
        ({"opt_out_keyword": "!!"}, "Choose a word with letters"),
        ({"opt_out_keyword": "Help"}, "Choose a word with letters"),
        ({"opt_out_keyword": "yes"}, "Choose a word with letters"),
        ({"header": "x" * 161}, "at most 160 characters"),
        ({"rows": [("stop", "no")]}, "have fields of their own"),
        ({"rows": [("INFO", "no")]}, "have fields of their own"),
        ({"rows": [("?!", "no")]}, "Write a word with letters or digits"),
        ({"rows": [("A", "1"), ("a", "2")]}, "There is an answer to this keyword already"),
        ({"rows": [("A", "")]}, "This field is required"),
    ],
)
def test_what_makes_no_sense_is_refused_and_not_stored(
    shared: Number, admin_of_acme: User, alice: User, changes: dict[str, Any], words: str
) -> None:
    answer = change(admin_of_acme, shared, fields(shared, alice, **changes))
    assert (answer.status_code, words in answer.content.decode()) == (200, True)
    number = Number.objects.get(pk=shared.pk)
    assert (number.users.count(), number.header, number.opt_out_keyword) == (2, "", "")
    assert AutoReply.objects.count() == 0


@pytest.mark.parametrize(("who", "status"), [("admin_of_globex", 404), ("alice", 403)])
def test_others_change_nothing(shared: Number, alice: User, request: Any, who: str, status: int) -> None:
    sent = fields(shared, alice, header="Mine", rows=[("*", "Mine")])
    assert change(request.getfixturevalue(who), shared, sent).status_code == status
    assert (Number.objects.get(pk=shared.pk).header, AutoReply.objects.count()) == ("", 0)


def test_a_stickiness_that_the_list_lacks_is_kept(shared: Number, admin_of_acme: User, alice: User) -> None:
    Number.objects.update(sticky_hours=36)
    shared.refresh_from_db()
    assert change(admin_of_acme, shared, fields(shared, alice)).status_code == 302
    assert Number.objects.get(pk=shared.pk).sticky_hours == 36


def test_who_is_taken_off_a_number_keeps_nothing_for_herself(
    shared: Number, admin_of_acme: User, alice: User, bob: User
) -> None:
    Number.objects.update(sticky_hours=24)
    shared.refresh_from_db()
    submit(alice, shared, "+61412345678", text="mine")
    assert Conversation.objects.for_user(bob).count() == 0
    change(admin_of_acme, shared, fields(shared, bob))
    assert Conversation.objects.for_user(bob).count() == 1


def test_a_new_number_with_its_answers(shared: Number, admin_of_acme: User, alice: User) -> None:
    client = Client()
    client.force_login(admin_of_acme)
    sent = fields(shared, alice, organization=shared.organization_id, rows=[("*", "Hi")])
    sent["number"] = "+61855555509"
    assert client.post(reverse("admin:messaging_number_add"), sent).status_code == 302
    assert AutoReply.objects.get().number.number == "+61855555509"
