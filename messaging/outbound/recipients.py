"""Whom a message goes to: a number as somebody writes it, a known contact, or several, who make a group."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from integrations.language import phones
from messaging import errors, numbers
from messaging.errors import Refused
from messaging.models import Contact, Number
from messaging.models.contacts import MOST_MEMBERS

Recipient = str | Contact


def addresses(number: Number, to: Recipient | Sequence[Recipient]) -> tuple[str, ...]:
    """The address, or those of all members of the group that a list means, each once. Raises Refused."""
    if isinstance(to, Recipient):
        return (_address(number, to),)
    found = {phones.ways(address)[0]: address for address in (_address(number, each) for each in to)}
    if not found:
        raise Refused(_("Say whom the message goes to."), "to")
    if len(found) > MOST_MEMBERS:
        raise Refused(too_many(len(found)), "to")
    if len(found) > 1 and not number.sends_to_groups:
        raise cannot_send_to_groups(number)
    return tuple(found.values())


def too_many(count: int) -> str:
    """Why a message goes to nobody of so many."""
    return _("These are %(count)d recipients; a message has at most %(most)d.") % {
        "count": count,
        "most": MOST_MEMBERS,
    }


def ourselves(number: Number) -> str:
    """Why nobody writes to the number that they write from."""
    return _("%(number)s is your own number.") % {"number": number.number}


def cannot_send_to_groups(number: Number) -> Refused:
    """The provider of the number sends to one recipient at a time."""
    provider = str(number.integration.template if number.integration else number)
    return Refused(lambda: errors.no_groups(provider), "to")


def _address(number: Number, to: Recipient) -> str:
    if isinstance(to, Contact):
        if to.is_group and not number.sends_to_groups:
            raise cannot_send_to_groups(number)
        if not to.answerable:
            raise Refused(_("%(contact)s is not a phone number.") % {"contact": to.address}, "to")
        # As it is: a short code may be a number as it is dialled in our country, which is somebody else's.
        address = to.address
    else:
        try:
            address = numbers.recipient(to, number.country)
        except ValueError as error:
            raise Refused(str(error), "to") from None
    if number.number in phones.ways(address):
        raise Refused(ourselves(number), "to")
    return address
