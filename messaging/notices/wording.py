"""What a notice says of a message, as much as its reader has chosen."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from messaging.models import Message, NoticeChoices, Remark
from portal.models import User

SHOWN = 140


def choices_of(user: User) -> NoticeChoices:
    """The user's choices, or those of whoever has chosen nothing."""
    return getattr(user, "notice_choices", None) or NoticeChoices(user=user)


def notice(message: Message, user: User) -> dict[str, Any]:
    """Who wrote, the beginning of the text if the user wants it shown, and where it leads."""
    return {
        "title": message.conversation.contact.title,
        "body": spoken(message) if choices_of(user).shows_text else _("A new message"),
        "url": reverse("conversation", args=[message.conversation_id]),
        "tag": f"c{message.conversation_id}",
        "message": message.pk,
    }


def ended(remark: Remark) -> dict[str, Any]:
    """That a snooze is over, as `notice` tells of a message."""
    conversation = remark.conversation
    return {
        "title": conversation.contact.title,
        "body": _("The snooze is over."),
        "url": reverse("conversation", args=[conversation.pk]),
        "tag": f"c{conversation.pk}",
        "message": conversation.last_message_id or 0,
        "remark": remark.pk,
    }


def spoken(message: Message) -> str:
    """The beginning of the text; in a group, after the name of who wrote it."""
    return f"{message.sender}: {excerpt(message)}" if message.sender else excerpt(message)


def excerpt(message: Message) -> str:
    """The beginning of the text, in one line."""
    return Truncator(" ".join(message.text.split())).chars(SHOWN) or _("Picture or file")
