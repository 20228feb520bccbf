"""Imports: files of all kinds, dry runs, tenants, repeats, interruptions, and the audit."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import openpyxl
import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations.models import Integration
from messaging.models import Assignment, Contact, Number, OptOut, Transfer, TransferPart
from messaging.transfer import cells, drain, imports, tables, work
from portal.csv_lines import csv_lines, plain, safe
from portal.models import AuditEntry, Invitation, Membership, Organization, User
from portal.people import invitations

Rows = Sequence[Sequence[str]]


def csv_of(rows: Rows, delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows(rows)
    return file.getvalue().encode(encoding)


def xlsx_of(rows: Sequence[Sequence[Any]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def checked(user: User, kind: str, content: bytes | Rows) -> Transfer:
    """The import after the dry run."""
    data = content if isinstance(content, bytes) else csv_of(content)
    row = imports.start(user, kind, "file.csv", data)
    drain.drain()
    row.refresh_from_db()
    return row


def imported(user: User, kind: str, content: bytes | Rows) -> Transfer:
    row = checked(user, kind, content)
    assert row.state == "checked", row.problem
    if imports.confirm(row):
        drain.drain()
    row.refresh_from_db()
    return row


def outcomes(row: Transfer) -> list[tuple[int, str, str]]:
    """Row, verdict, and the column that is wrong, if one is."""
    return [
        (each["row"], each["verdict"], each.get("problem", [""])[0]) for part in row.rows() for each in part
    ]


CONTACTS = [["organization", "number", "name"], ["acme.example", "+61412345678", "Zoë"]]


@pytest.mark.parametrize(
    "content",
    [
        csv_of(CONTACTS),
        csv_of(CONTACTS, encoding="utf-8-sig"),
        csv_of(CONTACTS, ";"),
        csv_of(CONTACTS, "\t"),
        csv_of(CONTACTS, "\t", "utf-16"),
        csv_of(CONTACTS, ";", "utf-16-le"),
        csv_of(CONTACTS, ";", "utf-16-be"),
        b"sep=;\r\n" + csv_of(CONTACTS, ";"),
        xlsx_of(CONTACTS),
        xlsx_of([CONTACTS[0], ["acme.example", 61412345678, "Zoë"]]),
        csv_of(
            [["Number", "NAME", "Organization"], ["'+61412345678", " Zoë ", "ACME.example"], ["", "", ""]]
        ),
    ],
)
def test_files_are_read_as_spreadsheets_write_them(
    admin_of_acme: User, acme: Organization, content: bytes
) -> None:
    row = imported(admin_of_acme, "contacts", content)
    assert (row.state, row.counts) == ("finished", {"new": 1})
    assert list(Contact.objects.values_list("organization", "address", "name")) == [
        (acme.pk, "+61412345678", "Zoë")
    ]


def _broken(part: str, content: bytes) -> bytes:
    """A workbook with another content in one of its parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx_of(CONTACTS))) as good, zipfile.ZipFile(file, "w") as archive:
        for name in good.namelist():
            archive.writestr(name, content if name == part else good.read(name))
    return file.getvalue()


def _bomb() -> bytes:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet,
    ):
        for _ in range(70):
            sheet.write(b"0" * 1024 * 1024)
    return file.getvalue()


