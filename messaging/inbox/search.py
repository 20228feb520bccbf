"""Finding conversations: by whom they are with, and by what was said."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from messaging.models import Message
from messaging.models.conversations import ConversationQuerySet
from portal.models import User

RECENT = 5000  # messages whose texts are searched
SHORTEST = 3  # characters of a text: shorter ones are in nearly every message


def matching(conversations: ConversationQuerySet, user: User, words: str) -> ConversationQuerySet:
    """Those whose contact has the words in its name, company, number or tags, or where a text has them."""
    found = Q()
    for contact in ("contact", "contact__merged_into"):
        for field in ("name", "company"):
            found |= Q(**{f"{contact}__{field}__icontains": words})
    tagged = Q(contact__tags__name__icontains=words) | Q(contact__merged_into__tags__name__icontains=words)
    found |= Q(pk__in=conversations.filter(tagged).order_by().values("pk"))
    digits = "".join(character for character in words if character.isdigit())
    if digits:
        found |= Q(contact__address__contains=digits.removeprefix("0"))
    if len(words) >= SHORTEST:
        found |= Q(pk__in=saying(user, words))
    return conversations.filter(found)


def saying(user: User, words: str) -> QuerySet[Message, int]:
    """The keys of conversations in which one of the newest `RECENT` messages has the words.

    They are read from the log of the user's organizations, whoever may see them: the caller filters by that.
    """
    # Named by their keys, they are read backwards in the index, however many messages others have.
    organizations = list(user.memberships.values_list("organization", flat=True).exclude(organization=None))
    newest = Message.objects.filter(organization__in=organizations).order_by("-pk")
    recent = Message.objects.filter(pk__in=newest.values("pk")[:RECENT], text__icontains=words)
    return recent.order_by().values_list("conversation", flat=True)
