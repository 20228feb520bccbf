"""What the compose box begins with: drafts, the number last used, how the user writes, and the hour there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models.functions import Now
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Integration
from messaging.models import Contact, Conversation, Draft, Message, Number, WritingChoices
from messaging.outbound.submit import MAX_TEXT
from messaging.rules import schedule
from portal.models import User


@dataclass(frozen=True)
class Night:
    """The contact, its zone, the time there, and whether it is night."""

    contact: Contact
    zone: ZoneInfo
    there: time  # a datetime would be shown in the zone of whoever looks
    now: bool


def night(number: Number, contacts: Iterable[Contact]) -> Night | None:
    """Whether it is night where a contact is: the first one with night, else the first with a known time.

    None where nobody knows; of a group nothing is known.
    """
    now, first = timezone.now(), None
    for contact in contacts:
        if zone := schedule.zone_of(contact.address, number):
            found = Night(contact, zone, now.astimezone(zone).time(), schedule.is_night(zone, now))
            if found.now:
                return found
            first = first or found
    return first


def begun(number: Number, contact: Contact | None) -> Conversation:
    """The conversation that a text to this contact belongs to, as far as it is known; it is not stored."""
    nobody = Contact(organization=number.organization)
    return Conversation(organization=number.organization, number=number, contact=contact or nobody)


def files_hint(number: Number) -> str:
    """What files the provider of the number takes, before anybody uploads one; "" if there is no limit."""
    found = Integration.objects.select_related("revision", "template__published")
    service = found.filter(numbers=number).first() if number.integration_id else None
    if service is None or (service.revision is None and service.template.published is None):
        return ""
    limits = service.compiled.limits
    others = [kind.partition("/")[2] for kind in limits.media_types if not kind.startswith("image/")]
    if limits.media_types and not others:
        return _("Pictures are made to fit. The provider takes no other files.")
    words = [_("Pictures are made to fit.")] if limits.media_bytes or limits.media_types else []
    if others and "*" not in others:
        words.append(_("Other files that the provider takes: %(types)s.") % {"types": ", ".join(others)})
    if limits.media_bytes:
        words.append(_("Other files have at most %(size)s.") % {"size": filesizeformat(limits.media_bytes)})
    return " ".join(words)


def choices_of(user: User) -> WritingChoices:
    """The user's choices, or those of whoever has chosen nothing."""
    return getattr(user, "writing_choices", None) or WritingChoices(user=user)


def signed(text: str, author: User) -> str:
    """The text with the signature of its author below; files alone have none."""
    signature = choices_of(author).signature
    return f"{text.rstrip()}\n{signature}" if signature and text.strip() else text


def last_used(user: User) -> int | None:
    """The number from which the user has written last."""
    own = Message.objects.filter(author=user).order_by("-created_at")
    return own.values_list("conversation__number", flat=True).first()


def initial(conversation: Conversation, user: User) -> dict[str, Any]:
    """What the compose box of the conversation begins with."""
    drafts = Draft.objects.filter(conversation=conversation, user=user)
    return {"text": drafts.values_list("text", flat=True).first() or ""}


def keep(conversation: Conversation, user: User, text: str) -> None:
    """Keeps what the user has begun to write; nothing of an empty text."""
    text = text.replace("\r\n", "\n").replace("\0", "\ufffd")[:MAX_TEXT]
    if not text.strip():
        forget(conversation, user)
        return
    Draft.objects.update_or_create(
        conversation=conversation, user=user, defaults={"text": text, "changed_at": Now()}
    )


def forget(conversation: Conversation, user: User) -> None:
    """Keeps the user's draft no longer: it was sent, or given up."""
    Draft.objects.filter(conversation=conversation, user=user).delete()
