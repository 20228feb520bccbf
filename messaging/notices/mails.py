"""Mail about what somebody has not seen: at once, after some minutes, or once a day."""

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

from messaging.models import Message, NoticeChoices, Remark
from messaging.notices import replies, wording
from messaging.notices.unread import CONVERSATIONS, MESSAGES, Told, ended, unread
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
            told = _tell(choices)
        except mail.ERRORS as error:
            logger.error("A notice could not be sent by mail: %s.", type(error).__name__)
            minutes = min(RETRY_MINUTES * 2**choices.mail_failures, 24 * 60)
            NoticeChoices.objects.filter(pk=key).update(
                mail_due_at=Now() + timedelta(minutes=minutes), mail_failures=F("mail_failures") + 1
            )
        else:
            _finish(choices, told)


def _tell(choices: NoticeChoices) -> Told:
    """Sends what is unread; returns up to where the user has been told.

    Raises one of `mail.ERRORS`. Each letter is noted before the next, so that it is not sent again then.
    """
    told = Told(choices.mailed_to, choices.remarks_mailed_to)
    messages, over = _untold(choices, told)
    by_conversation: dict[int, list[Message | Remark]] = defaultdict(list)
    unseen: list[Message | Remark] = [*messages, *over]
    for what in unseen:
        if not _was_mailed(choices, what):
            by_conversation[what.conversation_id].append(what)
    if choices.mail == choices.Mail.DAILY or not replies.is_configured():
        letters = [list(by_conversation.values())] if by_conversation else []
    else:  # each can be answered
        letters = [[those] for those in by_conversation.values()]
    if not letters:
        return told.through(messages, over)
    with timezone.override(choices.user.time_zone), get_connection() as connection:
        for number, conversations in enumerate(letters, 1):
            more = number == len(letters) and _may_be_more(messages)
            connection.send_messages([_letter(choices, conversations, more=more)])
            if number < len(letters):
                _note(choices, conversations)
    return told.through(messages, over)


def _note(choices: NoticeChoices, conversations: Sequence[Sequence[Message | Remark]]) -> None:
    """Notes that a letter has told of these."""
    for those in conversations:
        before = Told(*choices.mailed_apart.get(str(those[0].conversation_id), ()))
        texts = [what for what in those if isinstance(what, Message)]
        over = [what for what in those if isinstance(what, Remark)]
        choices.mailed_apart[str(those[0].conversation_id)] = list(before.through(texts, over))
    NoticeChoices.objects.filter(pk=choices.pk).update(mailed_apart=choices.mailed_apart)


def _was_mailed(choices: NoticeChoices, what: Message | Remark) -> bool:
    """Whether a letter has told of it before the mail server broke off."""
    apart = Told(*choices.mailed_apart.get(str(what.conversation_id), ()))
    return what.pk <= (apart.message if isinstance(what, Message) else apart.remark)


def _untold(choices: NoticeChoices, told: Told) -> tuple[list[Message], list[Remark]]:
    if not choices.user.is_active:
        return [], []
    return unread(choices.user, told.message), ended(choices.user, told.remark)


def _may_be_more(messages: Sequence[Message]) -> bool:
    """Whether these are so many that others may have been left out."""
    return len(messages) >= MESSAGES or len({row.conversation_id for row in messages}) >= CONVERSATIONS


def _letter(
    choices: NoticeChoices, conversations: Sequence[Sequence[Message | Remark]], *, more: bool
) -> EmailMessage:
    first = conversations[0][0].conversation
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
                f"{wording.title(those[0].conversation.contact)} ({those[0].conversation.number})",
                *(_line(what) for what in those if choices.shows_text or isinstance(what, Remark)),
                mail.url("conversation", those[0].conversation_id),
            ]
        )
        for those in conversations
    ]
    if answerable:
        said.insert(0, replies.ABOVE + _("Write above this line to answer by text message."))
    if more:
        said.append(
            _("These are the newest. See in your inbox what else is unread: %(url)s")
            % {"url": mail.url("inbox")}
        )
    said.append(_("You choose at %(url)s how you are told.") % {"url": mail.url("notifications")})
    return EmailMessage(
        " ".join(_subject(conversations).split()),
        "\n\n".join(said),
        to=[choices.user.email],
        reply_to=[replies.address_for(choices.user, first)] if answerable else None,
        headers={"Auto-Submitted": "auto-generated"},
    )


def _subject(conversations: Sequence[Sequence[Message | Remark]]) -> str:
    contact = wording.title(conversations[0][0].conversation.contact)
    count = sum(isinstance(what, Message) for those in conversations for what in those)
    if not count and len(conversations) == 1:
        return _("The snooze is over: %(contact)s") % {"contact": contact}
    if not count:
        several = len(conversations)
        return ngettext("%(n)d snooze is over", "%(n)d snoozes are over", several) % {"n": several}
    if len(conversations) == 1:
        subject = ngettext("%(n)d message from %(contact)s", "%(n)d messages from %(contact)s", count)
    else:
        subject = ngettext("%(n)d unread message", "%(n)d unread messages", count)
    return subject % {"n": count, "contact": contact}


def _line(what: Message | Remark) -> str:
    at = date_format(timezone.localtime(what.created_at), "j N, H:i")
    if isinstance(what, Remark):
        return f"  {at}  {_('The snooze is over.')}"
    who = f"{what.sender}: " if what.sender else ""
    return f"  {at}  {who}{what.text or wording.excerpt(what)}"


def _finish(choices: NoticeChoices, told: Told) -> None:
    """Ends the mail; what has come meanwhile is told by the next one."""
    mine = NoticeChoices.objects.filter(pk=choices.pk)
    mine.update(
        mail_due_at=None,
        mailed_to=told.message,
        remarks_mailed_to=told.remark,
        mailed_apart={},
        mail_failures=0,
    )
    if (next_mail := choices.next_mail(timezone.now())) and any(_untold(choices, told)):
        mine.filter(mail_due_at=None).update(mail_due_at=next_mail)
