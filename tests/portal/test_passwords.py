"""Which passwords people may choose."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from portal.models import Account, Membership, Organization, User
from tests.conftest import PASSWORD


def change(user: User, new: str) -> bool:
    """Whether the user could change their password to another."""
    client = Client()
    client.force_login(user)
    client.post("/account/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    return User.objects.get(pk=user.pk).check_password(new)


@pytest.mark.parametrize(
    ("new", "taken"),
    [
        ("patchbay-2026", False),
        ("PATCHBAYpatchbay1", False),
        ("sms-portal-4711", False),
        ("acme-acme-acme", False),
        ("Southern-Voice-2026", False),
        ("patchbay has a moth in it", True),
        ("acme and eight letters", True),
        ("a-b-c-d-e-f", True),
    ],
)
def test_names_that_are_known_are_no_password(alice: User, settings: Any, new: str, taken: bool) -> None:
    settings.PUBLIC_URL = "https://sms-portal.example.com"
    assert change(alice, new) is taken


def test_the_names_of_an_administered_account_are_known_too(account: Account, acme: Organization) -> None:
    admin = User.objects.create_user("admin@voice.example", PASSWORD, name="Ann")
    Membership.objects.create(user=admin, account=account, role=Membership.Role.ACCOUNT_ADMIN)
    assert not change(admin, "southern-acme-7")
    assert change(admin, "southern-acme-racehorses")


@pytest.mark.parametrize(
    ("new", "taken"),
    [
        ("short-7", False),
        ("password123", False),
        ("alice@acme.example", False),
        ("x" * 64 + "-a long one, with spaces and ünïcödé " + "y" * 28, True),
        (" leading and trailing spaces ", True),
        ("all lower case letters", True),
    ],
)
def test_length_counts_and_not_what_it_is_made_of(alice: User, new: str, taken: bool) -> None:
    assert change(alice, new) is taken


def test_no_part_of_a_password_is_ignored(alice: User) -> None:
    new = "Correct Horse Battery Staple " * 3
    assert change(alice, new)
    changed = User.objects.get(pk=alice.pk)
    for other in (new.strip(), new.lower(), new[:72], new[:-1]):
        assert not changed.check_password(other)
        client = Client()
        client.post("/account/login/", {"login": alice.email, "password": other})
        assert client.get("/inbox/").status_code == 302
    client = Client()
    client.post("/account/login/", {"login": alice.email, "password": new})
    assert client.get("/inbox/").status_code == 200
