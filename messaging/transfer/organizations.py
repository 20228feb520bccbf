"""Organizations as rows of a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.transfer.accounts import Accounts
from messaging.transfer.kinds import Column, Kind, Plan, Row, Verdict, Wrong, valid
from portal.models import Organization, User


class Organizations(Kind):
    """Organizations are known by their domain, which never changes."""

    name = "organizations"
    model = Organization
    columns = (
        Column(
            "domain",
            gettext_lazy("The domain of the organization, which cannot be changed later."),
            ("acme.example.com", "globex.example.com"),
            required=True,
        ),
        Column("name", gettext_lazy("The name of the organization."), ("Acme", "Globex"), required=True),
        Column(
            "account",
            gettext_lazy("The name or id of the account; needed only if you administer several."),
            ("", ""),
        ),
    )

    def load(self, rows: Sequence[Row]) -> None:
        self.accounts = Accounts(self.user)
        domains = {row.get("domain").lower() for row in rows}
        mine = Organization.objects.administered_by(self.user).filter(domain__in=domains)
        self.mine = {each.domain: each for each in mine.select_related("account")}
        taken = Organization.objects.filter(domain__in=domains)
        self.taken = set(taken.values_list("domain", flat=True))

    def plan(self, row: Row) -> Plan:
        domain = row.need("domain").lower()
        self.once(row, domain, "domain")
        found = self.mine.get(domain)
        if found is not None:
            changes = self.differing(row, dict(zip(self.header(), self._cells(found), strict=True)))
            changes.pop("domain", None)
            if "account" in changes and self.accounts.named(row) in (None, found.account):
                del changes["account"]
            if "account" in changes:
                raise Wrong("account", _("An organization cannot move to another account."))
            if "name" in changes:
                found.name = valid(found, "name", row.need("name"), "name")
            return Plan(Verdict.CHANGED if changes else Verdict.SAME, found.name, found, changes)
        if not self.user.administers_accounts:
            raise Wrong(
                "domain",
                _("You have no organization with this domain. Only admins of an account can add one."),
            )
        made = Organization(account=self.accounts.only(row))
        made.domain = valid(made, "domain", domain, "domain")
        made.name = valid(made, "name", row.need("name"), "name")
        if domain in self.taken:
            raise Wrong("domain", _("This domain cannot be used. Choose another one."))
        return Plan(Verdict.NEW, made.name, made, self.differing(row, {}))

    def store(self, plans: Sequence[Plan]) -> None:
        Organization.objects.bulk_create([plan.row for plan in plans if plan.verdict == Verdict.NEW])
        changed = [plan.row for plan in plans if plan.verdict == Verdict.CHANGED]
        Organization.objects.bulk_update(changed, ["name"])
        self.record(plans)

    @classmethod
    def exported(cls, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.select_related("account")

    def lines(self, row: Organization) -> Iterable[Sequence[str]]:
        if not hasattr(self, "accounts"):
            self.accounts = Accounts(self.user)
        yield self._cells(row)

    def _cells(self, row: Organization) -> list[str]:
        return [row.domain, row.name, self.accounts.name_of(row.account)]
