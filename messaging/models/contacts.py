"""Contacts: whom organizations exchange messages with."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Set

from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from integrations.language import phones
from messaging import numbers
from portal.database import bulk, locks
from portal.models import Organization

SHORTEST = 3  # digits by which a number is known
# Of a group. More would make an address that is too long for the index; few providers take as many.
MOST_MEMBERS = 50
ADDRESS_LENGTH = MOST_MEMBERS * len(", +123456789012345")


def group_address(members: Iterable[str]) -> str:
    """The address of the contact that stands for a group, by those of its members in any order."""
    return ", ".join(sorted(set(members)))


def members_in(address: str) -> list[str]:
    """The addresses of the members, if the address is that of a group; else none."""
    found = address.split(", ")
    return found if len(found) > 1 and all(map(numbers.answerable, found)) else []


def known_by(words: str) -> Q:
    """The condition that a contact has the words in its name, company or tags, or the number in its own.

    A group is known by the names of its members, too.
    """
    tagged = Contact.tags.through.objects.filter(contacttag__name__icontains=words)
    known = Q(name__icontains=words) | Q(company__icontains=words)
    merged = Q(merged_into__name__icontains=words) | Q(merged_into__company__icontains=words)
    members = Contact.objects.filter(known | merged, groups=OuterRef("pk"))
    found = known | Q(pk__in=tagged.values("contact")) | Q(Exists(members), is_group=True)
    # "Room 2" is no number, and neither is "0".
    digits = re.sub(r"[\s()+./-]", "", words).removeprefix("0")
    if digits.isdecimal() and len(digits) >= SHORTEST:
        found |= Q(address__contains=digits)
    return found


class ContactQuerySet(models.QuerySet["Contact"]):
    def known_as(self, written: Iterable[tuple[int, str]]) -> dict[tuple[int, str], str]:
        """The address of each contact, given by organization and by one of the ways in which it is written.

        That is how it was written first. A query is only needed for numbers that are written in several ways.
        Until the caller's transaction ends, nobody else is told an address for those that are not known yet.
        """
        found = {pair: pair[1] for pair in written}
        several = {pair: ways for pair in found if len(ways := phones.ways(pair[1])) > 1}
        if not several:
            return found
        known = self._stored(several)
        new = {
            locks.key_of(f"contact {organization} {ways[0]}")
            for (organization, _), ways in several.items()
            if known.isdisjoint((organization, way) for way in ways)
        }
        if new:
            locks.hold(*new)
            known = self._stored(several)
        for (organization, address), ways in several.items():
            if (organization, address) not in known:
                before = (way for way in ways if (organization, way) in known)
                found[organization, address] = next(before, address)
                known.add((organization, found[organization, address]))
        return found

    def by_address(self, wanted: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Contact]:
        """Those with these addresses, by organization and address."""
        pairs = set(wanted)
        rows = self.filter(
            organization__in={key for key, _ in pairs}, address__in={address for _, address in pairs}
        )
        return {(row.organization_id, row.address): row for row in rows}

    def get_or_make(
        self, wanted: Set[tuple[int, str]], names: Mapping[tuple[int, str], str] | None = None
    ) -> dict[tuple[int, str], Contact]:
        """`by_address`; missing ones are created, with these names if they have one."""
        found, names = self.by_address(wanted), names or {}
        if missing := wanted - found.keys():
            bulk.insert(
                [
                    Contact(organization_id=org, address=address, name=names.get((org, address), ""))
                    for org, address in sorted(missing)  # at once and in order: others may make the same ones
                ],
                ignore_conflicts=True,
            )
            found = self.by_address(wanted)
        return found

    def name_those_without(self, names: Mapping[Contact, str]) -> None:
        """Gives contacts that have no name, and stand for themselves, the one that they sent."""
        new = {contact.pk: name for contact, name in names.items() if name and not contact.name}
        if new:
            cases = [When(pk=key, then=Value(name)) for key, name in new.items()]
            nameless = self.filter(pk__in=new, name="", merged_into__isnull=True)
            nameless.update(name=Case(*cases, default=F("name")))

    def groups(self) -> ContactQuerySet:
        """The groups that these are members of."""
        return Contact.objects.filter(is_group=True, members__in=self)

    def members_of(self, groups: Collection[int]) -> dict[int, list[str]]:
        """The addresses of the members of each of these groups, in order; one query, if there are any."""
        found: dict[int, list[str]] = defaultdict(list)
        if groups:
            rows = self.filter(groups__in=groups).order_by("address").values_list("groups", "address")
            for group, address in rows:
                found[group].append(address)
        return found

    def of_person(self, contact: Contact) -> ContactQuerySet:
        """All contacts of the same person, the contact itself among them."""
        return self.filter(Q(pk=contact.person.pk) | Q(merged_into=contact.person))

    def _stored(self, several: Mapping[tuple[int, str], Iterable[str]]) -> set[tuple[int, str]]:
        rows = self.filter(
            organization__in={organization for organization, _ in several},
            address__in={way for ways in several.values() for way in ways},
        )
        return set(rows.values_list("organization", "address"))


class ContactTag(models.Model):
    """A word by which an organization groups its contacts."""

    organization = models.ForeignKey(
        Organization, models.CASCADE, related_name="contact_tags", db_index=False
    )
    name = models.CharField(_("tag"), max_length=40)

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        ordering = ["name"]
        constraints = [models.UniqueConstraint("organization", Lower("name"), name="contact_tag_once")]

    def __str__(self) -> str:
        return self.name


class Contact(models.Model):
    """A person or system that an organization exchanges messages with, by number, short code or name.

    Somebody with several numbers is several contacts, `merged_into` one of them, whose name, company, note
    and tags are shown for all. A group is a contact, too: with the addresses of its `members` as its own.
    """

    organization = models.ForeignKey(Organization, models.PROTECT, related_name="contacts", db_index=False)
    address = models.CharField(_("number"), max_length=ADDRESS_LENGTH)
    name = models.CharField(_("name"), max_length=120, blank=True)
    company = models.CharField(_("company"), max_length=120, blank=True, default="", db_default="")
    note = models.TextField(_("note"), max_length=5000, blank=True, default="", db_default="")
    tags = models.ManyToManyField(ContactTag, verbose_name=_("tags"), related_name="contacts", blank=True)
    # Since when what it sends is only filed: no list shows it, and nothing is answered or announced. What a
    # member writes in a group is the group's.
    blocked_at = models.DateTimeField(_("blocked"), null=True, blank=True)
    merged_into = models.ForeignKey(
        "self", models.SET_NULL, related_name="merged", null=True, blank=True, db_index=False
    )

    is_group = models.BooleanField(_("group"), default=False, db_default=False, editable=False)
    members = models.ManyToManyField(
        "self",
        verbose_name=_("members"),
        symmetrical=False,
        related_name="groups",
        blank=True,
        editable=False,
    )

    objects = ContactQuerySet.as_manager()

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        constraints = [models.UniqueConstraint(fields=["organization", "address"], name="contact_once")]
        indexes = [
            models.Index(fields=["address"], name="contact_address"),
            models.Index(
                fields=["organization"], condition=Q(blocked_at__isnull=False), name="contact_blocked"
            ),
            models.Index(
                fields=["merged_into"], condition=Q(merged_into__isnull=False), name="contact_merged"
            ),
        ]

    def __str__(self) -> str:
        return self.person.name or self.address

    @property
    def person(self) -> Contact:
        """The contact that stands for the person; itself unless it was merged into another."""
        return self.merged_into or self

    @property
    def members_in_order(self) -> ContactQuerySet:
        """The members of a group, with whom they stand for, as they are shown."""
        return self.members.select_related("merged_into").order_by("address")

    @property
    def title(self) -> str:
        """The name, else the number; a group without a name is called by its members, which are looked up."""
        if not self.is_group or self.person.name:
            return str(self)
        members = sorted(self.members.all(), key=lambda member: member.address)
        return ", ".join(map(str, members))

    @property
    def answerable(self) -> bool:
        """Whether messages can be sent to it; texts also come from names, e-mail addresses and the like."""
        return self.is_group or numbers.answerable(self.address)
