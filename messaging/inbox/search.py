"""Finding conversations: by whom they are with, and by what was said.

Both are bounded, so that no search reads on for ever; the result is filtered by what the user may see.
"""

from __future__ import annotations

from django.db.models import Q, QuerySet

from messaging.models import Contact, Message
from messaging.models.contacts import known_by
from messaging.models.conversations import ConversationQuerySet
from portal.models import User

RECENT = 5000  # messages whose texts are searched
PEOPLE = 1000  # contacts that are looked at, the newest first
SHORTEST = 3  # characters of a text: shorter ones are in nearly every message


def matching(conversations: ConversationQuerySet, user: User, words: str) -> ConversationQuerySet:
    """Those whose contact has the words in its name, company, number or tags, or where a text has them."""
    people = list(_people(user, words).order_by("-pk").values_list("pk", flat=True)[:PEOPLE])
    found = Q(contact__in=people) | Q(contact__in=Contact.objects.filter(merged_into__in=people))
    if len(words) >= SHORTEST:
        found |= Q(pk__in=saying(user, words))
    return conversations.filter(found)


def saying(user: User, words: str) -> QuerySet[Message, int]:
    """The keys of conversations in which one of the newest `RECENT` messages has the words.

    They are read from the log of the user's organizations, whoever may see them: the caller filters by that.
    """
    # Named by their keys, they are read backwards in the index, however many messages others have.
    newest = Message.objects.filter(organization__in=user.own_organizations).order_by("-pk")
    recent = Message.objects.filter(pk__in=newest.values("pk")[:RECENT], text__icontains=words)
    return recent.order_by().values_list("conversation", flat=True)


def _people(user: User, words: str) -> QuerySet[Contact]:
    """The contacts of the user's organizations that have the words."""
    return Contact.objects.filter(known_by(words), organization__in=user.own_organizations)
