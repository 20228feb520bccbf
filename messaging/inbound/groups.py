"""Who takes part besides us in a message to several."""

from __future__ import annotations

from collections.abc import Iterable

from integrations.events import InboundMessage
from integrations.language import phones
from integrations.senders import sender
from messaging import numbers
from messaging.models import Contact, Number
from messaging.models.contacts import MOST_MEMBERS


def members_of(arrived: Iterable[tuple[InboundMessage, Number, str]]) -> list[tuple[str, ...]]:
    """For each message, given with our number and its sender's address: the members of its group.

    They are phone numbers, the sender's first; other numbers of the organization are members like anybody
    else, or what one of them writes and what the others answer would be of different groups. A message to
    our number alone has none, and neither has one to more than `MOST_MEMBERS`, or one of the number itself.
    """
    groups = []
    for what, number, who in arrived:
        others = _others(what, number, who)
        ourselves = number.number in phones.ways(who)
        groups.append((who, *others) if others and not ourselves and numbers.answerable(who) else ())
    return groups


def blocked(wanted: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those that are blocked: what they write to a group is filed as a text to us alone, like all else."""
    return {key for key, row in Contact.objects.by_address(wanted).items() if row.blocked_at is not None}


def _others(what: InboundMessage, number: Number, who: str) -> list[str]:
    """The phone numbers that a message is to, besides the number that it is filed for and its sender."""
    everybody = dict.fromkeys((*what.recipients, *what.members))
    if len(everybody) > MOST_MEMBERS:
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
