"""Numbers for people who are invited: they get them when they accept, and nobody else learns of it."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations.models import Integration
from messaging.models import Assignment, Number, PlannedAssignment, Transfer
from messaging.reporting import first_run
from messaging.rules import invited
from messaging.transfer import drain
from portal.models import Invitation, Organization, User
from portal.people import invitations
from tests.messaging.test_import import imported, outcomes
from tests.messaging.test_number_form import change, fields, signed_in
from tests.portal.test_invitations import open_for

SEVERAL = reverse("admin:messaging_number_several")


@pytest.fixture
def nora(reseller: User, acme: Organization) -> Invitation:
    return invite(reseller, acme, "nora@acme.example")


def invite(inviter: User, organization: Organization, email: str) -> Invitation:
    return open_for(inviter, organization, email)[0]


def names(number: Number) -> set[str]:
    return set(number.users.values_list("email", flat=True))


def planned() -> list[tuple[str, str]]:
    return list(PlannedAssignment.objects.values_list("number__number", "invitation__email").order_by("pk"))


def test_an_import_names_people_who_are_invited(
    admin_of_acme: User, service: Integration, alice: User, nora: Invitation
) -> None:
    rows = [
        ["organization", "number", "users"],
        ["acme.example", "+61855555501", "alice@acme.example, nora@acme.example"],
        ["acme.example", "+61855555502", "stranger@acme.example"],
    ]
    row = imported(admin_of_acme, "numbers", rows)
    assert outcomes(row) == [(2, "new", ""), (3, "wrong", "users")]
    number = Number.objects.get()
    assert (names(number), planned()) == ({"alice@acme.example"}, [(number.number, "nora@acme.example")])
    assert imported(admin_of_acme, "numbers", rows[:2]).counts == {"same": 1}
    user = User.objects.create_user("nora@acme.example", None, name="Nora")
    nora.accept(user)
    assert (names(number), planned()) == ({"alice@acme.example", "nora@acme.example"}, [])
    assert Number.objects.for_user(user).get() == number
    assert imported(admin_of_acme, "numbers", rows[:2]).counts == {"same": 1}


def test_an_invitation_to_another_organization_counts_for_nothing(
    admin_of_acme: User, reseller: User, service: Integration, globex: Organization
) -> None:
    invite(reseller, globex, "nora@globex.example")
    rows = [["organization", "number", "users"], ["acme.example", "+61855555501", "nora@globex.example"]]
    assert outcomes(imported(admin_of_acme, "numbers", rows)) == [(2, "wrong", "users")]
    assert not Number.objects.exists()


def test_the_page_of_a_number_plans_and_takes_back(
    private: Number, admin_of_acme: User, reseller: User, globex: Organization, nora: Invitation
) -> None:
    url = reverse("admin:messaging_number_change", args=[private.pk])
    client = signed_in(admin_of_acme)
    assert "nora@acme.example" in client.get(url).content.decode()
    stranger = invite(reseller, globex, "nora@globex.example")
    page = change(admin_of_acme, private, fields(private, invited=[stranger.pk]))
    assert (page.status_code, planned()) == (200, [])
    change(admin_of_acme, private, fields(private, invited=[nora.pk]))
    assert planned() == [(private.number, "nora@acme.example")]
    change(admin_of_acme, private, fields(private))
    assert planned() == []
    Invitation.objects.all().delete()
    assert "Invited people" not in client.get(url).content.decode()


def test_who_is_invited_again_keeps_the_numbers_and_who_is_not_gets_none(
    private: Number, reseller: User, acme: Organization, nora: Invitation
) -> None:
    invited.plan(private, [nora])
    again = invite(reseller, acme, "nora@acme.example")
    assert planned() == [(private.number, "nora@acme.example")]
    assert (Invitation.objects.count(), again.has_expired) == (1, False)
    invitations.withdraw([again])
    assert (planned(), Assignment.objects.filter(user__email="nora@acme.example").count()) == ([], 0)


def test_several_numbers_are_pasted_for_people_who_are_invited(
    private: Number, admin_of_acme: User, nora: Invitation
) -> None:
    client = signed_in(admin_of_acme)
    assert "Select all invited people" in client.get(SEVERAL).content.decode()
    sent = {"pasted": "+61855555577", "integration": private.integration_id, "invited": [nora.pk]}
    client.post(SEVERAL, sent)
    drain.drain()
    client.post(reverse("admin:messaging_transfer_do", args=[Transfer.objects.get().pk]), {"do": "import"})
    drain.drain()
    assert planned() == [("+61855555577", "nora@acme.example")]
    listed = client.get(reverse("admin:messaging_number_changelist")).content.decode()
    assert listed.count("0, and 1 invited") == 1


def test_a_number_that_nobody_has_says_so(private: Number, admin_of_acme: User, nora: Invitation) -> None:
    client = signed_in(admin_of_acme)
    url = reverse("admin:messaging_number_change", args=[private.pk])
    said = "Nobody can text with"
    assert said in client.post(url, fields(private), follow=True).content.decode()
    assert said not in client.post(url, fields(private, invited=[nora.pk]), follow=True).content.decode()


def test_the_first_run_waits_for_those_who_are_invited(
    admin_of_acme: User, service: Integration, bob: User, nora: Invitation
) -> None:
    number = Number.objects.create(
        organization=service.organization, integration=service, number="+61855555501", country="AU"
    )
    invited.plan(number, [nora])
    step = first_run.steps(User.objects.get(pk=admin_of_acme.pk))[2]
    assert (step.done, step.url) == (False, reverse("admin:portal_invitation_changelist"))
    assert step.hint == "Done as soon as somebody accepts the invitation."


def test_many_numbers_and_people_take_as_many_queries_as_one(
    service: Integration, reseller: User, acme: Organization
) -> None:
    def queries(count: int) -> int:
        Number.objects.all().delete()
        found = [
            Number.objects.create(
                organization=acme, integration=service, number=f"+6185555{n:04}", country="AU"
            )
            for n in range(count)
        ]
        people = {invite(reseller, acme, f"p{n}@acme.example").pk for n in range(count)}
        with CaptureQueriesContext(connection) as captured:
            invited.plan_all({number.pk: people for number in found})
        assert PlannedAssignment.objects.count() == count * count
        return len(captured)

    assert queries(1) == queries(10)
