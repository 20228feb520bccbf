"""Finding conversations: by whom they are with, and by what was said.

Both are bounded, so that no search reads on for ever; the result is filtered by what the user may see.
"""

from __future__ import annotations

from django.db.models import Q, QuerySet

from messaging.models import Contact, Message
from messaging.models.contacts import known_by
from messaging.models.conversations import ConversationQuerySet
from portal.models import User

RECENT = 1000  # messages that say it, the newest
PEOPLE = 1000  # contacts that are looked at, the newest first
SHORTEST = 3  # characters of a text: shorter ones are in nearly every message


def matching(conversations: ConversationQuerySet, user: User, words: str) -> ConversationQuerySet:
    """Those whose contact has the words in its name, company, number or tags, or where a text says them."""
    people = list(_people(user, words).order_by("-pk").values_list("pk", flat=True)[:PEOPLE])
    found = Q(contact__in=people) | Q(contact__in=Contact.objects.filter(merged_into__in=people))
    if len(words) >= SHORTEST:
        found |= Q(pk__in=saying(user, words))
    return conversations.filter(found)


def saying(user: User, words: str) -> QuerySet[Message, int]:
    """The keys of conversations with one of the newest `RECENT` messages in which words begin so.

    These are of all numbers of the user's organizations, whoever may see them: the caller filters by that.
    """
    found = Message.objects.filter(organization__in=user.own_organizations).containing(words)
    return found.order_by("-pk").values_list("conversation", flat=True)[:RECENT]


def _people(user: User, words: str) -> QuerySet[Contact]:
    """The contacts of the user's organizations that have the words."""
    return Contact.objects.filter(known_by(words), organization__in=user.own_organizations)
