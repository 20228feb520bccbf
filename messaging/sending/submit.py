"""Out, first step: what a user wrote becomes a row, committed before anything else happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from messaging import media, numbers, wake
from messaging.errors import Refused as Refused
from messaging.models import Attachment, Contact, Conversation, Message, Number, OptOut
from messaging.rules import sticky
from messaging.sending import limits, uploads
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

    `uuid` names the message: with one that the author used before, the message of then is returned.
    """
    try:
        return _submit(author, number, to, text, files, uuid or uuid4())
    except (Refused, IntegrityError):
        if uuid is not None and (before := _before(author, uuid)):
            return before
        raise


def _submit(
    author: User, number: Number, to: str, text: str, files: Sequence[UploadedFile[Any]], uuid: UUID
) -> Message:
    # Browsers send line ends as CRLF; phones and the count of segments know LF only.
    text = text.replace("\r\n", "\n").replace("\0", "\ufffd")
    number = _usable(Number.objects.for_user(author), number)
    contact = _address(number, to)
    if not text.strip() and not files:
        raise Refused(_("Write a text or add a file."))
    if len(text) > MAX_TEXT:
        raise Refused(
            _("The text has %(length)d characters; at most %(most)d can be sent.")
            % {"length": len(text), "most": MAX_TEXT}
        )
    if len(files) > MAX_FILES:
        raise Refused(_("At most %(most)d files go with one message.") % {"most": MAX_FILES})
    limits.check(author, number)
    assert number.integration is not None
    attachments = uploads.take(files, number.integration.compiled) if files else []
    try:
        return _store(author, number, contact, text, attachments, uuid)
    except BaseException:
        media.discard(attachments)
        raise


def resend(author: User, message: Message) -> Message:
    """A new message with the text and files of one that failed or whose fate is unknown. Raises Refused.

    A message is resent once: whoever asks again gets the copy of then. It counts towards no limit again.
    """
    return _copy(message) or _again(message, author, Number.objects.for_user(author))


def resend_for_author(message: Message) -> Message:
    """`resend` by an administrator: in the name of who wrote it, who need not use the number any more.

    What nobody wrote (an automatic answer) stays so. Whether the administrator may is for the caller to ask.
    """
    return _copy(message) or _again(message, message.author, Number.objects.filter(active=True))


def _copy(message: Message) -> Message | None:
    return Message.objects.filter(resend_of=message).first()


def _again(message: Message, author: User | None, allowed: QuerySet[Number]) -> Message:
    if message.direction != Message.Direction.OUT or message.status not in (Status.FAILED, Status.UNKNOWN):
        raise Refused(_("Only a message that failed, or got no answer, can be sent again."))
    number = _usable(allowed, message.conversation.number)
    contact = _address(number, message.conversation.contact.address)
    copies = [media.copy_of(item) for item in message.attachments.filter(state=Attachment.State.KEPT)]
    try:
        return _store(author, number, contact, message.text, copies, uuid4(), resend_of=message)
    except IntegrityError:
        return Message.objects.get(resend_of=message)  # two pressed at once


def _before(author: User, uuid: UUID) -> Message | None:
    found = Message.objects.filter(uuid=uuid).first()
    if found is not None and found.author_id != author.pk:
        raise Refused(_("This message was sent already. Reload the page and write a new one."))
    return found


def _usable(allowed: QuerySet[Number], number: Number) -> Number:
    """The number with its integration, if it is among those allowed and can send now."""
    found = allowed.select_related("organization", "integration").filter(pk=number.pk).first()
    if found is None:
        raise Refused(_("You do not send through this number (any more)."))
    if found.integration is None or not found.integration.enabled:
        raise Refused(
            _("%(number)s has no service to send through. Ask an administrator to set one up.")
            % {"number": found}
        )
    return found


def _address(number: Number, to: str) -> str:
    try:
        address = numbers.parse(to, number.country).number
    except ValueError as error:
        raise Refused(str(error)) from None
    if address == number.number:
        raise Refused(_("This is your own number."))
    if OptOut.objects.filter(number=number, address=address).exists():
        raise Refused(_("%(contact)s has opted out of messages from this number.") % {"contact": address})
    return address


def _store(
    author: User | None,
    number: Number,
    address: str,
    text: str,
    attachments: Sequence[Attachment],
    uuid: UUID,
    resend_of: Message | None = None,
) -> Message:
    with transaction.atomic():
        conversation, begun = _conversation(number, address)
        if author is not None:
            sticky.written(conversation, author, number, begun=begun)
        message = Message.objects.create(
            uuid=uuid,
            organization=number.organization,
            conversation=conversation,
            integration=number.integration,
            direction=Message.Direction.OUT,
            author=author,
            text=text,
            automatic=resend_of.automatic if resend_of else "",
            resend_of=resend_of,
            expires_at=timezone.now() + settings.MESSAGE_EXPIRY,
        )
        for position, attachment in enumerate(attachments):
            attachment.message, attachment.position = message, position
        Attachment.objects.bulk_create(attachments)
        Conversation.objects.filter(pk=conversation.pk).update(
            last_message=message,
            last_at=Now(),
            private_to=conversation.private_to_id,
            private_until=conversation.private_until,
        )
        wake.after_commit("dispatch")
    return message


def _conversation(number: Number, address: str) -> tuple[Conversation, bool]:
    """The number's conversation with a contact, locked, and whether it begins now."""
    known = Conversation.objects.select_for_update(no_key=True, of=("self",))
    if found := known.filter(number=number, contact__address=address).first():
        return found, False
    contact, _new = Contact.objects.get_or_create(organization=number.organization, address=address)
    return known.get_or_create(number=number, contact=contact, defaults={"organization": number.organization})
