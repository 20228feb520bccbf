"""Inviting many people at once: what somebody has pasted is read, judged line by line, and done in one go."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from portal import audit
from portal.models import Account, Invitation, Membership, Organization, User
from portal.people import invitations
from portal.permissions import in_reach_of
from portal.signals import inviting_many

MOST = 200
PARTS = 5  # of a line: name, address, role, extension, organization
_PERSON = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]*)>")


@dataclass
class Line:
    """One person of the list: what is wrong with the line, or the invitation that it makes."""

    number: int
    cells: list[str]
    problem: str = ""
    invitation: Invitation | None = None

    @property
    def text(self) -> str:
        return ", ".join(cell for cell in self.cells if cell)


@dataclass(frozen=True)
class _Known:
    """What the lines are compared with, read once for all of them."""

    organizations: dict[str, list[Organization]]
    accounts: list[Account]  # at most two, since only a single one need not be named
    named: list[Account]
    members: set[tuple[int | None, str]]
    extensions: set[tuple[int, str]]


def read(text: str, inviter: User) -> list[Line]:
    """The lines of `name <address>, role, extension, organization`, or the same in columns; at most 200.

    Raises ValidationError for more lines.
    """
    rows = [(number, row) for number, row in enumerate(_rows(text.replace("\0", "")), 1) if any(row)]
    if len(rows) > MOST:
        raise ValidationError(
            _("These are %(number)d lines. Invite at most 200 people at once."), params={"number": len(rows)}
        )
    return judge(rows, inviter)


def judge(rows: list[tuple[int, list[str]]], inviter: User) -> list[Line]:
    """The lines with these numbers and cells, by the same number of queries for each number of them."""
    known = _known(rows, inviter)
    lines, seen = [], set()
    for number, row in rows:
        line = Line(number, row)
        try:
            line.invitation = found = _invitation(row, known, inviter)
            place = (found.email, found.account_id, found.organization_id)
            extension = (found.organization_id, found.extension)
            if place in seen or (found.extension and extension in seen):
                raise ValidationError(_("An earlier line has this person or extension already."))
            seen |= {place, extension}
        except ValidationError as error:
            line.problem, line.invitation = " ".join(error.messages), None
        lines.append(line)
    return lines


def invite(lines: Iterable[Line], inviter: User) -> list[tuple[Invitation, str]]:
    """Opens the invitations of the lines without a problem; returns each with its link, to be passed on.

    Raises ValidationError, and opens none, if they are too many for this hour.
    """
    found = [line.invitation for line in lines if line.invitation is not None]
    if (seconds := invitations.wait(inviter, len(found))) is not None:
        raise ValidationError(invitations.too_many(seconds))
    with transaction.atomic(), audit.covered():
        links = [(row, invitations.link(row)) for row in found]
        audit.record_each(audit.Action.ADDED, found)
    return links


def invite_by_mail(lines: Iterable[Line], inviter: User) -> str:
    """Has the people of the lines without a problem invited later; returns the URL of the page about it."""
    good = [line for line in lines if line.invitation is not None]
    with transaction.atomic():
        ((_receiver, page),) = inviting_many.send(sender=None, inviter=inviter, lines=good)
    return str(page)


def _rows(text: str) -> list[list[str]]:
    lines = text.splitlines()
    try:
        rows = [
            next(csv.reader([line], delimiter=_separator(line), skipinitialspace=True), []) for line in lines
        ]
    except csv.Error:
        raise ValidationError(_("A line is too long.")) from None
    return [[" ".join(cell.split()) for cell in row] for row in rows]


def _separator(line: str) -> str:
    """What separates the cells of a line: lines that are typed and lines of a table may stand together."""
    return "\t" if "\t" in line else ";" if line.count(";") > line.count(",") else ","


def _known(rows: list[tuple[int, list[str]]], inviter: User) -> _Known:
    emails = {_email(row) for _number, row in rows}
    members = Membership.objects.filter(in_reach_of(inviter), user__email__in=emails)
    cells = {cell for _number, row in rows for cell in row[:PARTS]}
    accounts = Account.objects.filter(in_reach_of(inviter, "", "pk"))
    if not inviter.administers_accounts:
        accounts = accounts.none()
    used = Membership.objects.filter(in_reach_of(inviter), extension__in=cells).exclude(extension="")
    return _Known(
        _organizations(cells, inviter),
        list(accounts[:2]),
        list(accounts.filter(name__in=cells)),
        set(members.values_list("organization", "user__email")),
        {
            (organization or 0, extension)
            for organization, extension in used.values_list("organization", "extension")
        },
    )


def _organizations(cells: set[str], inviter: User) -> dict[str, list[Organization]]:
    """By name and domain in lower case, the organizations that the cells name; by "" the only one."""
    mine = Organization.objects.administered_by(inviter).select_related("account").order_by()
    found: dict[str, list[Organization]] = {}
    # SQLite lowers ASCII only: of “Ärzte AG” it makes “Ärzte ag”.
    forms = [form for cell in cells for form in (cell.lower(), cell.title(), cell.upper())]
    names = {form.encode().lower().decode() for form in forms}
    named = Q(lowered__in=names) | Q(domain__in={cell.lower() for cell in cells})
    for item in mine.alias(lowered=Lower("name")).filter(named):
        for name in {item.name.lower(), item.domain}:
            found.setdefault(name, []).append(item)
    if len(first := list(mine[:2])) == 1:
        found[""] = first
    return found


def _invitation(row: list[str], known: _Known, inviter: User) -> Invitation:
    name, email, rest = _person(row)
    role, extension, place, *more = [*rest, "", "", ""]
    if any(more):
        raise ValidationError(_("The line has too many parts."))
    if not name:
        raise ValidationError(_("The name is missing."))
    try:
        _is_valid("email", email)
    except ValidationError:
        raise ValidationError(_("“%(email)s” is not an email address."), params={"email": email}) from None
    if extension:
        _is_valid("extension", extension)
    found = Invitation(
        email=email.lower(), name=name[:120], role=_role(role), extension=extension, inviter=inviter
    )
    _place(found, place, known)
    if not found.is_allowed():
        raise ValidationError(_("You cannot give this role."))
    if (found.organization_id, found.email) in known.members:
        raise ValidationError(_("This user has a role there already."))
    if (found.organization_id or 0, extension) in known.extensions:
        raise ValidationError(_("Another user of the organization has this extension."))
    return found


def _is_valid(name: str, value: str) -> None:
    """Raises ValidationError for what the field of an invitation does not take."""
    field: Any = Invitation._meta.get_field(name)
    field.run_validators(value)


def _email(row: list[str]) -> str:
    try:
        return _person(row)[1].lower()
    except ValidationError:
        return ""


def _person(row: list[str]) -> tuple[str, str, list[str]]:
    """Name, address and the other cells, of `name <address>` in one cell or in two."""
    if match := _PERSON.fullmatch(row[0]):
        return match["name"].strip(' "'), match["email"].strip(), row[1:]
    if len(row) > 1 and "@" in row[1]:
        return row[0], row[1].strip("<>"), row[2:]
    raise ValidationError(_("Begin the line with a name and an address, such as Ann Lee <ann@acme.example>."))


def _role(text: str) -> str:
    for role in Membership.Role:
        if text.lower() in (str(role.label).lower(), role.value, role.value.replace("_", " ")):
            return role
    raise ValidationError(
        _("Say the role: %(roles)s."),
        params={"roles": ", ".join(str(role.label) for role in Membership.Role)},
    )


def _place(found: Invitation, name: str, known: _Known) -> None:
    if found.role == Membership.Role.ACCOUNT_ADMIN and not name and len(known.accounts) == 1:
        found.account = known.accounts[0]
        return
    accounts = [account for account in known.named if account.name == name]
    if found.role == Membership.Role.ACCOUNT_ADMIN and len(accounts) == 1:
        found.account = accounts[0]
        return
    choices = known.organizations.get(name.lower(), [])
    if not choices:
        wanted = _("Say the organization.") if not name else _("You administer no organization “%(name)s”.")
        raise ValidationError(wanted, params={"name": name})
    if len(choices) > 1:
        raise ValidationError(
            _("Several organizations are called “%(name)s”. Write its domain instead."), params={"name": name}
        )
    found.organization, found.account = choices[0], choices[0].account
