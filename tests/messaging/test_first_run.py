"""The first run: what is done, where the next step leads, and that it costs the same for 1 and 100 rows."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations.models import Integration
from messaging.models import Assignment, Number
from messaging.reporting import first_run
from portal.models import Account, Membership, Organization, User


def told(user: User) -> list[tuple[str, bool]]:
    return [(step.label, step.done) for step in first_run.steps(User.objects.get(pk=user.pk))]


def next_url(user: User) -> str:
    return next(step.url for step in first_run.steps(User.objects.get(pk=user.pk)) if not step.done)


LABELS = [
    "Add an organization",
    "Set up a messaging provider",
    "Add a number",
    "Invite people, and assign them to the number",
    "Send a first text",
]


def test_a_new_reseller_is_led_from_step_to_step(reseller: User, account: Account) -> None:
    assert told(reseller) == [(label, False) for label in LABELS]
    assert next_url(reseller) == reverse("admin:portal_organization_add")
    organization = Organization.objects.create(account=account, name="Acme", domain="a.example")
    assert next_url(reseller) == reverse("admin:integrations_gallery", args=[organization.pk])
    Organization.objects.create(account=account, name="Globex", domain="g.example")
    assert next_url(reseller) == reverse("admin:integrations_account_gallery", args=[account.pk])
    many = [step.many for step in first_run.steps(User.objects.get(pk=reseller.pk))]
    assert many[0] == reverse("admin:messaging_import", args=["organizations"])
    assert many[3] == reverse("admin:portal_invitation_many")  # nobody is invited by mail here


def test_the_only_account_is_chosen_for_a_new_organization(reseller: User, account: Account) -> None:
    client = Client()
    client.force_login(reseller)
    page = client.get(reverse("admin:portal_organization_add")).content.decode()
    assert f'<option value="{account.pk}" selected' in page


def test_each_step_is_done_by_what_is_there(
    reseller: User, operator: User, admin_of_acme: User, service: Integration, bob: User
) -> None:
    assert next_url(admin_of_acme) == reverse("admin:messaging_number_add")
    number = Number.objects.create(
        organization=service.organization, integration=service, number="+61855555501", country="AU"
    )
    assert next_url(admin_of_acme) == reverse("admin:messaging_number_change", args=[number.pk])
    Assignment.objects.create(number=number, user=bob)
    assert next_url(admin_of_acme) == reverse("inbox")
    assert [done for _label, done in told(admin_of_acme)] == [True, True, True, False]
    assert [label for label, _done in told(admin_of_acme)] == LABELS[1:]
    assert [label for label, _done in told(operator)] == ["Add an account", *LABELS]


def test_what_others_have_counts_for_nothing(admin_of_globex: User, private: Number) -> None:
    assert [done for _label, done in told(admin_of_globex)] == [False] * 4


@pytest.mark.parametrize("who", ["reseller", "admin_of_acme", "operator"])
def test_it_costs_the_same_whatever_there_is(
    request: pytest.FixtureRequest, account: Account, acme: Organization, private: Number, who: str
) -> None:
    user = request.getfixturevalue(who)

    def queries() -> int:
        fresh = User.objects.get(pk=user.pk)
        with CaptureQueriesContext(connection) as captured:
            first_run.steps(fresh)
        return len(captured)

    before = queries()
    for number in range(30):
        more = Organization.objects.create(account=account, name=f"O{number}", domain=f"o{number}.example")
        person = User.objects.create_user(f"u{number}@x.example", None, name="U")
        Membership.objects.create(user=person, organization=more)
        Number.objects.create(organization=more, number=f"+6185555{number:04}", country="AU")
    assert queries() == before <= 9


def test_the_list_is_hidden_by_who_has_seen_enough(
    admin_of_acme: User, alice: User, acme: Organization
) -> None:
    client = Client()
    client.force_login(admin_of_acme)
    page = client.get("/admin/").content.decode()
    assert ("Getting started" in page, "Next: Set up a messaging provider" in page) == (True, True)
    assert client.get(reverse("first_run_hide")).status_code == 405
    assert client.post(reverse("first_run_hide"))["Location"] == "/admin/"
    assert "Getting started" not in client.get("/admin/").content.decode()
    assert Client().post(reverse("first_run_hide")).status_code == 302
    assert not User.objects.get(pk=alice.pk).hides_first_run
