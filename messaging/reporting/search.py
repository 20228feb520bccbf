"""Finds traces by what people have at hand: a number, an id of ours, or the service's id. Indexes answer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from messaging import numbers
from messaging.models import Contact, Conversation, DeliveryAttempt, Message, Number, WebhookEvent
from portal.models import Organization, User

# Of what a term may stand for: more than these are no longer a search.
MOST = 500
_COUNTRIES = 5


def messages(rows: QuerySet[Any], user: User, term: str) -> QuerySet[Any]:
    """The messages among `rows` that the term names; an empty one names all."""
    term = term.strip()
    if not term:
        return rows
    found = _by_uuid(term) or _by_provider_id(term)
    return rows.filter(Q(pk__in=found) | Q(conversation__in=_conversations(user, term)))


def webhooks(rows: QuerySet[Any], user: User, term: str) -> QuerySet[Any]:
    """The webhook requests among `rows` that brought or changed the messages that the term names."""
    term = term.strip()
    if not term:
        return rows
    mine = Message.objects.filter(organization__in=Organization.objects.administered_by(user))
    about = list(messages(mine, user, term).order_by("-pk").values_list("pk", flat=True)[:MOST])
    events = WebhookEvent.objects.filter(Q(message__in=about) | Q(provider_id=term))
    return rows.filter(pk__in=list(events.order_by("-pk").values_list("request", flat=True)[:MOST]))


def attempts(rows: QuerySet[Any], term: str) -> QuerySet[Any]:
    """The delivery attempts among `rows` of a message's id, or with the service's id."""
    term = term.strip()
    if not term:
        return rows
    found = _by_uuid(term)
    return rows.filter(message__in=found) if found else rows.filter(provider_id=term)


def _by_uuid(term: str) -> list[int]:
    """The key of the message with this id of ours; services give ids that look alike."""
    try:
        return list(Message.objects.filter(uuid=UUID(term)).values_list("pk", flat=True))
    except ValueError:
        return []


def _by_provider_id(term: str) -> list[int]:
    """Keys of the messages that a service knows by this id, out and in."""
    out = DeliveryAttempt.objects.filter(provider_id=term).values_list("message", flat=True)[:MOST]
    came = WebhookEvent.objects.filter(provider_id=term, message__isnull=False)
    return [*out, *came.values_list("message", flat=True)[:MOST]]


def _conversations(user: User, term: str) -> list[int]:
    """Keys of the user's conversations with the contact that is written so, internationally or nationally."""
    if not any(letter.isdigit() for letter in term):
        return []
    organizations = Organization.objects.administered_by(user)
    countries = Number.objects.filter(organization__in=organizations).order_by("country")
    spellings = {term}
    for country in ["", *countries.values_list("country", flat=True).distinct()[:_COUNTRIES]]:
        try:
            spellings.add(numbers.parse(term, country).number)
        except ValueError:
            continue
    contacts = Contact.objects.filter(address__in=spellings, organization__in=organizations)
    keys = list(contacts.values_list("pk", flat=True)[:MOST])
    return list(Conversation.objects.filter(contact__in=keys).values_list("pk", flat=True)[:MOST])
