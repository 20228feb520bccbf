"""API tokens: shown once, kept as a digest, and taken away by their user or an admin in reach."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging.models import Number
from portal.models import Membership, Organization, PersonalToken, User

PAGE = "/account/tokens/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def issue(user: User, name: str = "Reminders") -> str:
    return PersonalToken.objects.issue(user, name)


def user_of(token: str) -> User | None:
    """Who a request with the token is, asked as programs do."""
    found = PersonalToken.objects.find(token)
    answer = Client().get("/api/v1/numbers", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == (401 if found is None else 200)
    return found and found.user


def test_only_a_digest_is_kept(alice: User) -> None:
    token = issue(alice)
    row = PersonalToken.objects.get()
    assert re.fullmatch(r"pb_[\w-]{43}", token)
    assert (row.user, row.name, row.beginning) == (alice, "Reminders", token[:8])
    assert row.digest == hashlib.sha256(token.encode()).hexdigest()
    assert user_of(token) == alice
    assert issue(alice, "Other") != token


@pytest.mark.parametrize("end", ["", "x", "xx", "é", "\ud800", "\0"])
def test_no_other_token_will_do(alice: User, end: str) -> None:
    token = issue(alice)
    assert user_of(token[:45] + end) == (alice if token[45:] == end else None)
    assert user_of(token + end) == (None if end else alice)
    assert user_of(token.upper()) is None


def test_revoking_and_deactivating_count_at_once(alice: User) -> None:
    token = issue(alice)
    assert user_of(token) == alice
    alice.is_active = False
    alice.save()
    assert user_of(token) is None
    alice.is_active = True
    alice.save()
    assert user_of(token) is None
    another = issue(alice)
    assert user_of(another) == alice
    PersonalToken.objects.get().delete()
    assert user_of(another) is None


def test_its_use_is_noted_now_and_then(alice: User) -> None:
    token = issue(alice)

    def used() -> int:
        with CaptureQueriesContext(connection) as captured:
            Client().get("/api/v1/numbers", headers={"Authorization": f"Bearer {token}"})
        return len(captured)

    assert PersonalToken.objects.get().last_used_at is None
    noting, without = used(), used()
    assert noting == without + 1
    long_ago = timezone.now() - timedelta(minutes=6)
    PersonalToken.objects.update(last_used_at=long_ago)
    assert [used(), used()] == [noting, without]
    assert PersonalToken.objects.filter(last_used_at__gt=long_ago).exists()
    with CaptureQueriesContext(connection) as captured:
        found = PersonalToken.objects.find(token)
        assert found is not None and found.user == alice
    assert len(captured) == 1


def test_the_page_makes_a_token_and_shows_it_once(alice: User, private: Number) -> None:
    client = signed_in(alice)
    made = client.post(PAGE, {"name": " Reminders "})
    page = made.content.decode()
    (token,) = set(re.findall(r"pb_[\w-]{43}", page))
    assert user_of(token) == alice
    assert PersonalToken.objects.get().name == "Reminders"
    assert f"Authorization: Bearer {token}" in page
    assert "+61855555501" in page
    assert "no-store" in made["Cache-Control"]
    shown = client.get(PAGE).content.decode()
    assert token not in shown
    assert token[:8] in shown
    assert "last used" in shown


def test_names_and_numbers_of_tokens(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(alice)
    assert "No number is assigned to you yet" in client.get(PAGE).content.decode()
    for name, words in (("", "required"), ("x" * 61, "at most 60"), ("a\0b", "Null characters")):
        answer = client.post(PAGE, {"name": name})
        assert (answer.status_code, words in answer.content.decode()) == (422, True)
    assert PersonalToken.objects.count() == 0
    client.post(PAGE, {"name": "One"})
    again = client.post(PAGE, {"name": "One"})
    assert (again.status_code, "a token with this name" in again.content.decode()) == (422, True)
    monkeypatch.setattr(PersonalToken, "MAX_PER_USER", 1)
    more = client.post(PAGE, {"name": "Two"})
    assert (more.status_code, "which is the most" in more.content.decode()) == (422, True)
    assert PersonalToken.objects.count() == 1


def test_revoking_asks_first(alice: User, bob: User) -> None:
    token = issue(alice)
    url = f"{PAGE}{PersonalToken.objects.get().pk}/revoke/"
    for method in ("get", "post"):
        assert getattr(signed_in(bob), method)(url).status_code == 404
        assert "/account/login/" in getattr(Client(), method)(url)["Location"]
    client = signed_in(alice)
    assert "Revoke “Reminders”?" in client.get(url).content.decode()
    assert user_of(token) == alice
    assert "can no longer send" in client.post(url, follow=True).content.decode()
    assert user_of(token) is None


def test_the_page_shows_only_ones_own(alice: User, bob: User) -> None:
    issue(alice, "Reminders of Alice")
    assert "Reminders of Alice" in signed_in(alice).get(PAGE).content.decode()
    assert "Reminders of Alice" not in signed_in(bob).get(PAGE).content.decode()
    assert "/account/login/" in Client().get(PAGE)["Location"]


@pytest.mark.parametrize(
    ("who", "sees"),
    [("admin_of_acme", True), ("reseller", True), ("operator", True), ("admin_of_globex", False)],
)
def test_admins_take_tokens_of_their_people_away(
    request: pytest.FixtureRequest, alice: User, who: str, sees: bool
) -> None:
    token = issue(alice)
    row = PersonalToken.objects.get()
    client = signed_in(request.getfixturevalue(who))
    listed = client.get("/admin/portal/personaltoken/").content.decode()
    assert (row.beginning in listed) is sees
    assert row.digest not in listed
    shown = client.get(f"/admin/portal/personaltoken/{row.pk}/change/")
    assert (shown.status_code, row.digest in shown.content.decode()) == (200 if sees else 404, False)
    assert client.get("/admin/portal/personaltoken/add/").status_code == 403
    assert client.post(f"/admin/portal/personaltoken/{row.pk}/change/", {"name": "Mine"}).status_code in (
        403,
        404,
    )
    assert PersonalToken.objects.get().name == "Reminders"
    gone = client.post(f"/admin/portal/personaltoken/{row.pk}/delete/", {"post": "yes"})
    assert gone.status_code == (302 if sees else 404)
    assert (user_of(token) is None) is sees


def test_admins_do_not_see_tokens_of_operators(
    operator: User, acme: Organization, admin_of_acme: User
) -> None:
    Membership.objects.create(user=operator, organization=acme)
    issue(operator, "Upkeep")
    assert "Upkeep" not in signed_in(admin_of_acme).get("/admin/portal/personaltoken/").content.decode()


def test_the_list_takes_the_same_queries_for_many(alice: User, admin_of_acme: User) -> None:
    client = signed_in(admin_of_acme)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get("/admin/portal/personaltoken/")
        return len(captured)

    issue(alice, "One")
    queries()
    few = queries()
    for number in range(9):
        issue(alice, f"More {number}")
    assert queries() == few
