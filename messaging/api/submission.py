"""Messages of a request: whose numbers they go out from, and what becomes of each, many as fast as one."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, TypedDict
from uuid import UUID, uuid4, uuid5

from django.conf import settings
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from messaging import numbers
from messaging.api.exceptions import KEY_REUSED, Problem
from messaging.engine import senders
from messaging.engine.outbox import Submission, Submitted
from messaging.errors import Refused
from messaging.models import Message, Number
from messaging.outbound import enqueue, submit
from messaging.rules import schedule
from messaging.statuses import Status
from portal.models import User

MAX_KEY = 200


class NewMessage(TypedDict):
    """A message as a program wants it sent."""

    sender: str
    to: str | list[str]
    text: str
    send_at: datetime | None


class Accepted(NamedTuple):
    """A message that is on its way, as it is kept; `replayed` if an earlier request with its key sent it."""

    uuid: UUID
    sender: str
    to: str
    text: str
    send_at: datetime | None
    replayed: bool
    # What every request with the key is answered; the message itself says what has become of it since.
    status: Status = Status.QUEUED


def id_of_message(user: User, key: str | None) -> UUID:
    """The id of a new message, one and the same for a key; nobody else can foretell it, and take it first."""
    return uuid4() if key is None else _ids(user, "", [f"{user.pk} {key}"])[0]


def ids_of_batch(user: User, key: str | None, count: int) -> list[UUID]:
    """The ids of the messages of a new batch, as `id_of_message` gives one."""
    if key is None:
        return [uuid4() for _place in range(count)]
    return _ids(user, "batch", [f"{user.pk} {place} {key}" for place in range(count)])


def submit_all(
    user: User, wanted: Sequence[NewMessage | Exception], ids: Sequence[UUID]
) -> list[Accepted | Exception]:
    """What becomes of each message: committed and on its way, or why not; in as few statements as one.

    What is an error already stays so, in its place.
    """
    spelled = {item["sender"] for item in wanted if not isinstance(item, Exception)}
    numbers_of = _senders(user, spelled) if spelled else {}
    impossible = _impossible_times(user, wanted, ids)
    prepared = [
        item
        if isinstance(item, Exception)
        else impossible.get(uuid) or _prepared(user, numbers_of[item["sender"]], item, uuid)
        for item, uuid in zip(wanted, ids, strict=True)
    ]
    complete = [item for item in prepared if isinstance(item, Submission)]
    submitted = iter(zip(complete, enqueue.enqueue_many(complete), strict=True))
    return [_accepted(*next(submitted)) if isinstance(item, Submission) else item for item in prepared]


def _impossible_times(
    user: User, wanted: Sequence[NewMessage | Exception], ids: Sequence[UUID]
) -> dict[UUID, Refused]:
    """Why messages cannot wait for their times; not of those that were taken before, when they could."""
    found = {}
    for item, uuid in zip(wanted, ids, strict=True):
        if not isinstance(item, Exception) and item["send_at"] is not None:
            try:
                schedule.checked(item["send_at"])
            except Refused as refusal:
                found[uuid] = Refused(str(refusal), "send_at")
    if found:
        for uuid in Message.objects.filter(author=user, uuid__in=found).values_list("uuid", flat=True):
            del found[uuid]
    return found


def _senders(user: User, spelled: Collection[str]) -> dict[str, Number | Refused]:
    """The user's number that each text is, by one query; whether it may send is asked at the commit again."""
    found: dict[str, Number | Refused] = {}
    meant: dict[str, str] = {}
    for text in spelled:
        try:
            meant[text] = numbers.parse(text).number
        except ValueError as error:
            found[text] = Refused(str(error), "from")
    mine = defaultdict[str, list[Number]](list)
    for row in senders.of_user(user, set(meant.values())):
        mine[row.number].append(row)
    for text, number in meant.items():
        match mine[number]:
            case [one]:
                found[text] = one
            case []:
                found[text] = enqueue.not_yours()
            case _several:
                said = _("%(number)s is a sender of several of your organizations.") % {"number": number}
                found[text] = Refused(said, "from")
    return found


def _prepared(user: User, sender: Number | Refused, wanted: NewMessage, uuid: UUID) -> Submission | Refused:
    if isinstance(sender, Refused):
        return sender
    try:
        text, send_at = wanted["text"], wanted["send_at"]
        return submit.prepare(user, sender, wanted["to"], text=text, uuid=uuid, send_at=send_at)
    except Refused as refusal:
        return refusal


def _accepted(given: Submission, submitted: Submitted | Exception) -> Accepted | Exception:
    if isinstance(submitted, Exception):
        return submitted
    before = submitted.before
    accepted = Accepted(
        given.uuid,
        given.number.number,
        submitted.address,
        given.text,
        # The time may have been changed since, or be past.
        given.send_at if before is None else before.send_at,
        replayed=before is not None,
    )
    if before is not None and _content(before) != (accepted.sender, accepted.to, accepted.text):
        return Problem(KEY_REUSED, _("Another message was sent with this Idempotency-Key."))
    return accepted


def _content(message: Message) -> tuple[str, str, str]:
    conversation = message.conversation
    return conversation.number.number, conversation.contact.address, message.text


def _ids(user: User, kind: str, names: Sequence[str]) -> list[UUID]:
    """The ids that names lead to; by an older secret key, if a message was sent with that one already."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    ids = [[uuid5(_namespace(kind, secret), name) for secret in secrets] for name in names]
    if len(secrets) == 1:
        return [found for (found,) in ids]
    every = [found for choice in ids for found in choice]
    sent = set(Message.objects.filter(author=user, uuid__in=every).values_list("uuid", flat=True))
    return [next((found for found in choice if found in sent), choice[0]) for choice in ids]


@functools.cache
def _namespace(kind: str, secret: str) -> UUID:
    return UUID(bytes=salted_hmac("messaging.api", kind, secret=secret).digest()[:16])
