"""Saved views of lists: saved with what is declared, seen by whom they are for, and deleted."""

from __future__ import annotations

import pytest
from django.test import Client

from portal.models import Account, AuditEntry, Organization, SavedView, User

LIST = "/admin/messaging/message/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def save(user: User, query: str, name: str = "Mine", share: str = "") -> int:
    form = {"query": query, "name": name, "share": share}
    return int(signed_in(user).post(f"{LIST}views/save/", form).status_code)


def shown(user: User) -> list[str]:
    return [view.name for view in signed_in(user).get(LIST).context["saved_views"]]


@pytest.mark.django_db
def test_a_view_is_saved_linked_and_deleted(admin_of_acme: User) -> None:
    client = signed_in(admin_of_acme)
    page = client.get(f"{LIST}?outcome=failed&p=1&q=parcel").content.decode()
    assert 'name="query" value="outcome=failed&amp;q=parcel"' in page
    answer = client.post(
        f"{LIST}views/save/", {"query": "outcome=failed&p=1&q=parcel&code=", "name": " Lost parcels "}
    )
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{LIST}?outcome=failed&q=parcel")
    view = SavedView.objects.get()
    assert (view.name, view.query, view.page) == (
        "Lost parcels",
        "outcome=failed&q=parcel",
        "messaging.message",
    )
    assert '<a href="?outcome=failed&amp;q=parcel">Lost parcels</a>' in client.get(LIST).content.decode()
    assert "Lost parcels" not in client.get("/admin/messaging/deliveryattempt/").content.decode()
    assert client.post(f"{LIST}views/{view.pk}/delete/").status_code == 302
    assert not SavedView.objects.exists()
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == ["added", "deleted"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("organization__account__name=x", "x"),
        ("text__regex=a", "x"),
        ("o=1", "x"),
        ("created_at_from=2026-01-01&nothing=1", "x"),
        ("", "x"),
        ("p=3", "x"),
        ("outcome=failed", "  "),
        ("q=" + "a" * 2000, "x"),
    ],
)
def test_only_filters_of_the_list_are_saved(admin_of_acme: User, query: str, name: str) -> None:
    assert save(admin_of_acme, query, name) == 400
    assert not SavedView.objects.exists()


@pytest.mark.django_db
def test_views_are_seen_by_whom_they_are_for(
    account: Account,
    acme: Organization,
    globex: Organization,
    admin_of_acme: User,
    admin_of_globex: User,
    reseller: User,
) -> None:
    assert save(admin_of_acme, "outcome=failed", "own") == 302
    assert save(admin_of_acme, "outcome=failed", "of acme", f"organization:{acme.pk}") == 302
    assert save(reseller, "outcome=failed", "of account", f"account:{account.pk}") == 302
    for user, share in (
        (admin_of_acme, f"organization:{globex.pk}"),
        (admin_of_acme, f"account:{account.pk}"),
        (admin_of_acme, "organization:x"),
        (admin_of_globex, f"organization:{acme.pk}"),
    ):
        assert save(user, "outcome=failed", "stolen", share) == 404
    assert shown(admin_of_acme) == ["of acme", "own"]
    assert shown(reseller) == ["of account", "of acme"]
    assert shown(admin_of_globex) == []
    for view in SavedView.objects.all():
        assert signed_in(admin_of_globex).post(f"{LIST}views/{view.pk}/delete/").status_code == 404
    assert SavedView.objects.count() == 3


@pytest.mark.django_db
def test_users_save_no_views(alice: User) -> None:
    assert save(alice, "outcome=failed") == 403
    assert not SavedView.objects.exists()


@pytest.mark.django_db
def test_a_view_takes_no_null_characters(admin_of_acme: User) -> None:
    assert save(admin_of_acme, "outcome=failed&q=%00") == 400
    assert save(admin_of_acme, "q=a\0b") == 400
    assert save(admin_of_acme, "q=parcel", name="\0") == 400
    assert not SavedView.objects.exists()
    assert save(admin_of_acme, "q=parcel", name="Par\0cels") == 302
    assert SavedView.objects.get().name == "Parcels"
