"""Pages with lists of what people have made take as many queries for a hundred rows as for one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging.models import (
    Alert,
    CannedReply,
    Contact,
    ContactTag,
    Device,
    Erasure,
    Number,
    OptOut,
    PlannedAssignment,
    Transfer,
)
from portal.audit import Action
from portal.models import AuditEntry, Invitation, PersonalToken, SavedView, User


def _alerts(admin: User, number: Number, more: range) -> None:
    organization = number.organization
    Alert.objects.bulk_create(
        Alert(
            kind="sending",
            subject=f"more {n}",
            account=organization.account,
            organization=organization,
            integration=number.integration,
            began_at=timezone.now(),
        )
        for n in more
    )


def _sessions(admin: User, number: Number, more: range) -> None:
    for _ in more:
        Client().force_login(admin)


def _contacts(admin: User, number: Number, more: range) -> None:
    """Each with a tag, and another number of the same person."""
    organization = number.organization
    people = Contact.objects.bulk_create(
        Contact(organization=organization, address=f"+61412{n:05}0", name=f"Person {n}") for n in more
    )
    tag, _ = ContactTag.objects.get_or_create(organization=organization, name="vip")
    tag.contacts.add(*people)
    Contact.objects.bulk_create(
        Contact(organization=organization, address=f"+61412{n:05}1", merged_into=person)
        for n, person in zip(more, people, strict=True)
    )


def _transfers(admin: User, number: Number, more: range) -> None:
    Transfer.objects.bulk_create(
        Transfer(author=admin, direction="in", kind="contacts", name=f"{n}.csv", state="finished")
        for n in more
    )


def _replies(admin: User, number: Number, more: range) -> None:
    CannedReply.objects.bulk_create(
        CannedReply(organization=number.organization, number=number, owner=admin, name=f"{n}", text="Hello")
        for n in more
    )


def _invite(admin: User, number: Number, more: range) -> list[Invitation]:
    organization = number.organization
    return Invitation.objects.bulk_create(
        Invitation(
            account=organization.account,
            organization=organization,
            email=f"new{n}@acme.example",
            name=f"New {n}",
            inviter=admin,
            digest=f"{n}",
            created_at=timezone.now(),
        )
        for n in more
    )


def _invitations(admin: User, number: Number, more: range) -> None:
    _invite(admin, number, more)


def _planned(admin: User, number: Number, more: range) -> None:
    PlannedAssignment.objects.bulk_create(
        PlannedAssignment(number=number, invitation=row) for row in _invite(admin, number, more)
    )


def _views(admin: User, number: Number, more: range) -> None:
    organization = number.organization
    SavedView.objects.bulk_create(
        SavedView(
            owner=admin,
            account=organization.account,
            organization=organization,
            page="messaging.Message",
            name=f"View {n}",
            query="outcome=failed",
        )
        for n in more
    )


def _devices(admin: User, number: Number, more: range) -> None:
    Device.objects.bulk_create(
        Device(user=admin, digest=f"{n}", subscription={"endpoint": f"{n}", "session": ""}, name=f"Phone {n}")
        for n in more
    )


def _opt_outs(admin: User, number: Number, more: range) -> None:
    OptOut.objects.bulk_create(
        OptOut(organization=number.organization, number=number, address=f"+61412{n:06}") for n in more
    )


def _erasures(admin: User, number: Number, more: range) -> None:
    Erasure.objects.bulk_create(
        Erasure(organization=number.organization, requested_by=admin, address="+61412345678", masked="…")
        for n in more
    )


def _tokens(admin: User, number: Number, more: range) -> None:
    PersonalToken.objects.bulk_create(
        PersonalToken(user=admin, name=f"Program {n}", digest=f"{n}") for n in more
    )


def _audit(admin: User, number: Number, more: range) -> None:
    organization = number.organization
    AuditEntry.objects.bulk_create(
        AuditEntry(
            account=organization.account,
            organization=organization,
            actor=admin,
            who="Ada",
            action=Action.CHANGED,
            kind="messaging.number",
            object_id=f"{number.pk}",
            name=f"Change {n}",
        )
        for n in more
    )


@pytest.mark.parametrize(
    ("page", "fill"),
    [
        ("/account/alerts/", _alerts),
        ("/admin/", _alerts),
        ("/account/sessions/", _sessions),
        ("/admin/messaging/contact/", _contacts),
        ("/admin/messaging/contact/?q=person", _contacts),
        ("/admin/messaging/transfer/", _transfers),
        ("/account/writing/", _replies),
        ("/admin/portal/invitation/", _invitations),
        ("/admin/messaging/number/{number}/change/", _planned),
        ("/admin/messaging/message/", _views),
        ("/account/notifications/", _devices),
        ("/admin/messaging/optout/", _opt_outs),
        ("/admin/messaging/erasure/", _erasures),
        ("/account/tokens/", _tokens),
        ("/admin/portal/personaltoken/", _tokens),
        ("/admin/portal/auditentry/", _audit),
    ],
)
def test_a_page_takes_as_many_queries_for_100_rows_as_for_1(
    page: str, fill: Callable[[User, Number, range], None], admin_of_acme: User, private: Number
) -> None:
    url, client, cost = page.format(number=private.pk), Client(), []
    client.force_login(admin_of_acme)
    for more in (range(1), range(1, 100)):
        fill(admin_of_acme, private, more)
        client.get(url)  # what is read once is not read again
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code == 200
        cost.append(len(captured))
    assert cost[0] == cost[1]
