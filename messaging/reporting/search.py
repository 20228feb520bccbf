"""Search by a message id, a provider's message id, a contact's number or words; every query uses an index."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from integrations.language import phones
from messaging import numbers
from messaging.models import Contact, Conversation, DeliveryAttempt, Message, Number, WebhookEvent
from messaging.statuses import Direction
from portal.models import Organization, User

MAX_MATCHES = 500
MAX_COUNTRIES = 5  # in which a national number is looked for


def messages(rows: QuerySet[Any], user: User, term: str) -> QuerySet[Any]:
    """The messages in `rows` that match the term; an empty term matches all.

    A term that is an id or the number of a contact means just that; any other is looked for in the texts.
    Each alone has an index, which the database would not use for one or the other.
    """
    term = term.strip()
    if not term:
        return rows
    if found := _by_uuid(term) or _by_provider_id(term):
        return rows.filter(pk__in=found)
    if conversations := _conversations(user, term):
        return rows.filter(conversation__in=conversations)
    return rows.filter(text__has_words=term)


def webhooks(rows: QuerySet[Any], user: User, term: str) -> QuerySet[Any]:
    """The webhook requests in `rows` that created or updated the messages that match the term."""
    term = term.strip()
    if not term:
        return rows
    # As values: of how many rows there are for a subquery, the database can only guess.
    organizations = list(Organization.objects.administered_by(user).values_list("pk", flat=True))
    mine = Message.objects.filter(organization__in=organizations)
    about = list(messages(mine, user, term).order_by("-pk").values_list("pk", flat=True)[:MAX_MATCHES])
    events = WebhookEvent.objects.filter(Q(message__in=about) | Q(provider_id=term))
    return rows.filter(pk__in=list(events.order_by("-pk").values_list("request", flat=True)[:MAX_MATCHES]))


def attempts(rows: QuerySet[Any], user: User, term: str) -> QuerySet[Any]:
    """The delivery attempts in `rows` that match a message id, the provider's id, or a contact's number."""
    term = term.strip()
    if not term:
        return rows
    found = _by_uuid(term)
    if not found and (conversations := _conversations(user, term)):
        written = Message.objects.filter(conversation__in=conversations, direction=Direction.OUT)
        found = list(written.order_by("-pk").values_list("pk", flat=True)[:MAX_MATCHES])
    return rows.filter(message__in=found) if found else rows.filter(~Q(provider_id=""), provider_id=term)


def _by_uuid(term: str) -> list[int]:
    """The key of the message with this id of ours, if any; a provider's id may look the same."""
    try:
        return list(Message.objects.filter(uuid=UUID(term)).values_list("pk", flat=True))
    except ValueError:
        return []


def _by_provider_id(term: str) -> list[int]:
    """The keys of the outbound and inbound messages that a provider knows by this id."""
    outbound = DeliveryAttempt.objects.filter(provider_id=term)
    inbound = WebhookEvent.objects.filter(provider_id=term, message__isnull=False)
    return [
        *outbound.values_list("message", flat=True)[:MAX_MATCHES],
        *inbound.values_list("message", flat=True)[:MAX_MATCHES],
    ]


def _conversations(user: User, term: str) -> list[int]:
    """The keys of conversations with the contact whose number is written so, with or without country code.

    Those of its groups are among them.
    """
    if not any(letter.isdigit() for letter in term):
        return []
    organizations = Organization.objects.administered_by(user)
    countries = Number.objects.filter(organization__in=organizations).order_by("country")
    spellings = {term}
    for country in ["", *countries.values_list("country", flat=True).distinct()[:MAX_COUNTRIES]]:
        try:
            spellings |= set(phones.ways(numbers.recipient(term, country)))
        except ValueError:
            continue
    contacts = Contact.objects.filter(address__in=spellings, organization__in=organizations)
    keys = list(contacts.values_list("pk", flat=True)[:MAX_MATCHES])
    keys += Contact.objects.filter(pk__in=keys).groups().values_list("pk", flat=True)[:MAX_MATCHES]
    return list(Conversation.objects.filter(contact__in=keys).values_list("pk", flat=True)[:MAX_MATCHES])
