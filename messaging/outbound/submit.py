"""Out, first step: what a user wrote is checked and committed, before anything else happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import gettext as _

from messaging import media
from messaging.engine.outbox import Submission, Submitted
from messaging.errors import Refused
from messaging.models import Attachment, Contact, Message, Number
from messaging.models.contacts import group_address
from messaging.outbound import enqueue, recipients, uploads
from messaging.outbound.recipients import Recipient
from messaging.statuses import AttachmentState, Direction, Status
from portal import audit
from portal.models import User

MAX_TEXT = 10_000
MAX_FILES = 10


def submit(
    author: User,
    number: Number,
    to: Recipient | Sequence[Recipient],
    *,
    text: str = "",
    files: Sequence[UploadedFile[Any]] = (),
    uuid: UUID | None = None,
    send_at: datetime | None = None,
) -> Message:
    """The message, committed and on its way, or waiting for `send_at`.

    Raises Refused; then nothing is stored.

    It goes `to` a number as the author writes it, to a known contact, which may be a group, or to the group
    of several of these, which begins with it if there is none. `uuid` identifies the message: for one that
    the author has used before, the existing message is returned. Whether the author may send through the
    number is checked here; `number` may have been read before.
    """
    submission = prepare(author, number, to, text=text, files=files, uuid=uuid or uuid4(), send_at=send_at)
    try:
        submitted = enqueue.enqueue(submission)
    except BaseException:
        media.discard(submission.attachments)
        raise
    if submitted.before is not None:
        media.discard(submission.attachments)
    return submitted.message


def submit_each(
    author: User,
    number: Number,
    to: Sequence[Contact],
    *,
    text: str = "",
    files: Sequence[UploadedFile[Any]] = (),
    uuid: UUID,
    send_at: Sequence[datetime | None],
) -> list[Message | Refused]:
    """`submit` to each of several contacts alone, at the time in the same place: what has become of each.

    It takes the same number of queries for any number of contacts.

    Raises Refused for what holds for all of them. `uuid` identifies what was written: who has got it before
    does not get it again.
    """
    first = prepare(author, number, to[0], text=text, files=files, uuid=uuid)
    batch: list[Submission] = []
    try:
        for contact, at in zip(to, send_at, strict=True):
            own, address = uuid5(uuid, contact.address), contact.address
            attachments = uploads.again(first.attachments) if batch else first.attachments
            batch.append(replace(first, uuid=own, address=address, attachments=attachments, send_at=at))
        results = enqueue.enqueue_many(batch)
    except BaseException:
        media.discard(file for each in batch or [first] for file in each.attachments)
        raise
    for given, result in zip(batch, results, strict=True):
        if not isinstance(result, Submitted) or result.before is not None:
            media.discard(given.attachments)
    new = Message.objects.in_bulk(
        [result.key for result in results if isinstance(result, Submitted) and result.before is None]
    )
    found: list[Message | Refused] = []
    for result in results:
        if isinstance(result, Refused):
            found.append(result)
        elif isinstance(result, Exception):
            raise result
        else:
            found.append(result.before or new[result.key])
    return found


def prepare(
    author: User,
    number: Number,
    to: Recipient | Sequence[Recipient],
    *,
    text: str,
    uuid: UUID,
    files: Sequence[UploadedFile[Any]] = (),
    send_at: datetime | None = None,
) -> Submission:
    """A submission to be enqueued, with its files stored. Raises Refused; then nothing is stored."""
    # Browsers send line ends as CRLF; phones and the count of segments know LF only.
    text = text.replace("\r\n", "\n").replace("\0", "\ufffd")
    whom = recipients.addresses(number, to)
    if not text.strip() and not files:
        raise Refused(_("Write a text or add a file."), "text")
    if len(text) > MAX_TEXT:
        raise Refused(
            _("The text has %(length)d characters; the limit is %(most)d.")
            % {"length": len(text), "most": MAX_TEXT},
            "text",
        )
    if len(files) > MAX_FILES:
        raise Refused(_("At most %(most)d files go with one message.") % {"most": MAX_FILES})
    attachments = _stored(author, number, files) if files else []
    members = whom if len(whom) > 1 else ()
    address = group_address(whom)
    return Submission(uuid, author, number, address, text, attachments, send_at=send_at, members=members)


def resend(author: User, message: Message) -> Message:
    """A new message with the text and files of one that failed or is unknown. Raises Refused.

    A message is resent once: a second call returns the first copy. Quotas do not count it again.
    """
    return _copy(message) or _recorded(message, author, trusted=False)


def resend_by_administrator(message: Message) -> Message:
    """`resend` by an administrator, in the name of the author, who need not have the number any more.

    An automatic reply has no author. The caller checks whether the administrator may do this.
    """
    return _copy(message) or _recorded(message, message.author, trusted=True)


def resend_for_author(message: Message) -> Message:
    """`resend_by_administrator` of one of many messages, which the audit records together."""
    return _copy(message) or _again(message, message.author, trusted=True)


def _copy(message: Message) -> Message | None:
    return Message.objects.filter(resend_of=message).first()


@transaction.atomic
def _recorded(message: Message, author: User | None, *, trusted: bool) -> Message:
    copy = _again(message, author, trusted=trusted)
    audit.record(audit.Action.RESENT, message, {_("new message"): ("", str(copy.uuid))})
    return copy


def _again(message: Message, author: User | None, *, trusted: bool) -> Message:
    if message.direction != Direction.OUT or message.status not in (Status.FAILED, Status.UNKNOWN):
        raise Refused(_("Only a message that failed or got no response can be sent again."))
    number, address = message.conversation.number, message.conversation.contact.address
    copies = [media.copy_of(item) for item in message.attachments.filter(state=AttachmentState.KEPT)]
    submission = Submission(uuid4(), author, number, address, message.text, copies, message, trusted)
    return enqueue.enqueue(submission).message


def _stored(author: User, number: Number, files: Sequence[UploadedFile[Any]]) -> list[Attachment]:
    """The files, if the author may send through the number; they are stored before the commit."""
    allowed = Number.objects.for_user(author).select_related("integration").filter(pk=number.pk).first()
    if allowed is None:
        raise enqueue.not_yours()
    if allowed.integration is None or not allowed.integration.enabled:
        raise enqueue.without_integration(number)
    return uploads.take(files, allowed.integration.compiled)
