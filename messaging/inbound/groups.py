"""Groups: who takes part besides us in a message to several, and the contact that stands for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from integrations.events import InboundMessage
from integrations.language import phones
from integrations.senders import sender
from messaging import numbers
from messaging.models import Contact, Number
from messaging.models.contacts import group_address
from portal.database import bulk

# Recipients and members of a message: of more, the address of a group would be too long.
MOST = 50


@dataclass(frozen=True)
class Group:
    """A group of an organization: the addresses of its members."""

    organization_id: int
    members: tuple[str, ...]

    @property
    def address(self) -> str:
        """The address of the contact that stands for the group."""
        return group_address(self.members)

    @classmethod
    def of(cls, organization_id: int, members: Iterable[str]) -> Group | None:
        """The group of these members, if they are several and not too many for a contact."""
        group = cls(organization_id, tuple(sorted(set(members))))
        several = len(group.members) > 1
        return group if several and len(group.address) <= numbers.ADDRESS_LENGTH else None


def members_of(arrived: Iterable[tuple[InboundMessage, Number, str]]) -> list[tuple[str, ...]]:
    """For each message, given with our number and its sender's address: the members of its group.

    They are phone numbers, the sender's first; other numbers of the organization are members like anybody
    else, or what one of them writes and what the others answer would be different groups. A message to our
    number alone has none, and neither has one to more than `MOST`, or one that the number has sent itself.
    """
    groups = []
    for what, number, who in arrived:
        others = _others(what, number, who)
        ourselves = number.number in phones.ways(who)
        groups.append((who, *others) if others and not ourselves and numbers.answerable(who) else ())
    return groups


def contacts_of(
    groups: Iterable[Group], people: Mapping[tuple[int, str], Contact]
) -> dict[tuple[int, str], Contact]:
    """The contacts of groups, by organization and address; missing ones are created, of these `people`."""
    wanted = {(group.organization_id, group.address): group for group in groups}
    if not wanted:
        return {}
    Contact.objects.bulk_create(  # which, unlike `bulk.insert`, sets what has a default in the database
        [Contact(organization_id=key, address=each, is_group=True) for key, each in sorted(wanted)],
        ignore_conflicts=True,
    )
    found = by_address(wanted)
    link = Contact.members.through
    bulk.insert(
        [
            link(from_contact=found[key], to_contact=people[group.organization_id, each])
            for key, group in wanted.items()
            for each in group.members
        ],
        ignore_conflicts=True,
    )
    return found


def blocked(wanted: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those that are blocked: what they write to a group is filed as a text to us alone, like all else."""
    return {key for key, row in by_address(wanted).items() if row.blocked_at is not None}


def by_address(wanted: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Contact]:
    """The contacts with these addresses, by organization and address."""
    pairs = set(wanted)
    rows = Contact.objects.filter(
        organization__in={key for key, _ in pairs}, address__in={address for _, address in pairs}
    )
    return {(row.organization_id, row.address): row for row in rows}


def _others(what: InboundMessage, number: Number, who: str) -> list[str]:
    """The phone numbers that a message is to, besides the number that it is filed for and its sender."""
    everybody = dict.fromkeys((*what.recipients, *what.members))
    if len(everybody) > MOST:
        return []
    present = {phones.ways(who)[0], phones.ways(number.number)[0]}
    found: dict[str, str] = {}  # by the first of the ways in which each may be written
    for given in everybody:
        if {number.number, number.spelling} & numbers.spellings(given):
            continue
        address = sender(given, number.country)
        way = phones.ways(address)[0]
        if way not in present and numbers.answerable(address):
            found.setdefault(way, address)
    return list(found.values())
