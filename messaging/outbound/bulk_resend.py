"""Bulk resends by administrators: a preview, and a task that resends the messages in chunks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from messaging import wakeups
from messaging.errors import Refused
from messaging.models import BulkResend, Message, OptOut
from messaging.outbound import submit
from messaging.statuses import Direction, Status
from messaging.wakeups import Task
from portal import audit
from portal.models import User

logger = logging.getLogger(__name__)

MAX_MESSAGES = 10_000
CHUNK = 20  # messages in one transaction, which locks the rows of their conversations
MAX_REASONS = 100  # that are stored


@dataclass
class Preview:
    """Which messages can be resent now, and how many cannot for which reason."""

    failed: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)


def preview(messages: QuerySet[Message]) -> Preview:
    """Checks at most MAX_MESSAGES of the messages, oldest first, in one query, and sends nothing."""
    opted_out = OptOut.objects.filter(
        number=OuterRef("conversation__number"), address=OuterRef("conversation__contact__address")
    )
    copies = Message.objects.filter(resend_of=OuterRef("pk"))
    rows = (
        messages.order_by("pk")
        .annotate(copied=Exists(copies), opted_out=Exists(opted_out))
        .values_list(
            "pk",
            "direction",
            "status",
            "copied",
            "opted_out",
            "conversation__number__active",
            "conversation__number__integration__enabled",
        )[:MAX_MESSAGES]
    )
    found = Preview()
    for key, direction, status, copied, out, active, enabled in rows:
        if reason := _reason(direction, status, copied, out, active, enabled):
            found.refused[reason] = found.refused.get(reason, 0) + 1
        else:
            (found.failed if status == Status.FAILED else found.unknown).append(key)
    return found


def _reason(
    direction: str, status: int, copied: bool, opted_out: bool, active: bool, enabled: bool | None
) -> str:
    """Why a message cannot be resent; empty if it can. `submit` decides in the end."""
    if direction == Direction.IN:
        return _("Inbound messages")
    if status not in (Status.FAILED, Status.UNKNOWN):
        return _("Sent, or still in the queue")
    if copied:
        return _("Already resent")
    if opted_out:
        return _("Contact has opted out")
    if not active:
        return _("Number is switched off")
    return "" if enabled else _("Number has no enabled provider")


def start(author: User, keys: Sequence[int]) -> BulkResend:
    """Starts resending messages in the given order; the caller has checked the author's permission."""
    with transaction.atomic():
        row = BulkResend.objects.create(author=author, wanted=list(keys))
        audit.record_many(audit.Action.RESENT_MANY, Message.objects.filter(pk__in=keys))
        wakeups.after_commit(Task.RESEND)
    return row


def drain() -> None:
    """Continues all unfinished bulk resends, except those that another process is working on."""
    while _next_chunk():
        pass


def _next_chunk() -> bool:
    """Resends a chunk in one transaction, which a crash rolls back; returns whether there was one."""
    with transaction.atomic():
        waiting = BulkResend.objects.select_for_update(skip_locked=True).filter(finished_at=None)
        row = waiting.order_by("pk").first()
        if row is None:
            return False
        keys = row.wanted[row.done : row.done + CHUNK]
        messages = Message.objects.select_related(
            "author", "conversation__number", "conversation__contact", "resent_as"
        ).in_bulk(keys)
        for key in keys:
            if reason := _send(messages.get(key)):
                row.refused = [*row.refused, [key, reason]][:MAX_REASONS]
            else:
                row.sent += 1
        row.done += len(keys)
        if row.done >= len(row.wanted):
            row.finished_at = timezone.now()
        row.save(update_fields=["done", "sent", "refused", "finished_at"])
    return True


def _send(message: Message | None) -> str:
    """Resends a message; returns the reason if that was refused, else an empty text."""
    if message is None:
        return _("The message no longer exists.")
    if hasattr(message, "resent_as"):
        return _("The message has already been resent.")
    try:
        with transaction.atomic():
            submit.resend_for_author(message)
    except Refused as refusal:
        return str(refusal)
    except (InterfaceError, OperationalError):
        raise  # the database is unavailable or the rows are locked: the chunk is retried
    except Exception:
        logger.exception("Message %d could not be resent.", message.pk)
        return _("The message could not be resent. The server's log has the details.")
    return ""
