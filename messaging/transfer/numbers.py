"""Numbers with their users as rows of a file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import Integration
from messaging import numbers
from messaging.models import Assignment, Number
from messaging.rules import changed_numbers, invited
from messaging.transfer.kinds import NO, YES, Column, Kind, Plan, Row, Verdict, Wrong, valid, yes_or_no
from portal.models import Invitation, Membership, Organization, User

_TEXTS = ("country", "display_name", "sticky_hours", "header", "footer", "inbound_format", "outbound_format")
_STORED = [*_TEXTS, "number", "kind", "spelling", "account", "integration", "active"]


class Numbers(Kind):
    """Numbers are known by their organization and themselves; one that has moved away stays as it is."""

    name = "numbers"
    model = Number
    columns = (
        Column(
            "organization",
            gettext_lazy("The domain of the organization."),
            ("acme.example.com", "acme.example.com"),
            required=True,
        ),
        Column(
            "number",
            gettext_lazy(
                "With + and its country code, or as it is dialled in its country; or a sender name."
            ),
            ("+61855555501", "ACME"),
            required=True,
        ),
        Column(
            "country", gettext_lazy("Two letters, needed for a number without a country code."), ("AU", "")
        ),
        Column("display_name", gettext_lazy("What users see beside the number."), ("Reception", "")),
        Column(
            "provider",
            gettext_lazy("The id or name of the provider; needed only if the organization has several."),
            ("twilio", "twilio"),
        ),
        Column(
            "users",
            gettext_lazy(
                "The e-mail addresses of the users of the number, with commas between them. People who are "
                "invited get the number when they accept."
            ),
            ("alice@acme.example.com, bob@acme.example.com", ""),
        ),
        Column("active", gettext_lazy("yes or no; empty is yes."), (YES, YES)),
        Column("sticky_hours", gettext_lazy("Session stickiness in hours, 0 to 720."), ("0", "0")),
        Column("header", gettext_lazy("Added above the text of every message."), ("", "")),
        Column("footer", gettext_lazy("Added below the text of every message."), ("", "")),
        Column(
            "inbound_format",
            gettext_lazy("How webhooks write the number: e164, intl, national or national0."),
            ("e164", "e164"),
        ),
        Column(
            "outbound_format",
            gettext_lazy("How the provider expects the number as sender: e164, intl, national or national0."),
            ("e164", "e164"),
        ),
    )

    def load(self, rows: Sequence[Row]) -> None:
        self.load_organizations(rows)
        found = list(self.organizations.values())
        read = {number for row in rows if (number := self._read(row))}
        mine = Number.objects.filter(organization__in=found, number__in=read)
        self.mine = {
            (number.organization_id, number.number, number.active): number
            for number in self.exported(mine, self.user).order_by("pk")
        }
        accounts = {organization.account_id for organization in found}
        used = Number.objects.filter(account__in=accounts, number__in=read, active=True)
        self.used: dict[tuple[int, str], set[int]] = defaultdict(set)
        for account, number, organization in used.values_list("account", "number", "organization"):
            self.used[account, number].add(organization)
        self.providers: dict[int, list[Integration]] = defaultdict(list)
        for integration in Integration.objects.filter(organization__in=found).select_related("template"):
            self.providers[integration.organization_id].append(integration)
        emails = {email for row in rows for email in _emails(row)}
        members = Membership.objects.filter(
            organization__in=found,
            status=Membership.Status.ACTIVE,
            user__is_active=True,
            user__email__in=emails,
        )
        self.members = {
            (each.organization_id, each.user.email): each.user for each in members.select_related("user")
        }
        invitations = Invitation.objects.filter(organization__in=found, email__in=emails)
        self.invited = {(each.organization_id, each.email): each for each in invitations}

    def _read(self, row: Row) -> str:
        try:
            return numbers.parse(row.get("number"), row.get("country").upper()).number
        except ValueError:
            return ""

    def plan(self, row: Row) -> Plan:
        organization = self.organization(row)
        try:
            read = numbers.parse(row.need_number("number"), row.get("country").upper())
        except ValueError as error:
            raise Wrong("number", _why(row, str(error))) from None
        active = yes_or_no(row, "active", default=True)
        here = organization.pk, read.number
        if not active and (*here, False) in self.mine:
            return Plan(Verdict.SAME, read.number)  # it was switched off or moved, maybe several times
        self.once(row, here, "number")
        found = self.mine.get((*here, True)) or self.mine.get((*here, False))
        number = found or Number(organization=organization, number=read.number)
        before = dict(zip(self.header(), self._cells(number), strict=True)) if found else {"active": YES}
        changes = self.differing(row, before)
        for name in ("organization", "number"):
            changes.pop(name, None)
        if not found:
            changes["number"] = "", read.number
        self._active(number, active, changes)
        self._texts(number, row, changes)
        number.normalise()
        if found and changes.get("country", ("", ""))[0] == number.country:
            del changes["country"]
        self._provider(organization, number, row, changes)
        more = self._users(organization, row) if "users" in changes else {}
        if number.active and not (found and "active" not in changes):
            self._free(number)
        if found is None:
            return Plan(Verdict.NEW, str(number), number, changes, more)
        return Plan(Verdict.CHANGED if changes else Verdict.SAME, str(number), number, changes, more)

    def _active(self, number: Number, active: bool, changes: dict[str, tuple[str, str]]) -> None:
        changes.pop("active", None)
        if number.active != active:
            changes["active"] = (NO, YES) if active else (YES, NO)
            number.active = active

    def _texts(self, number: Number, row: Row, changes: dict[str, tuple[str, str]]) -> None:
        for name in _TEXTS:
            if name not in changes:
                continue
            given = row.get(name).upper() if name == "country" else row.get(name)
            if not given and name not in ("country", "display_name", "header", "footer"):
                del changes[name]  # it stays as it is
                continue
            value = valid(number, name, given, name)
            setattr(number, name, int(value) if name == "sticky_hours" else value)

    def _provider(
        self, organization: Organization, number: Number, row: Row, changes: dict[str, tuple[str, str]]
    ) -> None:
        given, own = row.get("provider"), self.providers[organization.pk]
        changes.pop("provider", None)
        enabled = [each for each in own if each.enabled]
        if not given:
            if not number._state.adding:
                return
            if len(enabled) == 1:
                number.integration = enabled[0]
                return
            raise Wrong(
                "provider",
                _("Write through which provider the number sends: %(providers)s.")
                % {"providers": ", ".join(each.template.service_id for each in enabled)}
                if enabled
                else _("The organization has not enabled any provider. Set one up first."),
            )
        matching = [
            each
            for each in own
            if given.lower() in (each.template.service_id.lower(), each.template.name.lower())
        ]
        if number.integration in matching:
            return
        usable = [each for each in matching if each.enabled]
        if len(usable) != 1:
            raise Wrong(
                "provider",
                _("The organization has not enabled one provider “%(provider)s”. It can be: %(providers)s.")
                % {
                    "provider": given,
                    "providers": ", ".join(each.template.service_id for each in enabled) or _("none"),
                },
            )
        before = number.integration.template.service_id if number.integration else ""
        changes["provider"] = before, usable[0].template.service_id
        number.integration = usable[0]

    def _users(self, organization: Organization, row: Row) -> dict[str, Any]:
        """The users that the row names, and those who are invited."""
        users: list[User] = []
        planned: list[Invitation] = []
        for email in _emails(row):
            if user := self.members.get((organization.pk, email)):
                users.append(user)
            elif invitation := self.invited.get((organization.pk, email)):
                planned.append(invitation)
            else:
                raise Wrong(
                    "users",
                    _(
                        "“%(email)s” is no active user of %(organization)s, and not invited. Import the user "
                        "first."
                    )
                    % {"email": email, "organization": organization},
                )
        return {"users": users, "invited": planned}

    def _free(self, number: Number) -> None:
        owners = self.used[number.organization.account_id, number.number] - {
            number.organization_id if number.pk and number.active else 0
        }
        if number.kind == numbers.Kind.NAME:
            owners &= {number.organization_id}
        if owners:
            raise Wrong("number", _("An organization of this account already uses this number."))

    def store(self, plans: Sequence[Plan]) -> None:
        for plan in plans:
            if plan.row is not None:
                plan.row.account_id = plan.row.organization.account_id
        new = [plan.row for plan in plans if plan.verdict == Verdict.NEW]
        changed = [plan.row for plan in plans if plan.verdict == Verdict.CHANGED]
        # First what gives numbers free, then what takes them.
        Number.objects.bulk_update([row for row in changed if not row.active], _STORED)
        Number.objects.bulk_update([row for row in changed if row.active], _STORED)
        Number.objects.bulk_create(new)
        wanted = {
            plan.row.pk: {user.pk for user in plan.more["users"]} for plan in plans if "users" in plan.more
        }
        Assignment.objects.assign_all(wanted)
        invited.plan_all(
            {
                plan.row.pk: {each.pk for each in plan.more["invited"]}
                for plan in plans
                if "invited" in plan.more
            }
        )
        changed_numbers.follow_up(changed)
        self.record(plans)

    @classmethod
    def exported(cls, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.select_related("organization__account", "integration__template").prefetch_related(
            "users", "planned__invitation"
        )

    def lines(self, row: Number) -> Iterable[Sequence[str]]:
        yield self._cells(row)

    def _cells(self, row: Number) -> list[str]:
        return [
            row.organization.domain,
            row.number,
            row.country,
            row.display_name,
            row.integration.template.service_id if row.integration else "",
            ", ".join(sorted(_holders(row))),
            YES if row.active else NO,
            str(row.sticky_hours),
            row.header,
            row.footer,
            row.inbound_format,
            row.outbound_format,
        ]


def _holders(number: Any) -> set[str]:
    """The addresses of the users of a number, and of those who are invited; a new one has none."""
    if number._state.adding:
        return set()
    return {user.email for user in number.users.all()} | {
        each.invitation.email for each in number.planned.all()
    }


def _why(row: Row, said: str) -> str:
    """Why a number cannot be read; also that its country may be missing."""
    given = row.get("number")
    if not row.get("country") and any(map(str.isdigit, given)) and not any(map(str.isalpha, given)):
        return said + " " + _("Or say its country.")
    return said


def _emails(row: Row) -> list[str]:
    return [each for each in re.split(r"[\s,;]+", row.get("users").lower()) if each]