def _crowd() -> bytes:
    """A workbook of some kilobytes, whose one row takes hundreds of megabytes to be read."""
    names = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row>'
    packed = io.BytesIO()
    sheet = names + b"<c/>" * 1_500_000 + b"</row></sheetData></worksheet>"
    with (
        zipfile.ZipFile(io.BytesIO(_broken("xl/worksheets/sheet1.xml", sheet))) as plain,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in plain.namelist():
            archive.writestr(name, plain.read(name))
    assert len(packed.getvalue()) < 20_000
    return packed.getvalue()


def _styled() -> bytes:
    """A workbook of some kilobytes, whose styles take hundreds of megabytes in a parser that is no Python."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(xlsx_of(CONTACTS))) as plain,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in plain.namelist():
            content = plain.read(name)
            if name == "xl/styles.xml":
                content = content.replace(b"</fonts>", b"<font><b/></font>" * 3_000_000 + b"</fonts>")
            archive.writestr(name, content)
    return packed.getvalue()


def _gap(form: str) -> bytes:
    """A table with a row far below the others."""
    if form == "csv":
        return csv_of(CONTACTS) + b"\n" * 12_000 + csv_of(CONTACTS[1:])
    book = openpyxl.Workbook()
    for row in CONTACTS:
        book.active.append(list(row))
    for column, cell in enumerate(CONTACTS[1], 1):
        book.active.cell(row=12_000, column=column, value=cell)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "neither a table in UTF-8 nor an XLSX file"),
        ("organization,number,name\nacme.example,+61412345678,Zo\u00eb".encode("cp1252"), "CSV UTF-8"),
        (b"PK\x03\x04 no archive", "damaged"),
        (_broken("xl/workbook.xml", b"<workbook"), "damaged"),
        (_broken("xl/worksheets/sheet1.xml", b"<worksheet><sheetData><row>"), "damaged"),
        (_bomb(), "unpacks to more than 64 MB"),
        (_crowd(), "takes too much time or memory"),
        (_styled(), "takes too much time or memory"),
        (_gap("csv"), "more than 10000 rows"),
        (_gap("xlsx"), "more than 10000 rows"),
        (csv_of([["organization", "number", "color"], ["a", "b", "c"]]), "column “color” is unknown"),
        (
            csv_of([["organisation", "number", "e-mail"], ["a", "b", "c"]]),
            "The columns “organisation”, “e-mail” are unknown. The first row has to name the columns:",
        ),
        (csv_of([["organization", "name"], ["a", "b"]]), "column “number” is missing"),
        (csv_of([["organization", "number", "number"], ["a", "b", "c"]]), "comes twice"),
        (csv_of([["organization", "number"]]), "no rows besides"),
        (b'organization,number\n"acme.example,1', "is no table"),
        (csv_of([["organization", "number"], *[["a", "b"]] * 10_001]), "more than 10000 rows"),
        (csv_of([["organization", "number"], ["a", "b" * 5001]]), "more than 5000 characters"),
        (csv_of([["organization", "number", *[""] * 60], ["a"] * 62]), "more than 50 columns"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_plain_words(
    admin_of_acme: User, content: bytes, words: str
) -> None:
    row = checked(admin_of_acme, "contacts", content)
    assert row.state == "failed"
    assert words in row.problem
    assert not Contact.objects.exists()
    assert not TransferPart.objects.exists()


def test_a_file_that_is_too_large_is_not_kept(admin_of_acme: User) -> None:
    with pytest.raises(imports.Refused, match="larger than 5 MB"):
        imports.start(admin_of_acme, "contacts", "x.csv", b"x" * (tables.MAX_BYTES + 1))
    assert not Transfer.objects.exists()


@pytest.mark.parametrize(
    "text", ["=1+1", "+1 555", "-1", "@SUM(A1)", "'=x", "''=x", "\uff1d1+1", "+15550100123", "'quoted", "a"]
)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_cells_are_safe_and_come_back_as_they_were(text: str, form: str) -> None:
    rows = [["name"], [text]]
    if form == "csv":
        content = "".join(csv_lines(rows)).encode()
        written = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))[1][0]
    else:
        with tables.xlsx(rows) as file:
            content = file.read()
        cell = openpyxl.load_workbook(io.BytesIO(content)).active["A2"]
        assert cell.data_type == "s"
        written = cell.value
    assert written[0] not in "=-@+" or written == "+15550100123"
    assert tables.read(content) == rows


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("a;=1+1", "a;'=1+1"),
        ('a;"=1+1;b', "a;'\"=1+1;b"),
        ("one\n- two\n\nthree", "one\n'- two\n\nthree"),
        ("+61412345678;+1-1", "+61412345678;'+1-1"),
        ("\t=1", "'\t'=1"),
        ("a=1; b", "a=1; b"),
        ("", ""),
    ],
)
def test_no_part_of_a_cell_is_a_formula(text: str, cell: str) -> None:
    assert (safe(text), plain(cell)) == (cell, text)


@given(st.text("a1=+-@\uff1d;,'\"\t\r\n", max_size=12))
def test_no_spreadsheet_calculates_whatever_it_separates_by(text: str) -> None:
    if text == text.strip():
        assert plain(safe(text)) == text
    line = "".join(csv_lines([["a", text, "b"]])).removeprefix("\ufeff")
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(line, newline=""), delimiter=separator):
            for cell in row:
                assert cell[:1] not in tuple("=+-@\uff1d") or re.fullmatch(r"\+[0-9]+\"?(,b)?", cell), line


# --- Tenants -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "header", "cells"),
    [
        ("contacts", ["organization", "number"], ["%s", "+61412345678"]),
        ("numbers", ["organization", "number"], ["%s", "+61855555599"]),
        ("opt-outs", ["organization", "number", "contact"], ["%s", "+61855555501", "+61412345678"]),
        ("users", ["email", "name", "organization"], ["new@acme.example", "New", "%s"]),
    ],
)
def test_another_organization_is_refused_as_if_it_did_not_exist(
    admin_of_globex: User, private: Number, kind: str, header: list[str], cells: list[str]
) -> None:
    sentences = []
    for domain in ("acme.example", "nobody.example"):
        row = checked(admin_of_globex, kind, [header, [cell.replace("%s", domain) for cell in cells]])
        ((each,),) = row.rows()
        assert each["problem"][0] == "organization"
        assert not imports.confirm(row)
        sentences.append(each["problem"][1].replace(domain, "…"))
    assert sentences[0] == sentences[1]
    assert not Contact.objects.exists() and not OptOut.objects.exists()
    assert Number.objects.count() == 1 and not Invitation.objects.exists()


def test_an_organization_admin_renames_their_own_organization_and_adds_none(
    admin_of_acme: User, acme: Organization, globex: Organization
) -> None:
    row = imported(
        admin_of_acme,
        "organizations",
        [
            ["domain", "name"],
            ["acme.example", "Acme Ltd"],
            ["globex.example", "Mine"],
            ["new.example", "New"],
        ],
    )
    assert outcomes(row) == [(2, "changed", ""), (3, "wrong", "domain"), (4, "wrong", "domain")]
    assert sorted(Organization.objects.values_list("name", flat=True)) == ["Acme Ltd", "Globex"]


def test_what_is_known_of_a_contact_is_imported_and_stands_in_no_audit(
    admin_of_acme: User, acme: Organization
) -> None:
    header = ["organization", "number", "name", "company", "note", "tags"]
    rows = [
        header,
        ["acme.example", "+61412345678", "Zoë Planted", "Planted Ltd", "planted note", "VIP, patient,vip"],
        ["acme.example", "+61412345679", "", "", "", "t" * 41],
    ]
    assert outcomes(imported(admin_of_acme, "contacts", rows)) == [(2, "new", ""), (3, "wrong", "tags")]
    contact = Contact.objects.get()
    assert (contact.name, contact.company, contact.note) == ("Zoë Planted", "Planted Ltd", "planted note")
    assert sorted(map(str, contact.tags.all())) == ["VIP", "patient"]
    again = [header, ["acme.example", "+61412345678", "Zoë Planted", "Planted Ltd", "planted note", "new"]]
    assert outcomes(imported(admin_of_acme, "contacts", again)) == [(2, "changed", "")]
    assert outcomes(imported(admin_of_acme, "contacts", again)) == [(2, "same", "")]
    assert sorted(map(str, contact.tags.all())) == ["new"]
    entries = AuditEntry.objects.filter(kind="messaging.contact").order_by("pk")
    assert [(entry.action, entry.name) for entry in entries] == [
        ("added", "+61…78"),
        ("changed", "+61…78"),
    ]
    stored = str([entry.changes for entry in entries]).lower()
    assert [word for word in ("planted", "345678", "vip") if word in stored] == []


def test_an_account_admin_adds_organizations_to_their_account(reseller: User, acme: Organization) -> None:
    row = imported(reseller, "organizations", [["domain", "name"], ["new.example", "New"], ["Bad_", "X"]])
    assert outcomes(row) == [(2, "new", ""), (3, "wrong", "domain")]
    assert Organization.objects.get(domain="new.example").account == acme.account


def test_nobody_else_sees_an_import(
    admin_of_acme: User, reseller: User, operator: User, acme: Organization
) -> None:
    row = checked(admin_of_acme, "contacts", CONTACTS)
    for user in (reseller, operator):
        client = Client()
        client.force_login(user)
        assert client.get(reverse("admin:messaging_transfer_change", args=[row.pk])).status_code == 404
        do = reverse("admin:messaging_transfer_do", args=[row.pk])
        assert client.post(do, {"do": "import"}).status_code == 404
    drain.drain()
    assert not Contact.objects.exists()


# --- Rows ----------------------------------------------------------------------------------------------------


def test_numbers_are_added_with_their_users_and_provider(
    admin_of_acme: User, acme: Organization, service: Integration, alice: User, charlie: User
) -> None:
    rows = [
        ["organization", "number", "country", "display_name", "users", "sticky_hours"],
        ["acme.example", "08 5555 5501", "au", "Desk", "ALICE@acme.example", "24"],
        ["acme.example", "+61855555502", "", "", "charlie@globex.example", ""],
        ["acme.example", "nonsense!", "", "", "", ""],
        ["acme.example", "+61 8 5555 5501", "", "", "", ""],
        ["acme.example", "+61855555503", "", "", "", "many"],
    ]
    row = imported(admin_of_acme, "numbers", rows)
    assert outcomes(row) == [
        (2, "new", ""),
        (3, "wrong", "users"),
        (4, "wrong", "number"),
        (5, "wrong", "number"),
        (6, "wrong", "sticky_hours"),
    ]
    number = Number.objects.get()
    assert (number.number, number.country, number.display_name, number.sticky_hours, number.spelling) == (
        "+61855555501",
        "AU",
        "Desk",
        24,
        "+61855555501",
    )
    assert (number.integration, number.account) == (service, acme.account)
    assert list(number.users.all()) == [alice]
    entry = AuditEntry.objects.filter(kind="messaging.number").get()
    assert (entry.action, entry.actor, entry.organization) == ("added", admin_of_acme, acme)


@pytest.mark.parametrize(
    ("number", "country", "said"),
    [
        ("6,18556E+10", "", "Format its column as text, and enter it again."),
        (
            "6.1856E+10",
            "AU",
            "shortened the number to 6.1856E+10. Format its column as text, and enter it again.",
        ),
        ("08 5550 5504", "", "like +61412345678. Or say its country."),
        ("08 5550", "AU", "like +61412345678."),
        ("a name that is too long 1", "", "like +61412345678."),
    ],
)
def test_why_a_number_cannot_be_read_is_said(
    admin_of_acme: User, acme: Organization, number: str, country: str, said: str
) -> None:
    row = checked(
        admin_of_acme,
        "numbers",
        [["organization", "number", "country"], ["acme.example", number, country]],
    )
    ((kept,),) = row.rows()
    column, problem = kept["problem"]
    assert column == "number" and problem.endswith(said)
    assert not Number.objects.exists()


@pytest.mark.parametrize(
    ("kind", "column"), [("contacts", "number"), ("opt-outs", "contact"), ("opt-outs", "number")]
)
def test_a_number_that_has_lost_its_digits_is_nobodys(
    admin_of_acme: User, shared: Number, kind: str, column: str
) -> None:
    given = {"organization": "acme.example", "number": shared.number, column: "6,14123E+10"}
    if kind == "opt-outs":
        given.setdefault("contact", "+61412345678")
    row = checked(admin_of_acme, kind, [list(given), list(given.values())])
    assert outcomes(row) == [(2, "wrong", column)]
    assert not imports.confirm(row) and not Contact.objects.exists() and not OptOut.objects.exists()


def test_a_number_without_a_provider_is_refused(admin_of_acme: User, acme: Organization) -> None:
    row = checked(admin_of_acme, "numbers", [["organization", "number"], ["acme.example", "+61855555501"]])
    assert outcomes(row) == [(2, "wrong", "provider")]


def test_a_number_of_a_sibling_is_refused(
    admin_of_globex: User, private: Number, globex: Organization
) -> None:
    Integration.objects.create(organization=globex, template=private.integration.template)
    row = imported(
        admin_of_globex, "numbers", [["organization", "number"], ["globex.example", private.number]]
    )
    assert outcomes(row) == [(2, "wrong", "number")]
    assert Number.objects.count() == 1


def test_users_get_roles_and_extensions(reseller: User, alice: User, bob: User, globex: Organization) -> None:
    rows = [
        ["email", "name", "organization", "role", "extension", "status"],
        ["alice@acme.example", "Alice", "acme.example", "organization admin", "101", "active"],
        ["bob@acme.example", "", "acme.example", "user", "101", ""],
        ["alice@acme.example", "", "globex.example", "", "7", "blocked"],
        ["bob@acme.example", "", "globex.example", "boss", "", ""],
    ]
    row = imported(reseller, "users", rows)
    assert outcomes(row) == [
        (2, "changed", ""),
        (3, "wrong", "extension"),
        (4, "changed", ""),
        (5, "wrong", "role"),
    ]
    assert list(alice.memberships.order_by("pk").values_list("role", "extension", "status")) == [
        ("organization_admin", "101", "active"),
        ("user", "7", "blocked"),
    ]


def test_an_organization_admin_makes_nobody_an_account_admin(admin_of_acme: User, alice: User) -> None:
    rows = [["email", "organization", "role"], ["alice@acme.example", "acme.example", "account_admin"]]
    assert outcomes(imported(admin_of_acme, "users", rows)) == [(2, "wrong", "role")]
    assert alice.memberships.get().role == "user"


def test_an_operator_adds_users_at_once(operator: User, acme: Organization) -> None:
    rows = [["email", "name", "organization", "extension"], ["New@acme.example", "New", "acme.example", "9"]]
    imported(operator, "users", rows)
    user = User.objects.get(email="new@acme.example")
    assert not user.has_usable_password()
    assert user.memberships.get().extension == "9"
    assert imported(operator, "users", rows).counts == {"same": 1}


def test_an_operator_adds_somebody_with_several_roles(
    operator: User, alice: User, acme: Organization, globex: Organization
) -> None:
    places = ["acme.example", "globex.example"]
    rows = [["email", "name", "organization"], *[["zoe@x.example", "Zoe", place] for place in places]]
    row = imported(operator, "users", [*rows, ["alice@acme.example", "Alice Smith", "acme.example"]])
    assert (row.state, row.counts, row.problem) == ("finished", {"new": 2, "changed": 1}, "")
    zoe = User.objects.get(email="zoe@x.example")
    assert (zoe.name, zoe.has_usable_password()) == ("Zoe", False)
    assert sorted(zoe.memberships.values_list("organization__domain", flat=True)) == places
    alice.refresh_from_db()
    assert alice.name == "Alice Smith"
    assert imported(operator, "users", rows).counts == {"same": 2}


def test_others_invite_people_and_learn_nothing_about_addresses(
    admin_of_acme: User, charlie: User, acme: Organization, settings: Any
) -> None:
    settings.EMAIL_HOST = "mail.example"
    rows = [
        ["email", "name", "organization", "extension"],
        ["charlie@globex.example", "C", "acme.example", "8"],
        ["nobody@globex.example", "N", "acme.example", "9"],
    ]
    row = imported(admin_of_acme, "users", rows)
    assert (row.state, row.counts) == ("finished", {"invited": 2})
    assert [message.to for message in mail.outbox] == [["charlie@globex.example"], ["nobody@globex.example"]]
    assert imported(admin_of_acme, "users", rows).counts == {"same": 2}
    assert len(mail.outbox) == 2
    Invitation.objects.get(email="charlie@globex.example").accept(charlie)
    assert charlie.memberships.get(organization=acme).extension == "8"


def test_who_has_an_invitation_that_gives_nothing_any_more_is_invited(
    reseller: User, admin_of_acme: User, acme: Organization, settings: Any
) -> None:
    settings.EMAIL_HOST = "mail.example"
    rows = [["email", "name", "organization"], ["nora@acme.example", "N", "acme.example"]]
    assert imported(admin_of_acme, "users", rows).counts == {"invited": 1}
    admin_of_acme.memberships.update(status="blocked")
    assert imported(reseller, "users", rows).counts == {"invited": 1}
    assert Invitation.objects.get().inviter == reseller
    assert imported(reseller, "users", rows).counts == {"same": 1}
    assert len(mail.outbox) == 2


def test_invitations_beyond_the_limit_of_an_hour_wait(
    admin_of_acme: User, acme: Organization, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_HOST = "mail.example"
    monkeypatch.setattr(Invitation, "MOST_PER_HOUR", 2)
    people = [[f"p{place}@x.example", "P", "acme.example"] for place in range(3)]
    row = imported(admin_of_acme, "users", [["email", "name", "organization"], *people])
    assert (row.state, row.done, len(mail.outbox)) == ("inviting", 2, 2)
    assert row.due_at is not None and row.due_at > timezone.now()
    monkeypatch.setattr(Invitation, "MOST_PER_HOUR", 9)
    Transfer.objects.update(due_at=Now())
    drain.drain()
    row.refresh_from_db()
    assert (row.state, row.done, len(mail.outbox)) == ("finished", 3, 3)


def test_invitations_wait_for_a_mail_server_that_is_away(
    admin_of_acme: User, acme: Organization, settings: Any
) -> None:
    rows = [["email", "name", "organization"], ["p@x.example", "P", "acme.example"]]
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    settings.EMAIL_BACKEND, working = "django.core.mail.backends.smtp.EmailBackend", settings.EMAIL_BACKEND
    row = imported(admin_of_acme, "users", rows)
    assert (row.state, Invitation.objects.count()) == ("inviting", 0)
    settings.EMAIL_BACKEND = working
    Transfer.objects.update(due_at=Now())
    drain.drain()
    row.refresh_from_db()
    assert outcomes(row) == [(2, "invited", "")]
    assert (len(mail.outbox), Invitation.objects.count()) == (1, 1)


@pytest.mark.parametrize("mailed", [False, True])
def test_who_was_invited_before_a_stop_gets_the_mail_after_it(
    admin_of_acme: User, acme: Organization, settings: Any, monkeypatch: pytest.MonkeyPatch, mailed: bool
) -> None:
    settings.EMAIL_HOST = "mail.example"
    rows = [["email", "name", "organization"], ["p@x.example", "P", "acme.example"]]
    send = invitations.send_over

    def dies(connection: Any, invitation: Invitation, url: str) -> None:
        if mailed:
            send(connection, invitation, url)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(invitations, "send_over", dies)
        imported(admin_of_acme, "users", rows)
    Transfer.objects.update(due_at=Now())
    drain.drain()
    assert (Transfer.objects.get().state, Invitation.objects.count()) == ("finished", 1)
    links = [line for letter in mail.outbox for line in letter.body.splitlines() if "/invitation" in line]
    assert len(links) == 1 + mailed  # the last one opens it
    assert Client().get(links[-1]).status_code in (200, 302)


def test_of_two_processes_with_one_import_the_first_stops(admin_of_acme: User, acme: Organization) -> None:
    row = checked(admin_of_acme, "contacts", many(3))
    imports.confirm(row)
    first = work.claim()
    assert first is not None
    Transfer.objects.update(due_at=timezone.now() - timedelta(seconds=1))  # its lease has ended
    second = work.claim()
    assert second is not None
    work.progress(second, done=1)
    with pytest.raises(work.Stopped):
        work.progress(first, done=2)
    with pytest.raises(work.Stopped):
        work.finish(first, work.State.FAILED)
    row.refresh_from_db()
    assert (row.state, row.done) == ("importing", 1)


def test_what_is_known_of_a_person_is_kept_in_one_place(
    admin_of_acme: User, acme: Organization, reseller: User
) -> None:
    kept = Contact.objects.create(organization=acme, address="+61412345678", name="Robin")
    Contact.objects.create(organization=acme, address="+61412345679", name="Old", merged_into=kept)
    rows = [["organization", "number", "name", "tags"], ["acme.example", "+61412345679", "Robin Ito", "vip"]]
    assert imported(admin_of_acme, "contacts", rows).counts == {"changed": 1}
    names = dict(Contact.objects.values_list("address", "name"))
    assert names == {"+61412345678": "Robin Ito", "+61412345679": "Old"}
    assert [str(tag) for tag in kept.tags.all()] == ["vip"]
    assert imported(admin_of_acme, "contacts", rows).counts == {"same": 1}


@pytest.mark.parametrize("order", [1, -1])
def test_rows_about_one_person_change_them_together(
    admin_of_acme: User, acme: Organization, order: int
) -> None:
    robin = Contact.objects.create(organization=acme, address="+61412345601", name="Old")
    for address in ("+61412345602", "+61412345603"):
        Contact.objects.create(organization=acme, address=address, merged_into=robin)
    rows = [
        ["acme.example", "+61412345601", "New", "", ""],
        ["acme.example", "+61412345602", "Old", "Ito Dental", "vip"],
        ["acme.example", "+61412345603", "Old", "", "vip"],
    ]
    header = ["organization", "number", "name", "company", "tags"]
    assert imported(admin_of_acme, "contacts", [header, *rows[::order]]).counts == {"changed": 3}
    robin.refresh_from_db()
    assert (robin.name, robin.company, list(map(str, robin.tags.all()))) == ("New", "Ito Dental", ["vip"])


def test_of_two_rows_that_give_one_person_other_tags_the_later_counts(
    admin_of_acme: User, acme: Organization
) -> None:
    robin = Contact.objects.create(organization=acme, address="+61412345601")
    Contact.objects.create(organization=acme, address="+61412345602", merged_into=robin)
    rows = [["acme.example", "+61412345601", "first"], ["acme.example", "+61412345602", "second"]]
    imported(admin_of_acme, "contacts", [["organization", "number", "tags"], *rows])
    assert [str(tag) for tag in robin.tags.all()] == ["second"]


def test_opt_outs_are_added_in_all_ways_in_which_a_number_is_written(
    admin_of_acme: User, private: Number
) -> None:
    rows = [
        ["organization", "number", "contact"],
        ["acme.example", private.number, "0412 345 678"],
        ["acme.example", private.number, "+525512345678"],
        ["acme.example", "+61855550000", "+61412345678"],
    ]
    row = imported(admin_of_acme, "opt-outs", rows)
    assert outcomes(row) == [(2, "new", ""), (3, "new", ""), (4, "wrong", "number")]
    assert sorted(OptOut.objects.values_list("address", flat=True)) == [
        "+5215512345678",
        "+525512345678",
        "+61412345678",
    ]
    assert imported(admin_of_acme, "opt-outs", rows[:3]).counts == {"same": 2}


# --- Interruptions, repeats, and what is kept -----------------------------------------------------------------


def many(count: int) -> Rows:
    header = ["organization", "number", "name"]
    return [header, *[["acme.example", f"+6141{place:07}", f"Contact {place}"] for place in range(count)]]


class Killed(BaseException):
    """What nobody catches, as a process that dies."""


def test_nobody_else_begins_to_read_a_file_that_takes_long(
    admin_of_acme: User, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, meanwhile = tables.read, []

    def slow(content: bytes) -> list[list[str]]:
        Transfer.objects.update(due_at=F("due_at") - timedelta(seconds=cells.READ_SECONDS))
        meanwhile.append(work.claim())
        Transfer.objects.update(due_at=F("due_at") + timedelta(seconds=cells.READ_SECONDS))
        return read(content)

    monkeypatch.setattr(tables, "read", slow)
    assert checked(admin_of_acme, "contacts", CONTACTS).state == "checked"
    assert meanwhile == [None]


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_an_import_that_is_killed_goes_on_where_it_was(
    admin_of_acme: User, acme: Organization, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    row = checked(admin_of_acme, "contacts", many(500))
    imports.confirm(row)
    left, store = [batch], imports.Contacts.store

    def dies(self: Any, plans: Any) -> None:
        store(self, plans)
        if not left[0]:
            raise Killed
        left[0] -= 1

    with monkeypatch.context() as patch:
        patch.setattr(imports.Contacts, "store", dies)
        with pytest.raises(Killed):
            drain.drain()
    assert Contact.objects.count() == batch * 200
    work.release()
    drain.drain()
    row.refresh_from_db()
    assert (row.state, row.done, row.counts) == ("finished", 500, {"new": 500})
    assert Contact.objects.count() == 500
    assert AuditEntry.objects.filter(action="added", kind="messaging.contact").count() == 500


def test_an_import_that_is_killed_before_it_invites_stores_nothing_again(
    admin_of_acme: User, alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_HOST = "mail.example"
    rows = [
        ["email", "name", "organization", "extension"],
        ["alice@acme.example", "Alice", "acme.example", "7"],
        ["new@acme.example", "New", "acme.example", ""],
    ]
    row = checked(admin_of_acme, "users", rows)
    imports.confirm(row)
    progress = work.progress

    def dies(transfer: Transfer, **values: Any) -> None:
        progress(transfer, **values)
        if values.get("done") == 0:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(work, "progress", dies)
        with pytest.raises(Killed):
            drain.drain()
    Transfer.objects.update(due_at=Now())
    drain.drain()
    row.refresh_from_db()
    assert (row.state, row.done, row.counts) == ("finished", 1, {"changed": 1, "invited": 1})
    assert len(mail.outbox) == 1


def test_an_import_stops_between_two_batches_when_it_is_cancelled(
    admin_of_acme: User, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = checked(admin_of_acme, "contacts", many(500))
    imports.confirm(row)
    store = imports.Contacts.store

    def cancelled_meanwhile(self: Any, plans: Any) -> None:
        store(self, plans)
        if Contact.objects.count() == 200:
            Transfer.objects.filter(pk=row.pk).update(name="cancel soon")

    progress = work.progress

    def cancels(transfer: Transfer, **values: Any) -> None:
        progress(transfer, **values)
        if values.get("done") == 200:
            work.cancel(transfer)

    monkeypatch.setattr(imports.Contacts, "store", cancelled_meanwhile)
    monkeypatch.setattr(work, "progress", cancels)
    drain.drain()
    row.refresh_from_db()
    assert (row.state, row.done, row.counts) == ("cancelled", 200, {"new": 200})
    assert Contact.objects.count() == 200
    monkeypatch.undo()
    assert imported(admin_of_acme, "contacts", many(500)).counts == {"same": 200, "new": 300}


@pytest.mark.parametrize("lost", ["role", "user"])
def test_an_import_stops_when_its_author_loses_their_rights(
    admin_of_acme: User, acme: Organization, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    row = checked(admin_of_acme, "contacts", many(500))
    imports.confirm(row)
    progress = work.progress

    def leaves(transfer: Transfer, **values: Any) -> None:
        progress(transfer, **values)
        if values.get("done") == 200 and lost == "role":
            Membership.objects.update(role="user")
        elif values.get("done") == 200:
            User.objects.update(is_active=False)

    monkeypatch.setattr(work, "progress", leaves)
    drain.drain()
    row.refresh_from_db()
    assert (row.state, row.done) == ("failed", 200)
    assert "may not enter the administration any more" in row.problem
    assert Contact.objects.count() == 200


def test_two_processes_never_have_the_same_import(admin_of_acme: User, acme: Organization) -> None:
    row = imports.start(admin_of_acme, "contacts", "x.csv", csv_of(CONTACTS))
    assert work.claim() == row
    assert work.claim() is None


def test_a_row_that_became_wrong_meanwhile_is_skipped(
    admin_of_acme: User, acme: Organization, service: Integration
) -> None:
    rows = [["organization", "number"], ["acme.example", "+61855555501"], ["acme.example", "+61855555502"]]
    row = checked(admin_of_acme, "numbers", rows)
    sibling = Organization.objects.create(account=acme.account, name="Sibling", domain="sibling.example")
    Number.objects.create(organization=sibling, number="+61855555501")
    imports.confirm(row)
    drain.drain()
    assert outcomes(row) == [(2, "wrong", "number"), (3, "new", "")]


def test_the_file_goes_after_the_check_and_the_rows_after_a_day(
    admin_of_acme: User, acme: Organization
) -> None:
    row = checked(admin_of_acme, "contacts", CONTACTS)
    assert list(row.parts.values_list("role", flat=True)) == ["rows"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM messaging_transferpart")
        assert b"61412345678" not in bytes(cursor.fetchone()[0])
    assert row.due_at is not None
    assert timedelta(hours=23) < row.due_at - timezone.now() < timedelta(hours=25)
    Transfer.objects.update(due_at=Now())
    drain.drain()
    row.refresh_from_db()
    assert (row.parts.count(), row.due_at) == (0, None)


@pytest.mark.parametrize("kind", ["contacts", "numbers", "opt-outs", "users", "organizations"])
def test_a_batch_takes_as_many_queries_for_100_rows_as_for_1(
    operator: User, acme: Organization, service: Integration, private: Number, kind: str
) -> None:
    def rows(first: int, count: int) -> Rows:
        places = range(first, first + count)
        return {
            "contacts": [CONTACTS[0], *[["acme.example", f"+614120{p:05}", "X"] for p in places]],
            "numbers": [
                ["organization", "number", "users"],
                *[["acme.example", f"+61855{p:06}", "alice@acme.example"] for p in places],
            ],
            "opt-outs": [
                ["organization", "number", "contact"],
                *[["acme.example", private.number, f"+614120{p:05}"] for p in places],
            ],
            "users": [
                ["email", "name", "organization", "extension"],
                *[[f"p{p}@x.example", "P", "acme.example", str(p)] for p in places],
            ],
            "organizations": [
                ["domain", "name", "account"],
                *[[f"o{p}.example", "O", acme.account.name] for p in places],
            ],
        }[kind]

    counts = []
    for first, count in ((555_001, 1), (555_101, 100)):
        with CaptureQueriesContext(connection) as captured:
            assert imported(operator, kind, rows(first, count)).counts == {"new": count}
        # SQLite takes so few values in one statement that Django splits the insertions of many rows.
        counts.append(sum(not query["sql"].startswith("INSERT") for query in captured))
    assert counts[0] == counts[1]


# --- The pages -----------------------------------------------------------------------------------------------


def test_a_file_is_uploaded_checked_confirmed_and_imported(admin_of_acme: User, acme: Organization) -> None:
    client = Client()
    client.force_login(admin_of_acme)
    url = reverse("admin:messaging_import", args=["contacts"])
    assert "number" in client.get(url).content.decode()
    file = SimpleUploadedFile("people.csv", csv_of([*CONTACTS, ["globex.example", "+61412345679", "No"]]))
    page = client.post(url, {"file": file})["Location"]
    assert "Checking the file" in client.get(page).content.decode()
    drain.drain()
    shown = client.get(page).content.decode()
    assert "Import 1 row" in shown
    assert "You have no organization with the domain “globex.example”" in shown
    do = reverse("admin:messaging_transfer_do", args=[Transfer.objects.get().pk])
    assert client.post(do, {"do": "import"})["Location"] == page
    drain.drain()
    finished = client.get(page).content.decode()
    assert "Finished" in finished and "can be downloaded" not in finished
    assert Contact.objects.get().name == "Zoë"
    client.post(do, {"do": "import"})
    drain.drain()
    assert Contact.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "then"), [("organizations", "users"), ("users", "numbers"), ("numbers", None), ("contacts", "")]
)
def test_a_finished_import_leads_to_the_next(reseller: User, kind: str, then: str | None) -> None:
    client = Client()
    client.force_login(reseller)
    row = Transfer.objects.create(
        author=reseller, direction="in", kind=kind, name="a.csv", state="importing", total=1
    )
    page = reverse("admin:messaging_transfer_change", args=[row.pk])
    assert "Next steps" not in client.get(page).content.decode()
    Transfer.objects.update(state="finished", done=1)
    shown = client.get(page).content.decode()
    assert ("Next steps" in shown) == (then != "")
    if then != "":
        leads_to = reverse("admin:messaging_import", args=[then]) if then else reverse("admin:index")
        assert f'href="{leads_to}"' in shown.partition("Next steps")[2]


def test_without_mail_an_account_admin_is_told_how_to_invite(
    reseller: User, admin_of_acme: User, acme: Organization, settings: Any
) -> None:
    settings.EMAIL_HOST = ""
    rows = [["email", "name", "organization"], ["new@acme.example", "New", "acme.example"]]
    for user, told in ((reseller, True), (admin_of_acme, False)):
        ((kept,),) = checked(user, "users", rows).rows()
        assert ("Invite many people" in kept["problem"][1], kept["verdict"]) == (told, "wrong")
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("data", [{}, {"file": SimpleUploadedFile("x.csv", b"")}])
def test_an_upload_without_a_file_is_refused(admin_of_acme: User, data: Any) -> None:
    client = Client()
    client.force_login(admin_of_acme)
    assert client.post(reverse("admin:messaging_import", args=["contacts"]), data).status_code == 422
    assert not Transfer.objects.exists()


@pytest.mark.parametrize("kind", list(imports.KINDS))
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_samples_have_the_columns(admin_of_acme: User, kind: str, form: str) -> None:
    client = Client()
    client.force_login(admin_of_acme)
    answer: Any = client.get(reverse("admin:messaging_import_sample", args=[kind, form]))
    table = tables.read(b"".join(answer.streaming_content))
    assert table[0] == [c.name for c in imports.KINDS[kind].columns if not c.read_only]
    assert len(table) == 3


def test_unknown_kinds_are_not_found(admin_of_acme: User) -> None:
    client = Client()
    client.force_login(admin_of_acme)
    assert client.get(reverse("admin:messaging_import", args=["secrets"])).status_code == 404
    assert (
        client.post(reverse("admin:messaging_export", args=["secrets"]), {"format": "csv"}).status_code == 404
    )


def test_memberships_and_assignments_of_others_stay(
    reseller: User, shared: Number, alice: User, bob: User
) -> None:
    rows = [["organization", "number", "display_name"], ["acme.example", shared.number, "New name"]]
    before = set(Assignment.objects.values_list("number", "user"))
    assert imported(reseller, "numbers", rows).counts == {"changed": 1}
    assert set(Assignment.objects.values_list("number", "user")) == before
    assert Membership.objects.filter(user=alice).count() == 1
