"""Groups: the contacts that stand for several people outside, who get the same messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from messaging.models import Contact
from messaging.models.contacts import MOST_MEMBERS, group_address
from portal.database import bulk


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
        return group if 1 < len(group.members) <= MOST_MEMBERS else None


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
    found = Contact.objects.by_address(wanted)
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
