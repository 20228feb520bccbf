"""Deactivating somebody: what the page says, who may, and who gets the numbers."""

from __future__ import annotations

import pytest
from django.test import Client

from messaging.models import Assignment, Number
from portal.models import Organization, PersonalToken, User


def page(who: User | None, person: User, **form: object) -> tuple[int, str]:
    client = Client()
    if who is not None:
        client.force_login(who)
    url = f"/admin/messaging/number/leaving/{person.pk}/"
    answer = client.post(url, form) if form else client.get(url)
    return answer.status_code, answer.content.decode()


def users_of(number: Number) -> list[str]:
    return sorted(item.user.name for item in number.assignments.select_related("user"))


def test_the_page_says_what_happens_before_anything_does(
    private: Number, alice: User, bob: User, admin_of_acme: User
) -> None:
    status, text = page(admin_of_acme, alice)
    assert (status, "They have 1 number:" in text, "Nobody else has this number" in text) == (200, True, True)
    assert ("Bob" in text, User.objects.get(pk=alice.pk).is_active) == (True, True)


def test_the_heir_gets_the_numbers(
    private: Number, shared: Number, alice: User, bob: User, admin_of_acme: User
) -> None:
    PersonalToken.objects.issue(alice, "One")
    assert page(admin_of_acme, alice, heir=bob.pk)[0] == 302
    assert (users_of(private), users_of(shared)) == (["Bob"], ["Bob"])
    assert (User.objects.get(pk=alice.pk).is_active, PersonalToken.objects.count()) == (False, 0)


def test_without_an_heir_the_numbers_stay_assigned(private: Number, alice: User, admin_of_acme: User) -> None:
    assert page(admin_of_acme, alice, heir="")[0] == 302
    assert (users_of(private), User.objects.get(pk=alice.pk).is_active) == (["Alice"], False)


def test_nobody_from_elsewhere_is_an_heir(
    private: Number, alice: User, charlie: User, admin_of_acme: User, admin_of_globex: User
) -> None:
    status, text = page(admin_of_acme, alice, heir=charlie.pk)
    assert (status, "Charlie" in text) == (422, False)
    assert (users_of(private), User.objects.get(pk=alice.pk).is_active) == (["Alice"], True)


@pytest.mark.parametrize(
    ("who", "status"), [("alice", 403), ("bob", 403), ("admin_of_globex", 404), (None, 302)]
)
def test_only_their_administrators_let_somebody_go(
    request: pytest.FixtureRequest, private: Number, alice: User, who: str | None, status: int
) -> None:
    user = request.getfixturevalue(who) if who else None
    assert [page(user, alice)[0], page(user, alice, heir="")[0]] == [status, status]
    assert (User.objects.get(pk=alice.pk).is_active, Assignment.objects.count()) == (True, 1)


def test_nobody_lets_themselves_go(admin_of_acme: User, acme: Organization) -> None:
    assert page(admin_of_acme, admin_of_acme, heir="")[0] == 403
    assert User.objects.get(pk=admin_of_acme.pk).is_active
