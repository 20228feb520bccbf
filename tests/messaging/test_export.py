"""Exports: each list as it is filtered, safe and complete, and back again without a change."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from messaging import erasure
from messaging.models import Contact, Number, OptOut, Transfer
from messaging.outbound.submit import submit
from messaging.transfer import drain, exports, imports, tables, work
from portal.models import AuditEntry, Membership, Organization, User
from tests.messaging.rules import receive
from tests.messaging.test_import import imported


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def table(answer: Any) -> list[list[str]]:
    assert answer.status_code == 200
    return tables.read(b"".join(answer.streaming_content))


def exported(user: User, kind: str, query: str = "", form: str = "csv") -> list[list[str]]:
    url = reverse("admin:messaging_export", args=[kind])
    return table(signed_in(user).post(f"{url}?{query}", {"format": form}))


@pytest.fixture
def everything(shared: Number, alice: User, bob: User, globex: Organization, reseller: User) -> Number:
    """Rows of Acme in each list, with texts that spreadsheets would calculate."""
    shared.display_name, shared.footer = "=1+1", '@footer; "quoted", with commas'
    shared.save()
    Contact.objects.create(organization=shared.organization, address="+15550100123", name="-Kim")
    Contact.objects.create(organization=shared.organization, address="ACME-Bot", name="'=odd")
    group = "+15550100124, +15550100125"
    Contact.objects.create(organization=shared.organization, address=group, name="Family", is_group=True)
    OptOut.objects.create(organization=shared.organization, number=shared, address="+61412345678")
    kim = Contact.objects.get(address="+15550100123")
    group = Contact.objects.create(
        organization=shared.organization, address="+15550100123, +61412345600", is_group=True
    )
    group.members.add(kim)
    Contact.objects.create(organization=shared.organization, address="+15550100124", merged_into=kim)
    Membership.objects.create(user=alice, organization=globex, role="organization_admin")
    submit(alice, shared, "+61412345600", text="=2+2")
    return shared


@pytest.mark.parametrize("kind", list(imports.KINDS))
@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("who", ["reseller", "operator"])
def test_an_export_that_is_imported_again_changes_nothing(
    everything: Number, request: Any, kind: str, form: str, who: str
) -> None:
    user = request.getfixturevalue(who)
    answer: Any = signed_in(user).post(reverse("admin:messaging_export", args=[kind]), {"format": form})
    content = b"".join(answer.streaming_content)
    rows = len(tables.read(content)) - 1
    before = AuditEntry.objects.count()
    assert imported(user, kind, content).counts == {"same": rows}
    assert rows > 0
    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize("kind", list(exports.models()))
def test_an_export_has_only_what_is_in_reach(
    everything: Number, admin_of_globex: User, kind: str, operator: User
) -> None:
    cells = str(exported(admin_of_globex, kind))
    assert "acme" not in cells.replace("alice@acme.example", "")
    assert exported(admin_of_globex, kind)[0] == list(exports.lists(operator)[kind].header)


def test_an_export_is_what_the_list_shows_and_is_recorded(
    everything: Number, reseller: User, acme: Organization
) -> None:
    assert len(exported(reseller, "contacts")) == 5
    rows = exported(reseller, "contacts", "q=%2B15550100123")
    assert rows == [
        ["organization", "number", "name", "company", "note", "tags"],
        ["acme.example", "+15550100123", "-Kim"],
    ]
    entry = AuditEntry.objects.filter(action="exported").latest("pk")
    assert (entry.actor, entry.name, entry.account) == (reseller, "contacts", acme.account)
    assert entry.changes == {"filters": ["", "q=…"]}  # a contact who is erased must not be named here
    assert exported(reseller, "numbers", "active__exact=0") == [list(imports.KINDS["numbers"].header())]


@pytest.mark.parametrize("kind", list(exports.models()))
def test_each_list_leads_to_its_import_and_export(everything: Number, reseller: User, kind: str) -> None:
    model = exports.models()[kind]._meta.label_lower.replace(".", "_")
    page = signed_in(reseller).get(reverse(f"admin:{model}_changelist") + "?o=").content.decode()
    assert f'action="{reverse("admin:messaging_export", args=[kind])}?o="' in page
    assert (reverse("admin:messaging_import", args=[kind]) in page) == (kind in imports.KINDS)
    assert ("Add several…" in page) == (kind == "numbers")


def test_a_filter_that_the_list_does_not_have_exports_nothing(everything: Number, reseller: User) -> None:
    url = reverse("admin:messaging_export", args=["users"])
    answer = signed_in(reseller).post(f"{url}?password__startswith=p", {"format": "csv"})
    assert answer.status_code == 400
    assert not AuditEntry.objects.filter(action="exported").exists()


def test_the_role_user_exports_nothing(everything: Number, alice: User, bob: User) -> None:
    url = reverse("admin:messaging_export", args=["contacts"])
    assert signed_in(bob).post(url, {"format": "csv"}).status_code == 403
    assert Client().post(url, {"format": "csv"}).status_code == 302
    assert signed_in(alice).get(url).status_code == 405


@pytest.fixture
def long_list(monkeypatch: pytest.MonkeyPatch, acme: Organization) -> None:
    monkeypatch.setattr(exports, "AT_ONCE", 10)
    monkeypatch.setattr(exports, "BLOCK", 10)
    Contact.objects.bulk_create(
        Contact(organization=acme, address=f"+6141234{place:04}") for place in range(25)
    )


def test_a_long_list_is_exported_by_a_task_for_a_day(
    long_list: None, admin_of_acme: User, reseller: User, operator: User
) -> None:
    client = signed_in(admin_of_acme)
    page = client.post(reverse("admin:messaging_export", args=["contacts"]), {"format": "csv"})["Location"]
    assert "0 of 25 rows" in client.get(page).content.decode()
    row = Transfer.objects.get()
    file = reverse("admin:messaging_transfer_file", args=[row.pk, "csv"])
    assert client.get(file).status_code == 404
    drain.drain()
    assert file in client.get(page).content.decode()
    assert len(table(client.get(file))) == 26
    assert len(table(client.get(file.replace("csv", "xlsx")))) == 26
    for other in (reseller, operator):
        assert signed_in(other).get(file).status_code == 404
    Transfer.objects.update(due_at=Now())
    assert client.get(file)["Location"] == page
    drain.drain()
    assert (client.get(file)["Location"], row.parts.count()) == (page, 0)


@pytest.fixture
def groups(long_list: None, acme: Organization) -> None:
    """More groups than are read at once, which are newer than the people, and one among these."""
    Contact.objects.filter(address="+61412340020").update(is_group=True)
    Contact.objects.bulk_create(
        Contact(organization=acme, address=f"+6141234{place:04}, +15550100124", is_group=True)
        for place in range(12)
    )


PEOPLE = [f"+6141234{place:04}" for place in range(25) if place != 20]


def test_an_export_goes_on_behind_groups(groups: None, admin_of_acme: User) -> None:
    row = exports.start(admin_of_acme, "contacts", "")
    assert isinstance(row, Transfer)
    drain.drain()
    row.refresh_from_db()
    assert (row.state, row.done, row.total) == ("finished", 24, 24)
    assert sorted(cells[1] for cells in list(exports.lines(row))[1:]) == PEOPLE


def test_an_export_at_once_goes_on_behind_groups(
    groups: None, admin_of_acme: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "AT_ONCE", 100)
    assert sorted(cells[1] for cells in exported(admin_of_acme, "contacts")[1:]) == PEOPLE


@pytest.mark.parametrize("part", [1, 2, 3])
def test_an_export_that_is_killed_goes_on_where_it_was(
    groups: None, admin_of_acme: User, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    row = exports.start(admin_of_acme, "contacts", "")
    assert isinstance(row, Transfer)

    class Killed(BaseException):
        pass

    block, left = exports._block, [part]

    def dies(*args: Any) -> list[Any]:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return block(*args)

    with monkeypatch.context() as patch:
        patch.setattr(exports, "_block", dies)
        with pytest.raises(Killed):
            drain.drain()
    work.release()
    drain.drain()
    row.refresh_from_db()
    assert (row.state, row.done) == ("finished", 24)
    assert sorted(cells[1] for cells in list(exports.lines(row))[1:]) == PEOPLE


def test_a_cancelled_export_has_no_file(long_list: None, admin_of_acme: User) -> None:
    row = exports.start(admin_of_acme, "contacts", "")
    assert isinstance(row, Transfer)
    client = signed_in(admin_of_acme)
    client.post(reverse("admin:messaging_transfer_do", args=[row.pk]), {"do": "cancel"})
    drain.drain()
    row.refresh_from_db()
    assert row.state == "cancelled"
    assert client.get(reverse("admin:messaging_transfer_file", args=[row.pk, "csv"])).status_code == 404


@pytest.mark.parametrize("kind", ["contacts", "numbers", "users", "organizations", "messages"])
def test_an_export_takes_as_many_queries_for_many_rows_as_for_one(
    everything: Number, operator: User, alice: User, acme: Organization, kind: str
) -> None:
    client, counts = signed_in(operator), []
    url = reverse("admin:messaging_export", args=[kind])
    for round_ in range(2):
        with CaptureQueriesContext(connection) as captured:
            table(client.post(url, {"format": "csv"}))
        counts.append(len(captured))
        for place in range(0 if round_ else 9):
            Contact.objects.create(organization=acme, address=f"+6141234500{place}")
            Number.objects.create(organization=acme, number=f"+6185555570{place}").users.add(alice)
            user = User.objects.create_user(f"more{place}@acme.example")
            Membership.objects.create(user=user, organization=acme)
            Organization.objects.create(account=acme.account, name="More", domain=f"more{place}.example")
            submit(alice, everything, f"+6141234600{place}", text="x")
    assert counts[0] == counts[1]


@pytest.mark.parametrize("query", ["", "q=0412+345+678"])
def test_a_contact_who_is_erased_is_in_no_list_that_waits_to_be_downloaded(
    private: Number,
    globex: Organization,
    admin_of_acme: User,
    admin_of_globex: User,
    reseller: User,
    operator: User,
    query: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exports, "AT_ONCE", 0)
    receive(private, "Hi")
    receive(private, "Hello", sender="+61412000000")
    Contact.objects.create(organization=globex, address="+61412345678")
    for user in (admin_of_acme, reseller, operator):
        exports.start(user, "messages", query)
    exports.start(admin_of_globex, "contacts", query)
    exports.start(admin_of_acme, "messages", "q=%2B61412000000")
    drain.drain()
    erasure.start(private.organization, "+61412345678", None)
    erasure.drain()
    rows = list(Transfer.objects.order_by("pk"))
    assert [row.parts.count() for row in rows] == [0, 0, 0, 1, 1]
    assert [row.query for row in rows] == ["", "", "", query, "q=%2B61412000000"]
    assert [line[-1] for line in exports.lines(rows[-1])][1:] == ["Hello"]
    # The page of one whose content is gone says so.
    page = signed_in(reseller).get(f"/admin/messaging/transfer/{rows[1].pk}/change/")
    assert page.status_code == 200
    assert "412345678" not in page.content.decode()
