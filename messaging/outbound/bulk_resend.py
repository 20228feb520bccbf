"""Many messages sent again by an administrator: looked at first, then worked off in chunks by a task."""

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
from portal.models import User

logger = logging.getLogger(__name__)

# At once; and in one transaction, which holds the rows of so many conversations.
MOST = 10_000
CHUNK = 20
# Reasons that are kept, the first ones.
MOST_REASONS = 100


@dataclass
class Prospect:
    """What would become of messages if they were sent again now."""

    failed: list[int] = field(default_factory=list)
    in_doubt: list[int] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)  # how many for which reason


def prospect(messages: QuerySet[Message]) -> Prospect:
    """Looks at no more than MOST of the messages, oldest first, in one query; nothing is sent."""
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
        )[:MOST]
    )
    found = Prospect()
    for key, direction, status, copied, out, active, enabled in rows:
        if reason := _reason(direction, status, copied, out, active, enabled):
            found.refused[reason] = found.refused.get(reason, 0) + 1
        else:
            (found.failed if status == Status.FAILED else found.in_doubt).append(key)
    return found


def _reason(
    direction: str, status: int, copied: bool, opted_out: bool, active: bool, enabled: bool | None
) -> str:
    """Why a message is not sent again; empty: it is. `submit` has the last word."""
    if direction == Direction.IN:
        return _("They came in.")
    if status not in (Status.FAILED, Status.UNKNOWN):
        return _("They arrived, or are on their way.")
    if copied:
        return _("They were sent again before.")
    if opted_out:
        return _("The contact has opted out.")
    if not active:
        return _("The number is switched off.")
    return "" if enabled else _("The number has no service that is switched on.")


def start(author: User, keys: Sequence[int]) -> BulkResend:
    """Has these messages sent again by the task, in their order; the caller has asked whose they are."""
    with transaction.atomic():
        row = BulkResend.objects.create(author=author, wanted=list(keys))
        wakeups.after_commit(Task.RESEND)
    return row


def work_off() -> None:
    """Continues every list that is not finished, until none is left that no process works on."""
    while _next_chunk():
        pass


def _next_chunk() -> bool:
    """Whether there was something to do. A chunk is one transaction: a worker that dies leaves it undone."""
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
                row.refused = [*row.refused, [key, reason]][:MOST_REASONS]
            else:
                row.sent += 1
        row.done += len(keys)
        if row.done >= len(row.wanted):
            row.finished_at = timezone.now()
        row.save(update_fields=["done", "sent", "refused", "finished_at"])
    return True


def _send(message: Message | None) -> str:
    """Why it was not sent again; empty: it was."""
    if message is None:
        return _("It is no longer there.")
    if hasattr(message, "resent_as"):
        return _("It was sent again before.")
    try:
        with transaction.atomic():
            submit.resend_for_author(message)
    except Refused as refusal:
        return str(refusal)
    except (InterfaceError, OperationalError):
        raise  # the database is away, or somebody writes the same rows: the chunk is tried again
    except Exception:
        logger.exception("Message %d could not be sent again.", message.pk)
        return _("It could not be sent again. The server's log says more.")
    return ""
