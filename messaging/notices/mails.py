"""Mail about texts that somebody has not read: at once, after some minutes, or once a day."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from django.core.mail import EmailMessage, get_connection
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messaging.models import Message, NoticeChoices
from messaging.notices import replies, wording
from messaging.notices.unread import unread
from portal import mail

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
RETRY_MINUTES = 5  # doubled with each failure, up to a day
BATCH = 50


def send_due() -> None:
    """Sends all mails that are due, each once, even if several processes do this at a time."""
    if not mail.is_configured():
        NoticeChoices.objects.due().update(mail_due_at=None)
        return
    for key in list(NoticeChoices.objects.due().order_by("mail_due_at").values_list("pk", flat=True)[:BATCH]):
        if not NoticeChoices.objects.due().filter(pk=key).update(mail_due_at=Now() + LEASE):
            continue
        choices = NoticeChoices.objects.select_related("user").get(pk=key)
        try:
            told_to = _tell(choices)
        except OSError as error:  # the base class of smtplib's errors, too
            logger.error("A notice could not be sent by mail: %s.", type(error).__name__)
            minutes = min(RETRY_MINUTES * 2**choices.mail_failures, 24 * 60)
            NoticeChoices.objects.filter(pk=key).update(
                mail_due_at=Now() + timedelta(minutes=minutes), mail_failures=F("mail_failures") + 1
            )
        else:
            _finish(choices, told_to)


def _tell(choices: NoticeChoices) -> int:
    """Sends what is unread; returns up to which message the user has been told. Raises OSError."""
    found = _untold(choices, choices.mailed_to)
    if not found:
        return choices.mailed_to
    by_conversation: dict[int, list[Message]] = defaultdict(list)
    for message in found:
        by_conversation[message.conversation_id].append(message)
    with timezone.override(choices.user.time_zone):
        if choices.mail == choices.Mail.DAILY or not replies.is_configured():
            letters = [_letter(choices, list(by_conversation.values()))]
        else:  # each can be answered
            letters = [_letter(choices, [messages]) for messages in by_conversation.values()]
    get_connection().send_messages(letters)
    return found[-1].pk


def _untold(choices: NoticeChoices, after: int) -> list[Message]:
    return unread(choices.user, after) if choices.user.is_active else []


def _letter(choices: NoticeChoices, conversations: Sequence[Sequence[Message]]) -> EmailMessage:
    first, count = conversations[0][0].conversation, sum(map(len, conversations))
    if len(conversations) == 1:
        subject = ngettext("%(n)d message from %(contact)s", "%(n)d messages from %(contact)s", count)
    else:
        subject = ngettext("%(n)d unread message", "%(n)d unread messages", count)
    answerable = (
        len(conversations) == 1
        and choices.mail != choices.Mail.DAILY
        and replies.is_configured()
        and first.contact.answerable
        and (not first.contact.is_group or first.number.sends_to_groups)
    )
    said = [
        "\n".join(
            [
                f"{messages[0].conversation.contact.title} ({messages[0].conversation.number})",
                *(_line(message) for message in messages if choices.shows_text),
                mail.url("conversation", messages[0].conversation_id),
            ]
        )
        for messages in conversations
    ]
    if answerable:
        said.insert(0, replies.ABOVE + _("Write above this line to answer by text message."))
    said.append(_("You choose at %(url)s how you are told.") % {"url": mail.url("notifications")})
    return EmailMessage(
        " ".join((subject % {"n": count, "contact": first.contact.title}).split()),
        "\n\n".join(said),
        to=[choices.user.email],
        reply_to=[replies.address_for(choices.user, first)] if answerable else None,
        headers={"Auto-Submitted": "auto-generated"},
    )


def _line(message: Message) -> str:
    at = date_format(timezone.localtime(message.created_at), "j N, H:i")
    who = f"{message.sender}: " if message.sender else ""
    return f"  {at}  {who}{message.text or wording.excerpt(message)}"


def _finish(choices: NoticeChoices, told_to: int) -> None:
    """Ends the mail; what has come meanwhile is told by the next one."""
    mine = NoticeChoices.objects.filter(pk=choices.pk)
    mine.update(mail_due_at=None, mailed_to=told_to, mail_failures=0)
    if (next_mail := choices.next_mail(timezone.now())) and _untold(choices, told_to):
        mine.filter(mail_due_at=None).update(mail_due_at=next_mail)
