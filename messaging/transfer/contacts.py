"""Contacts and opt-outs as rows of a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any

from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.language import phones
from integrations.senders import sender
from messaging import numbers
from messaging.errors import Refused
from messaging.models import Contact, Number, OptOut
from messaging.models.contacts import members_in
from messaging.rules import contacts
from messaging.transfer.kinds import Column, Kind, Plan, Row, Verdict, Wrong, valid
from portal.models import Organization, User

_ORGANIZATION = Column(
    "organization",
    gettext_lazy("The domain of the organization."),
    ("acme.example.com", "acme.example.com"),
    required=True,
)


_FIELDS = ("name", "company", "note")


def address(row: Row, column: str, country: str) -> str:
    """The address of a contact, read with the two-letter country. Raises Wrong."""
    given = row.need_number(column)
    if any(letter.isalpha() for letter in given):
        return sender(given, country)
    try:
        return numbers.parse(given, country).number
    except ValueError as error:
        raise Wrong(column, str(error)) from None


class Contacts(Kind):
    """Contacts are known by their organization and number, in whichever way it is written."""

    name = "contacts"
    model = Contact
    columns = (
        _ORGANIZATION,
        Column(
            "number",
            gettext_lazy("The contact's phone number with + and its country code."),
            ("+61412345678", "+15550100123"),
            required=True,
        ),
        Column("name", gettext_lazy("The contact's name."), ("Robin Ito", "Kim Novak")),
        Column("company", gettext_lazy("Where they work."), ("Ito Dental", "")),
        Column("note", gettext_lazy("What others should know of them."), ("Prefers mornings", "")),
        Column("tags", gettext_lazy("Words to find them by, separated by commas."), ("patient, vip", "")),
    )

    def load(self, rows: Sequence[Row]) -> None:
        self.load_organizations(rows)
        found = self.organizations.values()
        self.countries = Number.objects.only_countries(found)
        addresses = {way for row in rows if (read := self._read(row)) for way in phones.ways(read)}
        known = Contact.objects.filter(organization__in=found, address__in=addresses)
        self.known: dict[tuple[int, str], Contact] = {}
        known = known.select_related("organization__account", "merged_into__organization__account")
        for contact in known.prefetch_related("tags", "merged_into__tags").order_by("-pk"):
            for way in phones.ways(contact.address):
                self.known[contact.organization_id, way] = contact

    def _read(self, row: Row) -> str:
        try:
            organization = self.organization(row)
            return self._address(row, organization)
        except Wrong:
            return ""

    def _address(self, row: Row, organization: Organization) -> str:
        """That of a group is as it was exported. Raises Wrong."""
        given = row.need("number")
        return given if members_in(given) else address(row, "number", self.countries.get(organization.pk, ""))

    def plan(self, row: Row) -> Plan:
        organization = self.organization(row)
        read = self._address(row, organization)
        self.once(row, (organization.pk, phones.ways(read)[0]), "number")
        # What is known of somebody with several numbers is kept in one place.
        found = known.person if (known := self.known.get((organization.pk, read))) else None
        if found is None and members_in(read):
            raise Wrong("number", _("There is no such group. A group begins when somebody writes to it."))
        contact = found or Contact(organization=organization, address=read)
        changes = self.differing(row, dict(zip(self.header(), self._cells(contact), strict=True)))
        changes.pop("organization", None)
        changes.pop("number", None)
        for name in _FIELDS:
            if name in changes:
                setattr(contact, name, valid(contact, name, row.get(name), name))
        more = {"tags": self._tags(row)} if "tags" in changes else {}
        if found:
            return Plan(Verdict.CHANGED if changes else Verdict.SAME, str(found), found, changes, more)
        changes["number"] = "", read
        return Plan(Verdict.NEW, str(contact), contact, changes, more)

    def _tags(self, row: Row) -> list[str]:
        try:
            return contacts.tag_names(row.get("tags"))
        except Refused as refusal:
            raise Wrong("tags", str(refusal)) from None

    def store(self, plans: Sequence[Plan]) -> None:
        new = [plan.row for plan in plans if plan.verdict == Verdict.NEW]
        if new:
            # Nobody else may write one of them in another way meanwhile; what somebody has is planned again.
            known = Contact.objects.known_as((each.organization_id, each.address) for each in new)
            if any(address != written for (_, written), address in known.items()):
                raise IntegrityError
        Contact.objects.bulk_create(new)
        # Several rows may be about one person, who was read for each of them: their changes come together.
        changed: dict[int, Contact] = {}
        for plan in plans:
            if plan.verdict == Verdict.CHANGED:
                person = changed.setdefault(plan.row.pk, plan.row)
                for name in plan.changes.keys() & set(_FIELDS):
                    setattr(person, name, getattr(plan.row, name))
        Contact.objects.bulk_update(changed.values(), _FIELDS)
        # Of several rows with tags the last counts.
        tagged = {plan.row.pk: plan for plan in plans if plan.row and "tags" in plan.more}
        self._store_tags(list(tagged.values()))
        self.record(plans, private=True)

    def _store_tags(self, plans: Sequence[Plan]) -> None:
        """Gives contacts their tags, with three statements for each organization."""
        link = Contact.tags.through
        of: dict[Organization, list[Plan]] = defaultdict(list)
        for plan in plans:
            of[plan.row.organization].append(plan)
        link.objects.filter(contact__in=[plan.row for plan in plans]).delete()
        for organization, mine in of.items():
            named = contacts.tags_of(organization, (tag for plan in mine for tag in plan.more["tags"]))
            tags = {tag.name.casefold(): tag for tag in named}
            link.objects.bulk_create(
                link(contact=plan.row, contacttag=tags[key])
                for plan in mine
                for key in dict.fromkeys(tag.casefold() for tag in plan.more["tags"])
            )

    @classmethod
    def exported(cls, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        """Without groups, which come by their messages."""
        people = rows.filter(is_group=False).select_related("organization", "merged_into")
        return people.prefetch_related("tags", "merged_into__tags")

    def lines(self, row: Contact) -> Iterable[Sequence[str]]:
        yield self._cells(row)

    def _cells(self, row: Contact) -> list[str]:
        person = row.person
        tags = ", ".join(str(tag) for tag in person.tags.all()) if row.pk else ""
        return [row.organization.domain, row.address, person.name, person.company, person.note, tags]


class OptOuts(Kind):
    """Opt-outs, which an import adds and never lifts."""

    name = "opt-outs"
    model = OptOut
    columns = (
        _ORGANIZATION,
        Column(
            "number",
            gettext_lazy("Your number, from which the contact wants no messages."),
            ("+61855555501", "+61855555501"),
            required=True,
        ),
        Column(
            "contact",
            gettext_lazy("The contact's phone number with + and its country code."),
            ("+61412345678", "+15550100123"),
            required=True,
        ),
        Column(
            "since", gettext_lazy("When the contact opted out (only exported)."), ("", ""), read_only=True
        ),
    )

    def load(self, rows: Sequence[Row]) -> None:
        self.load_organizations(rows)
        own = Number.objects.filter(
            organization__in=self.organizations.values(),
            number__in={read for row in rows if (read := self._own(row))},
        )
        # The number that is in use comes last, and counts.
        self.numbers = {
            (number.organization_id, number.number): number
            for number in own.select_related("organization__account").order_by("active", "pk")
        }
        addresses: set[str] = set()
        for row in rows:
            try:
                addresses.update(phones.ways(address(row, "contact", self._number(row).country)))
            except Wrong:
                continue
        out = OptOut.objects.filter(number__in=self.numbers.values(), address__in=addresses)
        self.out = set(out.values_list("number", "address"))

    def _own(self, row: Row) -> str:
        try:
            return numbers.parse(row.need("number")).number
        except (Wrong, ValueError):
            return ""

    def _number(self, row: Row) -> Number:
        organization = self.organization(row)
        row.need_number("number")
        if found := self.numbers.get((organization.pk, self._own(row))):
            return found
        raise Wrong(
            "number",
            _("%(organization)s has no number “%(number)s”. The list of numbers shows them.")
            % {"organization": organization, "number": row.get("number")},
        )

    def plan(self, row: Row) -> Plan:
        number = self._number(row)
        read = address(row, "contact", number.country)
        ways = phones.ways(read)
        if len(ways) == 1:
            self.once(row, (number.pk, ways[0]), "contact")
        if all((number.pk, way) in self.out for way in ways):
            return Plan(Verdict.SAME, read)
        self.out.update((number.pk, way) for way in ways)
        made = OptOut(organization=number.organization, number=number, address=read)
        return Plan(Verdict.NEW, read, made, {"contact": ("", read), "number": ("", number.number)})

    def store(self, plans: Sequence[Plan]) -> None:
        new = [plan.row for plan in plans if plan.verdict == Verdict.NEW]
        rows = [
            OptOut(organization=row.organization, number=row.number, address=way)
            for row in new
            for way in phones.ways(row.address)
        ]
        OptOut.objects.bulk_create(rows, ignore_conflicts=True)
        self.record(plans, private=True)

    @classmethod
    def exported(cls, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.select_related("organization", "number")

    def lines(self, row: OptOut) -> Iterable[Sequence[str]]:
        since = row.since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        yield [row.organization.domain, row.number.number, row.address, since]
