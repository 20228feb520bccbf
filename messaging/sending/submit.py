"""Out, first step: what a user wrote is looked at and becomes a row, before anything else happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

from messaging import media, numbers
from messaging.errors import Refused as Refused
from messaging.models import Attachment, Message, Number
from messaging.sending import drafts, uploads
from messaging.sending.draft_rows import Draft
from messaging.statuses import Status
from portal.models import User

MAX_TEXT = 10_000
MAX_FILES = 10


def submit(
    author: User,
    number: Number,
    to: str,
    *,
    text: str = "",
    files: Sequence[UploadedFile[Any]] = (),
    uuid: UUID | None = None,
) -> Message:
    """The message, committed and on its way. Raises Refused; then nothing is stored.

    `uuid` names the message: with one that the author used before, the message of then is returned. Whether
    the author sends through the number is asked here; `number` may have been read a moment before.
    """
    draft = prepare(author, number, to, text=text, files=files, uuid=uuid or uuid4())
    try:
        stored = drafts.store(draft)
    except BaseException:
        media.discard(draft.attachments)
        raise
    if stored.before is not None:
        media.discard(draft.attachments)
    return stored.message


def prepare(
    author: User,
    number: Number,
    to: str,
    *,
    text: str,
    files: Sequence[UploadedFile[Any]] = (),
    uuid: UUID,
) -> Draft:
    """The message as `drafts` store it, looked at but not committed; its files are kept. Raises Refused."""
    # Browsers send line ends as CRLF; phones and the count of segments know LF only.
    text = text.replace("\r\n", "\n").replace("\0", "\ufffd")
    address = _address(number, to)
    if not text.strip() and not files:
        raise Refused(_("Write a text or add a file."), "text")
    if len(text) > MAX_TEXT:
        raise Refused(
            _("The text has %(length)d characters; at most %(most)d can be sent.")
            % {"length": len(text), "most": MAX_TEXT},
            "text",
        )
    if len(files) > MAX_FILES:
        raise Refused(_("At most %(most)d files go with one message.") % {"most": MAX_FILES})
    attachments = _kept(author, number, files) if files else []
    return Draft(uuid, author, number, address, text, attachments)


def resend(author: User, message: Message) -> Message:
    """A new message with the text and files of one that failed or whose fate is unknown. Raises Refused.

    A message is resent once: whoever asks again gets the copy of then. It counts towards no limit again.
    """
    return _copy(message) or _again(message, author, trusted=False)


def resend_for_author(message: Message) -> Message:
    """`resend` by an administrator: in the name of who wrote it, who need not use the number any more.

    What nobody wrote (an automatic answer) stays so. Whether the administrator may is for the caller to ask.
    """
    return _copy(message) or _again(message, message.author, trusted=True)


def _copy(message: Message) -> Message | None:
    return Message.objects.filter(resend_of=message).first()


def _again(message: Message, author: User | None, *, trusted: bool) -> Message:
    if message.direction != Message.Direction.OUT or message.status not in (Status.FAILED, Status.UNKNOWN):
        raise Refused(_("Only a message that failed, or got no answer, can be sent again."))
    number, address = message.conversation.number, message.conversation.contact.address
    copies = [media.copy_of(item) for item in message.attachments.filter(state=Attachment.State.KEPT)]
    draft = Draft(uuid4(), author, number, address, message.text, copies, message, trusted)
    return drafts.store(draft).message


def _address(number: Number, to: str) -> str:
    try:
        address = numbers.parse(to, number.country).number
    except ValueError as error:
        raise Refused(str(error), "to") from None
    if address == number.number:
        raise Refused(_("This is your own number."), "to")
    return address


def _kept(author: User, number: Number, files: Sequence[UploadedFile[Any]]) -> list[Attachment]:
    """The files, if the author may send through the number: they are looked at and kept before the commit."""
    allowed = Number.objects.for_user(author).select_related("integration").filter(pk=number.pk).first()
    if allowed is None:
        raise drafts.not_yours()
    if allowed.integration is None or not allowed.integration.enabled:
        raise drafts.without_service(number)
    return uploads.take(files, allowed.integration.compiled)
