"""Imports and exports that mention a contact go when it is erased, at whatever they are just then."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from messaging import erasure
from messaging.models import Contact, Erasure, Transfer, TransferPart
from messaging.transfer import drain, exports, imports, work
from portal.models import Membership, Organization, User
from tests.messaging.test_import import Killed, checked, many

PEOPLE = [f"+6141234{place:04}" for place in range(25)]
NEWEST, OLDEST = PEOPLE[-1], PEOPLE[0]
EXPORT_AGAIN = "Export the list again: it may have named a contact who was erased meanwhile."
UPLOAD_AGAIN = "Upload the file again: it may name a contact who was erased meanwhile."


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch, acme: Organization) -> None:
    """Contacts whose list is exported by the task, ten at once, the newest first."""
    monkeypatch.setattr(exports, "AT_ONCE", 0)
    monkeypatch.setattr(exports, "BLOCK", 10)
    Contact.objects.bulk_create(Contact(organization=acme, address=address) for address in PEOPLE)


def export(user: User, query: str = "", kind: str = "contacts") -> Transfer:
    row = exports.start(user, kind, query)
    assert isinstance(row, Transfer)
    return row


def exported(user: User, query: str = "") -> Transfer:
    row = export(user, query)
    drain.drain()
    row.refresh_from_db()
    assert row.state == "finished"
    return row


def erase(organization: Organization, address: str) -> Erasure:
    row = erasure.start(organization, address, None)
    erasure.drain()
    row.refresh_from_db()
    return row


def numbers(row: Transfer) -> list[str]:
    return [cells[1] for cells in list(exports.lines(row))[1:]]


def outcome(row: Transfer) -> tuple[str, str, str, int]:
    row.refresh_from_db()
    return row.state, row.problem, row.query, row.parts.count()


def test_a_list_that_cannot_be_decrypted_goes_and_holds_up_no_erasure(
    people: None, admin_of_acme: User, acme: Organization, settings: Any
) -> None:
    lost, row = exported(admin_of_acme), exported(admin_of_acme)
    keys = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    TransferPart.objects.filter(transfer=lost).update(data=b"[]")
    settings.ENCRYPTION_KEYS = keys
    done = erase(acme, NEWEST)
    assert (done.finished_at is not None, done.address) == (True, "")
    assert (lost.parts.count(), row.parts.count()) == (0, 0)


@pytest.mark.parametrize("search", [1, 2])
def test_an_erasure_that_is_killed_while_it_searches_lists_is_repeated(
    people: None, admin_of_acme: User, acme: Organization, monkeypatch: pytest.MonkeyPatch, search: int
) -> None:
    row, left, real = exported(admin_of_acme), [search], work.erase

    def dies(*args: Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise Killed
        real(*args)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(work, "erase", dies)
        erase(acme, NEWEST)
    killed = Erasure.objects.get()
    assert (killed.finished_at, killed.address) == (None, NEWEST)
    Erasure.objects.update(claimed_until=None)
    erasure.drain()
    killed.refresh_from_db()
    assert (killed.finished_at is not None, killed.address) == (True, "")
    assert row.parts.count() == 0
    assert not Contact.objects.filter(address=NEWEST).exists()


def test_an_export_that_searches_for_the_contact_is_cancelled_before_it_is_read(
    people: None, admin_of_acme: User, acme: Organization
) -> None:
    row = export(admin_of_acme, f"q={NEWEST[1:]}")
    erase(acme, NEWEST)
    drain.drain()
    assert outcome(row) == ("cancelled", EXPORT_AGAIN, "", 0)


def test_a_finished_export_of_others_loses_only_what_was_searched_for(
    people: None, admin_of_acme: User, acme: Organization
) -> None:
    row = exported(admin_of_acme, f"q={NEWEST[1:]}")
    TransferPart.objects.update(data=b'[["acme.example", "+61411111111"]]')
    erase(acme, NEWEST)
    assert outcome(row) == ("finished", "", "", 1)


def test_an_export_that_has_read_the_contact_is_cancelled(
    people: None, admin_of_acme: User, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, block = export(admin_of_acme), exports._block

    def erases(*args: Any) -> list[Any]:
        found = block(*args)
        if row.parts.count() == 1:
            erase(acme, NEWEST)
        return found

    monkeypatch.setattr(exports, "_block", erases)
    drain.drain()
    assert outcome(row) == ("cancelled", EXPORT_AGAIN, "", 0)
    Transfer.objects.filter(due_at__isnull=False).update(due_at=Now())
    drain.drain()
    assert outcome(row) == ("cancelled", EXPORT_AGAIN, "", 0)
    assert row.due_at is None


def test_an_export_that_is_just_reading_the_contact_reads_again_without_it(
    people: None, admin_of_acme: User, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, block = export(admin_of_acme), exports._block

    def erases(*args: Any) -> list[Any]:
        found = block(*args)
        if OLDEST in [each.address for each in found]:
            erase(acme, OLDEST)
        return found

    monkeypatch.setattr(exports, "_block", erases)
    drain.drain()
    row.refresh_from_db()
    assert (row.state, row.done) == ("finished", 24)
    assert numbers(row) == list(reversed(PEOPLE[1:]))


@pytest.mark.parametrize("moved", [False, True])
def test_lists_of_who_has_lost_their_role_are_searched_and_others_kept(
    people: None,
    admin_of_acme: User,
    admin_of_globex: User,
    acme: Organization,
    globex: Organization,
    moved: bool,
) -> None:
    Contact.objects.create(organization=globex, address=NEWEST)
    row, other = exported(admin_of_acme), exported(admin_of_globex, f"q={NEWEST[1:]}")
    if moved:
        Membership.objects.filter(user=admin_of_acme).update(organization=globex, extension="101")
    else:
        Membership.objects.filter(user=admin_of_acme).delete()
    erase(acme, NEWEST)
    assert row.parts.count() == 0
    assert numbers(other) == [NEWEST]


def test_what_was_searched_for_goes_with_the_content(
    people: None, admin_of_acme: User, acme: Organization
) -> None:
    row = exported(admin_of_acme, f"q={NEWEST[1:]}")
    Transfer.objects.update(due_at=Now())
    drain.drain()
    assert outcome(row) == ("finished", "", "", 0)


def test_a_checked_import_with_the_contact_is_cancelled(admin_of_acme: User, acme: Organization) -> None:
    row = checked(admin_of_acme, "contacts", many(2))
    other = checked(admin_of_acme, "contacts", many(1))
    erase(acme, "+61410000001")
    assert outcome(row) == ("cancelled", UPLOAD_AGAIN, "", 0)
    assert outcome(other) == ("checked", "", "", 1)
    client = Client()
    client.force_login(admin_of_acme)
    page = client.get(f"/admin/messaging/transfer/{row.pk}/change/").content.decode()
    assert UPLOAD_AGAIN in page and "Import 2 rows" not in page
    assert not imports.confirm(row)
    drain.drain()
    assert outcome(row) == ("cancelled", UPLOAD_AGAIN, "", 0)
    assert Contact.objects.count() == 0


def test_an_import_does_not_bring_the_contact_back(
    admin_of_acme: User, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = checked(admin_of_acme, "contacts", many(500))
    imports.confirm(row)
    progress = work.progress

    def erases(transfer: Transfer, **values: Any) -> None:
        progress(transfer, **values)
        if values.get("done") == 200:
            erase(acme, "+61410000001")

    monkeypatch.setattr(work, "progress", erases)
    drain.drain()
    assert outcome(row) == ("cancelled", UPLOAD_AGAIN, "", 0)
    assert (row.done, Contact.objects.count()) == (200, 199)


def test_a_file_that_is_being_checked_leaves_no_rows(
    admin_of_acme: User, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = imports.start(admin_of_acme, "contacts", "x.csv", b"organization,number\nacme.example,+61412345678")
    planned = imports.planned

    def erases(*args: Any) -> Any:
        erase(acme, "+61412345678")
        return planned(*args)

    monkeypatch.setattr(imports, "planned", erases)
    drain.drain()
    assert outcome(row) == ("cancelled", UPLOAD_AGAIN, "", 0)


def test_a_check_that_has_expired_says_so(admin_of_acme: User, acme: Organization) -> None:
    row = checked(admin_of_acme, "contacts", many(2))
    Transfer.objects.update(due_at=Now())
    drain.drain()
    problem = "Upload the file again: what was checked is kept for a day."
    assert outcome(row) == ("cancelled", problem, "", 0)
    assert row.due_at is None
    assert not imports.confirm(row)
    assert Contact.objects.count() == 0


def test_what_is_confirmed_at_the_last_moment_is_imported(admin_of_acme: User, acme: Organization) -> None:
    row = checked(admin_of_acme, "contacts", many(2))
    Transfer.objects.update(due_at=Now())
    expired = work.claim()
    assert expired == row
    assert imports.confirm(row)
    with pytest.raises(work.Stopped):
        work.forget(expired)
    drain.drain()
    row.refresh_from_db()
    assert (row.state, row.counts) == ("finished", {"new": 2})
    assert Contact.objects.count() == 2


def test_old_imports_and_exports_without_content_cost_nothing(
    admin_of_acme: User, operator: User, acme: Organization
) -> None:
    counts = []
    for place in range(2):
        with CaptureQueriesContext(connection) as captured:
            erase(acme, f"+6141234500{place}")
        counts.append(len(captured))
        for author in (admin_of_acme, operator):
            Transfer.objects.bulk_create(
                Transfer(author=author, direction="out", kind="contacts", state="finished", finished_at=Now())
                for _ in range(20)
            )
    assert counts[0] == counts[1]
