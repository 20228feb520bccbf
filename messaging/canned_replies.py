"""Replies that are written once and used often: what stands in their fields, and who may change them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet

from messaging.models import CannedReply, Conversation
from portal import audit
from portal.models import Organization, User

SHOWN = 200
_FIELD = re.compile(r"\{ ?(contact name|my name|number name|organization) ?\}", re.IGNORECASE)


@dataclass(frozen=True)
class Choice:
    """A reply as it is offered: its name, and its text with the fields filled in."""

    name: str
    text: str


def choices(conversation: Conversation, user: User) -> list[Choice]:
    """What the user may choose from in the conversation, by name; one query."""
    found = CannedReply.objects.for_writing(user, conversation.number)[:SHOWN]
    return [Choice(reply.name, filled(reply.text, conversation, user)) for reply in found]


def filled(text: str, conversation: Conversation, user: User) -> str:
    """The text with its fields filled in; a name that nobody knows leaves no gap."""
    person = conversation.contact.person
    values = {
        "contact name": person.name,
        "my name": user.name,
        "number name": conversation.number.display_name or conversation.number.number,
        "organization": conversation.organization.name,
    }
    lost = False

    def value(found: re.Match[str]) -> str:
        nonlocal lost
        known = values[found[1].lower()]
        lost = lost or not known
        return known

    text = _FIELD.sub(value, text)
    return re.sub(r" +(?=[,.!?;:\n]|$)| (?= )", "", text) if lost else text


def changeable(user: User) -> QuerySet[CannedReply]:
    """The user's own replies, and those that all share in the organizations that the user administers."""
    shared = Q(owner__isnull=True, organization__in=Organization.objects.administered_by(user))
    mine = Q(owner=user, organization__in=user.own_organizations)
    return CannedReply.objects.filter(mine | shared).select_related("organization", "number")


@transaction.atomic
def save(reply: CannedReply) -> None:
    """Stores a reply; the audit tells of shared ones."""
    action = audit.Action.CHANGED if reply.pk else audit.Action.ADDED
    reply.save()
    if reply.owner_id is None:
        audit.record(action, reply)


@transaction.atomic
def delete(reply: CannedReply) -> None:
    """Deletes a reply; the audit tells of shared ones."""
    if reply.owner_id is None:
        audit.record(audit.Action.DELETED, reply)
    reply.delete()
