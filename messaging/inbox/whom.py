"""Whom a new message goes to: numbers and names as somebody writes them, with commas between."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext as _

from integrations.language import phones
from messaging import numbers
from messaging.groups import Group
from messaging.models import Contact, Conversation, Number, OptOut
from messaging.models.contacts import MOST_MEMBERS, ContactQuerySet, known_by
from messaging.outbound import enqueue, recipients
from portal.models import User

SUGGESTED, NAMESAKES = 6, 5
SHORTEST_NAME = 2  # characters from which people are suggested
LONGEST = MOST_MEMBERS * 40  # characters that somebody may write
_BETWEEN = re.compile(r"[,;\n]")


@dataclass(frozen=True)
class Whom:
    """The contacts that somebody means, each once, who may not be stored yet; and what is wrong.

    Those whom the user does not write with are not stored, as far as the user can see.

    `last` is what they write at the moment, if it is nobody yet, and `unfinished` why.
    """

    number: Number
    user: User
    contacts: tuple[Contact, ...]
    problems: tuple[str, ...]
    last: str = ""
    unfinished: str = ""

    @property
    def several(self) -> bool:
        return len(self.contacts) > 1

    @property
    def addresses(self) -> str:
        """All addresses, by which a page says of whom it has spoken."""
        return ", ".join(sorted(contact.address for contact in self.contacts))

    @property
    def group(self) -> Contact | None:
        """The group of exactly these people, if the user writes with it."""
        found = Group.of(self.number.organization_id, (contact.address for contact in self.contacts))
        groups = _own(self.number, self.user).filter(is_group=True)
        return groups.filter(address=found.address).first() if found else None


def read(number: Number, user: User, written: str) -> Whom:
    """The contacts whom a user names as recipients of a message from the number."""
    pieces = [piece.strip() for piece in _BETWEEN.split(written[:LONGEST].replace("\r", ""))]
    last, pieces = pieces[-1], [piece for piece in pieces if piece]
    found: dict[str, Contact] = {}
    problems: list[str] = []
    nobody = unfinished = ""
    if len(pieces) > MOST_MEMBERS:
        problems.append(recipients.too_many(len(pieces)))
        pieces = pieces[:MOST_MEMBERS]
    for place, piece in enumerate(pieces):
        try:
            contact = _meant(number, user, piece, alone=len(pieces) == 1)
        except ValueError as error:
            if place == len(pieces) - 1 and piece == last:
                nobody, unfinished = piece, str(error)
            else:
                problems.append(str(error))
            continue
        found.setdefault(phones.ways(contact.address)[0], contact)
    contacts = _known(number, user, tuple(found.values()))
    if len(contacts) > 1:
        problems += _unwilling(number, contacts)
    return Whom(number, user, contacts, tuple(problems), nobody, unfinished)


def suggested(number: Number, user: User, words: str) -> list[Contact]:
    """People whom the user writes with, who have the words in their name or company."""
    if len(words) < SHORTEST_NAME or not any(letter.isalpha() for letter in words):
        return []
    people = _own(number, user).filter(known_by(words), is_group=False, blocked_at__isnull=True)
    rows = people.select_related("merged_into").order_by("name", "address")[: 2 * SUGGESTED]
    return [row for row in rows if row.answerable][:SUGGESTED]


def _meant(number: Number, user: User, piece: str, *, alone: bool) -> Contact:
    """One contact. Raises ValueError with a sentence."""
    if any(letter.isalpha() for letter in piece) and (named := _named(number, user, piece)):
        if len(named) > 1:
            raise ValueError(
                _("Several contacts are called %(name)s. Write the number: %(numbers)s.")
                % {"name": piece, "numbers": ", ".join(each.address for each in named)}
            )
        if named[0].is_group and not alone:
            raise ValueError(_("%(name)s is a group. Write its members instead.") % {"name": piece})
        return _other(number, named[0])
    try:
        address = numbers.recipient(piece, number.country)
    except ValueError as error:
        if any(letter.isalpha() for letter in piece):
            said = _("“%(name)s” is not a phone number, and none of your contacts is called so.")
            raise ValueError(said % {"name": piece[:40]}) from None
        raise error from None
    return _other(number, Contact(organization_id=number.organization_id, address=address))


def _other(number: Number, contact: Contact) -> Contact:
    """The contact, unless it is the number itself: raises ValueError."""
    if not contact.is_group and number.number in phones.ways(contact.address):
        raise ValueError(recipients.ourselves(number))
    return contact


def _named(number: Number, user: User, name: str) -> list[Contact]:
    """Those of this name whom messages can be sent to, of whom the user knows."""
    called = Q(name__iexact=name, merged_into=None) | Q(merged_into__name__iexact=name)
    rows = _own(number, user).filter(called).select_related("merged_into").order_by("address")
    return [row for row in rows[:NAMESAKES] if row.answerable]


def _own(number: Number, user: User) -> ContactQuerySet:
    """The contacts, in the number's organization, with whom the user has conversations, also in groups."""
    mine = Conversation.objects.for_user(user).filter(organization=number.organization_id)
    talked = mine.values("contact")
    known = Q(pk__in=talked) | Q(groups__in=talked)
    return Contact.objects.filter(known, organization=number.organization_id).distinct()


def _known(number: Number, user: User, contacts: tuple[Contact, ...]) -> tuple[Contact, ...]:
    """The contacts as they are stored, as far as the user writes with them, in the order given.

    Of a number that only others write with, the user learns neither a name nor that it is blocked.
    """
    ways = {way for contact in contacts for way in phones.ways(contact.address)}
    rows = _own(number, user).filter(address__in=ways)
    by_way = {phones.ways(row.address)[0]: row for row in rows.select_related("merged_into").order_by("-pk")}
    return tuple(by_way.get(phones.ways(contact.address)[0], contact) for contact in contacts)


def _unwilling(number: Number, contacts: tuple[Contact, ...]) -> list[str]:
    """Why some of several get nothing: they have opted out, or are blocked."""
    out = OptOut.objects.filter(number=number, address__in=[contact.address for contact in contacts])
    left = set(out.values_list("address", flat=True))
    return [
        *(str(enqueue.opted_out(str(each))) for each in contacts if each.address in left),
        *(
            _("%(contact)s is blocked: you would not see the answer.") % {"contact": each}
            for each in contacts
            if each.blocked_at is not None
        ),
    ]
