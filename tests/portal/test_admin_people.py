"""Who may make whom, and that nobody climbs."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from portal.models import Account, Membership, Organization, User

ADD = "/admin/portal/user/add/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def form(role: str, organization: Any = "", account: Any = None, **fields: Any) -> dict[str, Any]:
    values = {
        "name": "New",
        "email": "New@Acme.example",
        "time_zone": "UTC",
        "is_active": "on",
        "new_password": "a-long-enough-secret",
        "memberships-TOTAL_FORMS": 1,
        "memberships-INITIAL_FORMS": 0,
        "memberships-0-organization": organization,
        "memberships-0-role": role,
        "memberships-0-extension": "200",
        "memberships-0-status": "active",
        **fields,
    }
    return values if account is None else {**values, "memberships-0-account": account}


def test_an_operator_makes_a_user(operator: User, acme: Organization) -> None:
    answer = signed_in(operator).post(ADD, form("user", acme.pk))
    assert answer.status_code == 302, answer.content.decode()
    made = User.objects.get(email="new@acme.example")
    assert made.check_password("a-long-enough-secret")
    assert made.memberships.get().organization == acme
    assert (
        Client()
        .post(reverse("account_login"), {"login": "NEW@acme.example", "password": "a-long-enough-secret"})
        .status_code
        == 302
    )


@pytest.mark.parametrize("who", ["admin_of_acme", "reseller"])
def test_others_invite(request: pytest.FixtureRequest, acme: Organization, who: str) -> None:
    """What they may invite to is tested in test_addresses.py."""
    client = signed_in(request.getfixturevalue(who))
    assert client.post(ADD, form("user", acme.pk, is_operator="on")).status_code == 403
    assert User.objects.filter(name="New").count() == 0
    assert 'href="/admin/portal/invitation/"' in client.get("/admin/portal/user/").content.decode()


def test_an_operator_makes_an_account_admin(operator: User, account: Account) -> None:
    answer = signed_in(operator).post(ADD, form("account_admin", "", account.pk))
    assert answer.status_code == 302, answer.content.decode()
    assert User.objects.get(name="New").administered_accounts == [account.pk]


@pytest.mark.parametrize("password", ["", "short", "1234567890123"])
def test_weak_passwords_are_refused(operator: User, acme: Organization, password: str) -> None:
    answer = signed_in(operator).post(ADD, form("user", acme.pk, new_password=password))
    assert (answer.status_code, User.objects.filter(name="New").count()) == (200, 0)


def test_who_has_roles_elsewhere_keeps_name_and_password(
    admin_of_acme: User, acme: Organization, globex: Organization, charlie: User
) -> None:
    membership = Membership.objects.create(user=charlie, organization=acme, extension="300")
    before = User.objects.get(pk=charlie.pk)
    answer = signed_in(admin_of_acme).post(
        f"/admin/portal/user/{charlie.pk}/change/",
        {
            **form("user", acme.pk, email="taken@over.example", name="Taken over"),
            "memberships-INITIAL_FORMS": 1,
            "memberships-0-id": membership.pk,
            "memberships-0-user": charlie.pk,
        },
    )
    assert answer.status_code == 302
    after = User.objects.get(pk=charlie.pk)
    assert (after.email, after.name, after.password) == (before.email, before.name, before.password)
    assert charlie.memberships.count() == 2


def test_an_organization_admin_does_not_take_over_an_account_admin_limited_to_it(
    admin_of_acme: User, acme: Organization, account: Account
) -> None:
    limited = User.objects.create_user("limited@voice.example", "their-own-password", name="Limited")
    Membership.objects.create(
        user=limited, organization=acme, account=account, role=Membership.Role.ACCOUNT_ADMIN
    )
    page = signed_in(admin_of_acme).get(f"/admin/portal/user/{limited.pk}/change/").content.decode()
    assert "new_password" not in page


NO_ROLE = "Give the user at least one role."


@pytest.mark.parametrize("rows", [0, 1])
def test_a_person_without_a_role_is_not_made(operator: User, rows: int) -> None:
    untouched = {"memberships-0-extension": "", "memberships-TOTAL_FORMS": rows}
    answer = signed_in(operator).post(ADD, form("user", **untouched))
    assert (answer.status_code, NO_ROLE in answer.content.decode()) == (200, True)
    assert User.objects.filter(name="New").count() == 0


@pytest.mark.parametrize("who", ["admin_of_acme", "reseller", "operator"])
@pytest.mark.parametrize(
    "fields",
    [
        {"memberships-0-DELETE": "on"},  # a role that is taken away again
        {"memberships-0-organization": ""},
        {"memberships-0-role": "", "memberships-0-extension": ""},
        {"memberships-0-role": "nonsense"},
        {"memberships-0-status": ""},
        {"memberships-TOTAL_FORMS": ""},
        {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "1"},
        {"memberships-TOTAL_FORMS": "x"},
        {"memberships-TOTAL_FORMS": "1", "memberships-INITIAL_FORMS": "1"},
        {"memberships-0-id": "1"},
        {"is_operator": ""},
    ],
    ids=str,
)
def test_no_form_makes_a_person_without_a_role(
    acme: Organization, request: pytest.FixtureRequest, who: str, fields: dict[str, str]
) -> None:
    client = signed_in(request.getfixturevalue(who))
    for query in ("", "?_popup=1", "?_changelist_filters=x"):
        client.post(ADD + query, form("user", acme.pk, email=f"new{len(query)}@acme.example", **fields))
    assert [user for user in User.objects.filter(name="New") if not user.memberships.exists()] == []


def test_an_organization_admin_makes_no_operator_without_a_role(admin_of_acme: User) -> None:
    fields = form("user", is_operator="on", **{"memberships-TOTAL_FORMS": 0})
    assert signed_in(admin_of_acme).post(ADD, fields).status_code == 403
    assert User.objects.filter(name="New").count() == 0


@pytest.mark.parametrize("page", ["/account/signup/", "/account/login/", "/account/email/", "/admin/login/"])
@pytest.mark.parametrize("who", ["", "alice", "admin_of_acme"])
def test_nobody_signs_up(acme: Organization, request: pytest.FixtureRequest, who: str, page: str) -> None:
    client = signed_in(request.getfixturevalue(who)) if who else Client()
    before = User.objects.count()
    fields = {"email": "new@acme.example", "action_add": "", "password1": "a-long-enough-secret"}
    client.post(page, {**fields, "password2": "a-long-enough-secret", "login": "new@acme.example"})
    assert (User.objects.count(), User.objects.filter(email="new@acme.example").count()) == (before, 0)


def test_an_operator_needs_no_role(operator: User) -> None:
    fields = form("user", is_operator="on", **{"memberships-TOTAL_FORMS": 0})
    assert signed_in(operator).post(ADD, fields).status_code == 302
    assert User.objects.get(name="New").is_operator is True


def change(who: User, person: User, **fields: Any) -> Any:
    """Posts the page of a person with one role, which the fields change."""
    membership = person.memberships.first()
    assert membership is not None
    sent = {
        **form(membership.role, membership.organization_id),
        "memberships-INITIAL_FORMS": 1,
        "memberships-0-id": membership.pk,
        "memberships-0-user": person.pk,
        **fields,
    }
    return signed_in(who).post(f"/admin/portal/user/{person.pk}/change/", sent)


def test_the_last_role_stays(admin_of_acme: User, alice: User) -> None:
    answer = change(admin_of_acme, alice, **{"memberships-0-DELETE": "on"})
    assert (answer.status_code, NO_ROLE in answer.content.decode()) == (200, True)
    assert (alice.memberships.count(), User.objects.get(pk=alice.pk).name) == (1, "Alice")


def test_a_role_is_taken_away_from_who_has_another_elsewhere(
    admin_of_acme: User, acme: Organization, globex: Organization
) -> None:
    both = User.objects.create_user("both@acme.example", None, name="Both")
    for organization in (acme, globex):
        Membership.objects.create(user=both, organization=organization)
    assert change(admin_of_acme, both, **{"memberships-0-DELETE": "on"}).status_code == 302
    assert [member.organization for member in both.memberships.all()] == [globex]


def test_who_is_no_operator_any_more_needs_a_role(operator: User, acme: Organization) -> None:
    other = User.objects.create_superuser("other@patchbay.example", None, name="Other")
    fields = form("user", new_password="", email=other.email, **{"memberships-TOTAL_FORMS": 0})
    answer = signed_in(operator).post(f"/admin/portal/user/{other.pk}/change/", fields)
    assert (answer.status_code, NO_ROLE in answer.content.decode()) == (200, True)
    assert User.objects.get(pk=other.pk).is_operator is True


def test_an_organizations_domain_never_changes(reseller: User, acme: Organization) -> None:
    url = f"/admin/portal/organization/{acme.pk}/change/"
    signed_in(reseller).post(url, {"name": "Acme Ltd", "domain": "other.example"})
    acme.refresh_from_db()
    assert (acme.name, acme.domain) == ("Acme Ltd", "acme.example")


def test_organizations_are_made_in_the_own_account(
    reseller: User, admin_of_acme: User, account: Account
) -> None:
    other = Account.objects.create(name="Other")
    client = signed_in(reseller)
    url = "/admin/portal/organization/add/"
    assert client.post(url, {"account": other.pk, "name": "X", "domain": "x.example"}).status_code == 200
    assert client.post(url, {"account": account.pk, "name": "X", "domain": "NO SPACES"}).status_code == 200
    assert Organization.objects.filter(name="X").count() == 0
    assert client.post(url, {"account": account.pk, "name": "X", "domain": "x.example"}).status_code == 302
    assert signed_in(admin_of_acme).get(url).status_code == 403
