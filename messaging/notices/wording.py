"""What a notice says of a message, as much as its reader has chosen."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from messaging.models import Contact, Conversation, Message, NoticeChoices, Remark
from portal.models import User

SHOWN = 140


def choices_of(user: User) -> NoticeChoices:
    """The user's choices, or those of whoever has chosen nothing."""
    return getattr(user, "notice_choices", None) or NoticeChoices(user=user)


def notice(message: Message, user: User) -> dict[str, Any]:
    """Who wrote, the beginning of the text if the user wants it shown, and where it leads."""
    said = spoken(message) if choices_of(user).shows_text else _("A new message")
    return {**_about(message.conversation), "body": said, "message": message.pk}


def ended(remark: Remark) -> dict[str, Any]:
    """That a snooze is over, as `notice` tells of a message."""
    conversation = remark.conversation
    last = conversation.last_message_id or 0
    about = _about(conversation)
    return {**about, "body": _("The snooze is over."), "message": last, "remark": remark.pk}


def _about(conversation: Conversation) -> dict[str, Any]:
    """Where a notice leads; what is told of one conversation takes the place of what was told before."""
    url = reverse("conversation", args=[conversation.pk])
    return {"title": title(conversation.contact), "url": url, "tag": f"c{conversation.pk}"}


def title(contact: Contact) -> str:
    """Who it is, briefly: a group may have many members."""
    return Truncator(contact.title).chars(SHOWN)


def spoken(message: Message) -> str:
    """The beginning of the text; in a group, after the name of who wrote it."""
    return f"{message.sender}: {excerpt(message)}" if message.sender else excerpt(message)


def excerpt(message: Message) -> str:
    """The beginning of the text, in one line."""
    return Truncator(" ".join(message.text.split())).chars(SHOWN) or _("Picture or file")
