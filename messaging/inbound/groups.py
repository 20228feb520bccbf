"""Groups: who takes part besides us in a message to several, and the contact that stands for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from integrations.events import InboundMessage
from integrations.senders import sender
from messaging import numbers
from messaging.models import Contact, Number
from messaging.models.contacts import group_address
from portal.database import bulk


@dataclass(frozen=True)
class Group:
    """A group of an organization: the addresses of its members."""

    organization_id: int
    members: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether there are several, and not too many for one contact."""
        return len(set(self.members)) > 1 and len(self.address) <= numbers.ADDRESS_LENGTH

    @property
    def address(self) -> str:
        """The address of the contact that stands for the group."""
        return group_address(self.members)


def members_of(arrived: Sequence[tuple[InboundMessage, Number, str]]) -> list[tuple[str, ...]]:
    """For each message, given with our number and its sender's address: the members of its group.

    They are phone numbers, the sender's first. A message to our numbers alone has none. One query, if any
    message is to somebody else as well.
    """
    others = [_others(what, number, who) for what, number, who in arrived]
    ours = _ours(
        {
            (number.organization_id, each)
            for (_, number, _), found in zip(arrived, others, strict=True)
            for each in found
        }
    )
    groups = []
    for (_, number, who), found in zip(arrived, others, strict=True):
        outside = [each for each in found if (number.organization_id, each) not in ours]
        groups.append((who, *outside) if outside and numbers.answerable(who) else ())
    return groups


def contacts_of(groups: Iterable[Group]) -> None:
    """Creates the contacts of groups and of their members, where they are missing; few statements for all."""
    wanted = {(group.organization_id, group.address): group for group in groups}
    if not wanted:
        return
    people = {(group.organization_id, each) for group in wanted.values() for each in group.members}
    bulk.insert(
        [Contact(organization_id=key, address=each) for key, each in sorted(people)], ignore_conflicts=True
    )
    Contact.objects.bulk_create(  # which, unlike `bulk.insert`, sets what has a default in the database
        [Contact(organization_id=key, address=each, is_group=True) for key, each in sorted(wanted)],
        ignore_conflicts=True,
    )
    known = by_address([*people, *wanted])
    link = Contact.members.through
    bulk.insert(
        [
            link(from_contact=known[key], to_contact=known[group.organization_id, each])
            for key, group in wanted.items()
            for each in group.members
        ],
        ignore_conflicts=True,
    )


def by_address(wanted: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Contact]:
    """The contacts with these addresses, by organization and address."""
    pairs = set(wanted)
    rows = Contact.objects.filter(
        organization__in={key for key, _ in pairs}, address__in={address for _, address in pairs}
    )
    return {(row.organization_id, row.address): row for row in rows}


def _others(what: InboundMessage, number: Number, who: str) -> list[str]:
    """The phone numbers that a message is to, besides the number that it is filed for and its sender."""
    found: dict[str, None] = {}
    for given in (*what.recipients, *what.members):
        if {number.number, number.spelling} & numbers.spellings(given):
            continue
        address = sender(given, number.country)
        if address not in (who, number.number) and numbers.answerable(address):
            found[address] = None
    return list(found)


def _ours(addresses: set[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those that are numbers of the organization itself: whoever uses them gets the message there."""
    if not addresses:
        return set()
    rows = Number.objects.filter(
        number__in={address for _, address in addresses},
        organization__in={organization for organization, _ in addresses},
        active=True,
    )
    return set(rows.values_list("organization", "number"))
