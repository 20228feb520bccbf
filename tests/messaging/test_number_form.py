"""The page of a number: its rules in plain words, its answers, and what it refuses."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations.models import Integration, Template
from messaging import keywords
from messaging.models import AutoReply, Conversation, Number, Transfer
from messaging.outbound.submit import submit
from messaging.transfer import drain
from portal.models import Organization, User
from tests.conftest import person

ADD = "/admin/messaging/number/add/"


def fields(number: Number, /, *users: User, **changes: Any) -> dict[str, Any]:
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


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def change(user: User, number: Number, sent: dict[str, Any]) -> Any:
    return signed_in(user).post(reverse("admin:messaging_number_change", args=[number.pk]), sent)


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
            keyword_languages=["de", "fr"],
            opt_out_keyword="basta",
            opt_out_answer="Gone.",
            help_answer="Call us.",
            rows=[("*", "Welcome"), ("HOURS", "9 to 5")],
        ),
    )
    assert answer.status_code == 302
    number = Number.objects.get(pk=shared.pk)
    assert (number.sticky_hours, number.header, number.footer) == (24, "Acme", "Bye")
    assert number.keyword_languages == "de fr"
    assert (number.opt_out_keyword, number.opt_out_answer, number.help_answer) == (
        "basta",
        "Gone.",
        "Call us.",
    )
    assert set(AutoReply.objects.values_list("number", "keyword", "text")) == {
        (number.pk, "*", "Welcome"),
        (number.pk, "HOURS", "9 to 5"),
    }


def test_save_and_add_another_keeps_the_organization(
    private: Number, reseller: User, globex: Organization
) -> None:
    page = f"{ADD}?organization={private.organization_id}"
    sent = fields(private, number="+61855555577", _addanother="yes")
    assert signed_in(reseller).post(page, sent)["Location"] == page
    assert Number.objects.get(number="+61855555577").organization == private.organization


SEVERAL = "/admin/messaging/number/several/"


def test_what_is_no_number_is_corrected_where_it_was_pasted(private: Number, admin_of_acme: User) -> None:
    pasted = "\n".join(["08 5555 5577, Desk", *(f"wrong {place}!" for place in range(12))])
    sent = {"pasted": pasted, "country": "AU", "integration": private.integration_id}
    answer = signed_in(admin_of_acme).post(SEVERAL, sent)
    page = html.unescape(answer.content.decode())
    assert (answer.status_code, pasted in page) == (422, True)
    assert [f"'wrong {place}!' is not a phone number" in page for place in (0, 9, 10)] == [True, True, False]
    assert "2 more are wrong." in page
    assert not Transfer.objects.exists()


def test_several_numbers_are_pasted_and_checked_line_by_line(
    private: Number, admin_of_acme: User, alice: User
) -> None:
    client = signed_in(admin_of_acme)
    assert "Alice" in client.get(SEVERAL).content.decode()
    pasted = "08 5555 5577, Desk\n\n+61855555501\n+61 8 5555 5577\n+61 8 5555 5578\t=Sales"
    sent = {"pasted": pasted, "country": "AU", "integration": private.integration_id, "users": [alice.pk]}
    page = client.post(SEVERAL, sent)["Location"]
    drain.drain()
    row = Transfer.objects.get()
    assert row.counts == {"new": 2, "same": 1, "wrong": 1}
    assert "Row 2 is about the same." in client.get(page, {"rows": "wrong"}).content.decode()
    assert Number.objects.count() == 1
    client.post(reverse("admin:messaging_transfer_do", args=[row.pk]), {"do": "import"})
    drain.drain()
    found = Number.objects.order_by("number").values_list("number", "display_name", "integration")
    assert list(found) == [
        ("+61855555501", "", private.integration_id),
        ("+61855555577", "Desk", private.integration_id),
        ("+61855555578", "=Sales", private.integration_id),
    ]
    assert list(Number.objects.get(number="+61855555577").users.all()) == [alice]


@pytest.mark.parametrize(
    "changes", [{"pasted": " \n"}, {"integration": ""}, {"users": ["0"]}, {"country": "XX"}]
)
def test_several_numbers_need_what_a_number_needs(
    private: Number, admin_of_acme: User, changes: dict[str, Any]
) -> None:
    sent = {"pasted": "+61855555577", "integration": private.integration_id, **changes}
    assert signed_in(admin_of_acme).post(SEVERAL, sent).status_code == 422
    assert not Transfer.objects.exists()


def test_nobody_pastes_numbers_for_another_organization(
    private: Number, admin_of_globex: User, alice: User
) -> None:
    sent = {"pasted": "+61855555577", "integration": private.integration_id}
    url = f"{SEVERAL}?organization={private.organization_id}"
    assert signed_in(admin_of_globex).post(url, sent).status_code == 404
    assert signed_in(alice).post(url, sent).status_code == 403
    assert not Transfer.objects.exists()


def test_the_page_shows_the_words_of_each_language(shared: Number, admin_of_acme: User) -> None:
    url = reverse("admin:messaging_number_change", args=[shared.pk])
    page = signed_in(admin_of_acme).get(url).content.decode()
    assert "German: STOPP, ABMELDEN, ABBESTELLEN" in page
    assert page.count('name="keyword_languages"') == len(keywords.LANGUAGES)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sticky_hours": "5"}, "Select a valid choice"),
        ({"sticky_hours": "-1"}, "Select a valid choice"),
        ({"opt_out_keyword": "!!"}, "Enter a word with letters"),
        ({"opt_out_keyword": "Help"}, "Enter a word with letters"),
        ({"keyword_languages": ["xx"]}, "Select a valid choice"),
        ({"opt_out_keyword": "yes"}, "Enter a word with letters"),
        ({"header": "x" * 161}, "at most 160 characters"),
        ({"rows": [("stop", "no")]}, "Use the fields above"),
        ({"rows": [("INFO", "no")]}, "Use the fields above"),
        ({"rows": [("?!", "no")]}, "Enter a word with letters or digits"),
        ({"rows": [("A", "1"), ("a", "2")]}, "There is already a reply to this keyword"),
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
    sent = fields(shared, alice, number="+61855555509", rows=[("*", "Hi")])
    assert signed_in(admin_of_acme).post(ADD, sent).status_code == 302
    assert AutoReply.objects.get().number.number == "+61855555509"


def choices(page: str, name: str) -> list[str]:
    """The labels that a list of the page offers, without the empty one."""
    found = re.search(rf'<select[^>]* name="{name}".*?</select>', page, re.DOTALL)
    assert found, page
    return re.findall(r'<option value="[^"]+"[^>]*>([^<]*)</option>', found[0])


def test_with_several_organizations_the_number_begins_with_one(
    shared: Number, reseller: User, acme: Organization, globex: Organization
) -> None:
    page = signed_in(reseller).get(ADD).content.decode()
    assert choices(page, "organization") == ["Acme", "Globex"]
    assert 'name="number"' not in page


@pytest.mark.parametrize("query", ["?organization={}", "?_changelist_filters=organization%3D{}"])
def test_the_services_and_users_of_the_organization_are_offered(
    shared: Number,
    reseller: User,
    acme: Organization,
    globex: Organization,
    charlie: User,
    generic: Template,
    built_in: None,
    query: str,
) -> None:
    Integration.objects.create(organization=globex, template=generic)
    other = Template.objects.exclude(pk=generic.pk)[0]
    Integration.objects.create(organization=acme, template=other, enabled=False)
    page = signed_in(reseller).get(ADD + query.format(acme.pk)).content.decode()
    assert choices(page, "integration") == [generic.name]
    assert ("Alice" in page, "Bob" in page, "Charlie" in page) == (True, True, False)


def test_a_number_is_added_to_the_organization_and_so_is_the_next(
    shared: Number, reseller: User, acme: Organization, alice: User
) -> None:
    client = signed_in(reseller)
    sent = fields(shared, alice, number="+61855555509", _addanother="yes")
    answer = client.post(f"{ADD}?organization={acme.pk}", sent)
    added = Number.objects.get(number="+61855555509")
    assert (added.organization, added.integration, added.users.get()) == (acme, shared.integration, alice)
    assert answer.status_code == 302
    assert choices(client.get(answer["Location"]).content.decode(), "integration") == ["Generic HTTP SMS"]


@pytest.mark.parametrize("chosen", ["", "999", "x"])
def test_a_service_must_be_chosen(shared: Number, reseller: User, acme: Organization, chosen: str) -> None:
    sent = fields(shared, number="+61855555509", integration=chosen)
    answer = signed_in(reseller).post(f"{ADD}?organization={acme.pk}", sent)
    assert (answer.status_code, Number.objects.count()) == (200, 1)


def test_a_service_that_is_switched_off_or_of_another_organization_is_refused(
    shared: Number,
    reseller: User,
    acme: Organization,
    globex: Organization,
    generic: Template,
    built_in: None,
) -> None:
    other = Template.objects.exclude(pk=generic.pk)[0]
    for service in (
        Integration.objects.create(organization=globex, template=generic),
        Integration.objects.create(organization=acme, template=other, enabled=False),
    ):
        sent = fields(shared, number="+61855555509", integration=service.pk)
        answer = signed_in(reseller).post(f"{ADD}?organization={acme.pk}", sent)
        assert (answer.status_code, Number.objects.count()) == (200, 1)


def test_an_organization_without_a_service_gets_one_first(
    shared: Number, reseller: User, globex: Organization
) -> None:
    client = signed_in(reseller)
    sent = fields(shared, number="+61855555509", integration="")
    for answer in (
        client.get(f"{ADD}?organization={globex.pk}"),
        client.post(f"{ADD}?organization={globex.pk}", sent),
    ):
        page = answer.content.decode()
        assert "Globex has not enabled any." in page
        assert reverse("admin:integrations_gallery", args=[globex.pk]) in page
    assert Number.objects.count() == 1


def test_no_number_is_added_to_a_strangers_organization(
    shared: Number, admin_of_globex: User, acme: Organization
) -> None:
    client = signed_in(admin_of_globex)
    sent = fields(shared, number="+61855555509")
    assert client.get(f"{ADD}?organization={acme.pk}").status_code == 404
    assert client.post(f"{ADD}?organization={acme.pk}", sent).status_code == 404
    assert Number.objects.count() == 1


def test_a_number_keeps_its_service_and_one_without_may_wait_for_it(
    shared: Number, admin_of_acme: User, alice: User
) -> None:
    assert change(admin_of_acme, shared, fields(shared, alice, integration="")).status_code == 200
    assert Number.objects.get().integration == shared.integration
    Number.objects.update(integration=None)
    page = signed_in(admin_of_acme).get(reverse("admin:messaging_number_change", args=[shared.pk]))
    assert "This number cannot send messages." in page.content.decode()
    sent = fields(shared, alice, integration="", footer="Bye")
    assert change(admin_of_acme, shared, sent).status_code == 302
    assert Number.objects.get().footer == "Bye"


def test_a_senders_name_is_added_once(shared: Number, admin_of_acme: User, acme: Organization) -> None:
    sent = fields(shared, number="AcmeDental", country="")
    client = signed_in(admin_of_acme)
    assert client.post(ADD, sent).status_code == 302
    answer = client.post(ADD, sent)
    assert answer.status_code == 200
    assert "The organization already has this sender name." in answer.content.decode()
    assert Number.objects.filter(number="AcmeDental").count() == 1


def test_the_page_takes_as_many_queries_for_ten_services_and_users_as_for_one(
    shared: Number,
    reseller: User,
    acme: Organization,
    globex: Organization,
    generic: Template,
    built_in: None,
) -> None:
    client = signed_in(reseller)
    counts = []
    for more in (0, 9):
        for index, template in enumerate(Template.objects.exclude(pk=generic.pk)[:more]):
            Integration.objects.create(organization=acme, template=template)
            Organization.objects.create(
                account=acme.account, name=f"More {index}", domain=f"m{index}.example"
            )
            person(f"Person{index}", acme)
        for url in (ADD, f"{ADD}?organization={acme.pk}"):
            client.get(url)
            with CaptureQueriesContext(connection) as captured:
                assert client.get(url).status_code == 200
            counts.append(len(captured))
    assert counts[:2] == counts[2:]
