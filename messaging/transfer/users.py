"""Users with their roles and extensions as rows of a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.transfer.accounts import Accounts
from messaging.transfer.kinds import Column, Kind, Plan, Row, Verdict, Wrong, valid
from portal import mail
from portal.models import Account, Invitation, Membership, Organization, User
from portal.permissions import in_reach_of

_Place = tuple[int, int | None]  # the keys of an account and, unless it is meant as a whole, an organization


class Users(Kind):
    """A row is a role of a user. Nobody learns whether an address out of their reach belongs to a user.

    Operators add users at once, who set their password by “Forgot your password?”. Others invite them.
    """

    name = "users"
    model = User
    columns = (
        Column(
            "email",
            gettext_lazy("The e-mail address, with which the user signs in."),
            ("alice@acme.example.com", "bob@acme.example.com"),
            required=True,
        ),
        Column("name", gettext_lazy("Needed for people who are added."), ("Alice Smith", "Bob Jones")),
        Column(
            "organization",
            gettext_lazy("The domain of the organization; empty for an account admin of a whole account."),
            ("acme.example.com", "acme.example.com"),
        ),
        Column(
            "account",
            gettext_lazy("For a whole account: its name or id. Otherwise leave it empty."),
            ("", ""),
        ),
        Column(
            "role",
            gettext_lazy("user, organization_admin or account_admin; empty is user."),
            ("organization_admin", "user"),
        ),
        Column("extension", gettext_lazy("Digits, * and #."), ("101", "102")),
        Column("status", gettext_lazy("active or blocked; empty is active."), ("active", "active")),
    )

    def load(self, rows: Sequence[Row]) -> None:
        self.load_organizations(rows)
        self.accounts = Accounts(self.user)
        emails = {row.get("email").lower() for row in rows}
        people = User.objects.filter(email__in=emails)
        if not self.user.is_operator:
            mine = Membership.objects.filter(in_reach_of(self.user), user__email__in=emails)
            people = people.filter(pk__in=mine.values("user"), is_operator=False)
        self.people = {person.email: person for person in people}
        self.roles: dict[int, dict[_Place, Membership]] = defaultdict(dict)
        roles = Membership.objects.filter(user__in=self.people.values())
        for role in roles.select_related("organization", "account"):
            self.roles[role.user_id][role.account_id, role.organization_id] = role
        taken = Membership.objects.filter(
            organization__in=self.organizations.values(),
            extension__in={row.get("extension") for row in rows} - {""},
        )
        self.extensions = {
            (organization, extension): email
            for organization, extension, email in taken.values_list(
                "organization", "extension", "user__email"
            )
        } | getattr(self, "extensions", {})
        invited = Invitation.objects.unexpired().filter(in_reach_of(self.user), email__in=emails)
        self.invited = {
            (each.email, (each.account_id, each.organization_id)): (each.role, each.extension)
            for each in invited.prefetch_related("inviter")  # one instance for all invitations of a person
            if each.is_allowed()
        }

    def plan(self, row: Row) -> Plan:
        email = valid(User(), "email", row.need("email").lower(), "email")
        account, organization = self._place(row)
        place = account.pk, organization.pk if organization else None
        self.once(row, (email, place), "email")
        user = self.people.get(email)
        role = self.roles[user.pk].get(place) if user else None
        member = role or Membership(user=user, account=account, organization=organization)
        before = {"role": member.role, "extension": member.extension, "status": member.status} if role else {}
        changes = self.differing(row, before | {"name": user.name if user else ""})
        for known in ("email", "organization", "account"):
            changes.pop(known, None)
        self._read(member, row, changes)
        self._extension(member, email)
        if user is None and not self.user.is_operator:
            return self._invitation(member, email, row, changes)
        if role and changes and user == self.user:
            raise Wrong("email", _("You cannot change your own role. Delete this row."))
        made = user or User(email=email)
        self._name(made, row, changes)
        if user is None or role is None:
            changes["role"] = "", f"{member.get_role_display()}, {organization or account}"
        verdict = Verdict.NEW if user is None else Verdict.CHANGED if changes else Verdict.SAME
        return Plan(verdict, email, made, changes, {"role": member, "place": place})

    def _place(self, row: Row) -> tuple[Account, Organization | None]:
        if row.get("organization"):
            organization = self.organization(row)
            return organization.account, organization
        if row.get("role").lower() not in _words("account_admin"):
            raise Wrong("organization", _("Write the domain of the organization of which this is a user."))
        return self.accounts.only(row), None

    def _read(self, member: Membership, row: Row, changes: dict[str, tuple[str, str]]) -> None:
        """Sets role, extension and status as the row says."""
        for name, choices in (("role", Membership.Role), ("status", Membership.Status)):
            given = row.get(name).lower()
            if name not in changes or not given:
                changes.pop(name, None)
                continue
            value = next((each for each in choices.values if given in _words(each)), None)
            if value is None:
                raise Wrong(name, _("Write one of these: %(words)s.") % {"words": ", ".join(choices.values)})
            before = getattr(member, name) if member.pk else ""
            changes[name] = before, value
            if before == value:
                del changes[name]
            setattr(member, name, value)
        whole = self.user.is_operator or member.account_id in self.whole_accounts
        old, new = changes.get("role", ("", member.role))
        if not whole and Membership.Role.ACCOUNT_ADMIN in (old, new) and (changes or not member.pk):
            raise Wrong("role", _("Only admins of the account can give or change this role."))
        if "extension" in changes:
            member.extension = valid(member, "extension", row.get("extension"), "extension")

    def _extension(self, member: Membership, email: str) -> None:
        if not member.extension or member.organization_id is None:
            return
        owner = self.extensions.setdefault((member.organization_id, member.extension), email)
        if owner != email:
            raise Wrong("extension", _("Another user of the organization has this extension."))

    def _name(self, user: User, row: Row, changes: dict[str, tuple[str, str]]) -> None:
        if user._state.adding:
            user.name = valid(user, "name", row.need("name"), "name")
        elif "name" in changes:
            if not row.get("name"):
                del changes["name"]
            elif not self._may_rename(user):
                raise Wrong("name", _("You cannot change this person's name. Leave the cell empty."))
            else:
                user.name = valid(user, "name", row.get("name"), "name")

    def _may_rename(self, user: User) -> bool:
        """As on the page of the user: not if they have a role out of reach, or a higher one."""
        roles = self.roles[user.pk].values()
        if not self.user.administers_accounts and any(r.role == Membership.Role.ACCOUNT_ADMIN for r in roles):
            return False
        return all(self._reaches(role) for role in roles)

    def _reaches(self, role: Membership) -> bool:
        return (
            self.user.is_operator
            or role.account_id in self.whole_accounts
            or role.organization_id in self.user.administered_organizations
        )

    def _invitation(
        self, member: Membership, email: str, row: Row, changes: dict[str, tuple[str, str]]
    ) -> Plan:
        place = member.account_id, member.organization_id
        wanted = member.role, member.extension
        if self.invited.get((email, place)) == wanted:
            return Plan(Verdict.SAME, email)
        if not mail.is_configured():
            raise Wrong(
                "email",
                _(
                    "Nobody of yours has this address, and this installation sends no e-mail to invite them. "
                    "Choose “Invite many people” in the list of invitations: it shows a link for each."
                )
                if self.user.administers_accounts
                else _(
                    "Nobody of yours has this address, and this installation sends no e-mail to invite them."
                ),
            )
        if member.status != Membership.Status.ACTIVE:
            raise Wrong("status", _("Whoever is invited cannot be blocked."))
        name = valid(User(), "name", row.need("name"), "name")
        invitation = Invitation(
            email=email,
            name=name,
            account=member.account,
            organization=member.organization,
            role=member.role,
            extension=member.extension,
            inviter=self.user,
        )
        return Plan(Verdict.INVITED, email, invitation, changes)

    def store(self, plans: Sequence[Plan]) -> None:
        """Adds and changes users and roles; people who are to be invited are so by the task, later."""
        plans = [plan for plan in plans if plan.verdict in (Verdict.NEW, Verdict.CHANGED)]
        User.objects.bulk_update(
            [plan.row for plan in plans if plan.row.pk is not None and "name" in plan.changes], ["name"]
        )
        # Each row has a user of its own, of which one is added for each person.
        new = {plan.row.email: plan.row for plan in plans if plan.row.pk is None}
        for user in new.values():
            user.set_unusable_password()
        User.objects.bulk_create(new.values())
        for plan in plans:
            plan.row = new.get(plan.row.email, plan.row)
            plan.more["role"].user = plan.row
        roles = [plan.more["role"] for plan in plans]
        Membership.objects.bulk_create([role for role in roles if role.pk is None])
        Membership.objects.bulk_update(
            [role for role in roles if role.pk is not None], ["role", "extension", "status"]
        )
        self.record(plans, scope=lambda plan: plan.more["place"])

    @classmethod
    def exported(cls, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.prefetch_related("memberships__organization", "memberships__account")

    def lines(self, row: User) -> Iterable[Sequence[str]]:
        if not hasattr(self, "accounts"):
            self.accounts = Accounts(self.user)
        for role in row.memberships.all():
            if self._reaches(role):
                place = (
                    [role.organization.domain, ""]
                    if role.organization
                    else ["", self.accounts.name_of(role.account)]
                )
                yield [row.email, row.name, *place, role.role, role.extension, role.status]


def _words(value: str) -> tuple[str, ...]:
    """The ways to write a choice."""
    return value, value.replace("_", " ")
