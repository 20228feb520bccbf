"""Retention: what is older than an account keeps it is deleted, every night and in small batches."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from integrations.studio import captures
from integrations.studio.example import kept as pasted
from messaging import media
from messaging.inbound import delivery_reports
from messaging.models import (
    Attachment,
    Contact,
    Conversation,
    DeliveryAttempt,
    Message,
    OutgoingEvent,
    Remark,
    WebhookEvent,
    WebhookRequest,
)
from messaging.statuses import AttachmentState, EventState, QueueState
from portal.database import text_search
from portal.models import Account, AuditEntry, Invitation

BATCH = 500


def clean_up() -> None:
    """Deletes what is older than its account, or else the installation, keeps it; and what has ended."""
    delivery_reports.release_all()
    for days, accounts in _accounts_by("webhook_days", settings.WEBHOOK_DAYS).items():
        _delete(_webhooks(days, accounts))
        old = Q(created_at__lt=Now() - timedelta(days=days), receiver__account__in=accounts)
        _delete(OutgoingEvent.objects.filter(old, due_at=None))
    for days, accounts in _accounts_by("attempt_days", settings.ATTEMPT_DAYS).items():
        old = Q(started_at__lt=Now() - timedelta(days=days), organization__account__in=accounts)
        _delete(DeliveryAttempt.objects.filter(old))
    for days, accounts in _accounts_by("file_days", settings.FILE_DAYS).items():
        _delete_files(_messages(days, accounts))
    for days, accounts in _accounts_by("message_days", settings.MESSAGE_DAYS).items():
        for _counts in delete_messages(_messages(days, accounts)):
            pass
        old = Q(created_at__lt=Now() - timedelta(days=days), organization__account__in=accounts)
        _delete(Remark.objects.filter(old))
        _delete_conversations(days, accounts)
    for days, accounts in _accounts_by("audit_days", settings.AUDIT_DAYS).items():
        AuditEntry.objects.filter(account__in=accounts).expire(timezone.now() - timedelta(days=days))
    if settings.AUDIT_DAYS:  # what operators did belongs to no account
        before = timezone.now() - timedelta(days=settings.AUDIT_DAYS)
        AuditEntry.objects.filter(account=None).expire(before)
    Invitation.objects.filter(created_at__lt=timezone.now() - Invitation.KEPT).delete()
    SessionStore.clear_expired()
    captures.expire()
    pasted.expire()
    text_search.forget(Message._meta.db_table)


def delete_messages(messages: QuerySet[Message]) -> Iterator[Counter[str]]:
    """Deletes messages with their files and delivery attempts; yields how many of each, batch by batch."""
    while keys := list(messages.values_list("pk", flat=True)[:BATCH]):
        counts: Counter[str] = Counter()
        # What is being fetched at this moment is discarded by who fetches it.
        waiting = Attachment.objects.filter(message__in=keys, state=AttachmentState.WAITING)
        waiting.update(state=AttachmentState.DELETED)
        # First the files: what a crash leaves is found again by its row.
        counts["files"] += _discard(Attachment.objects.filter(message__in=keys))
        counts["attempts"] += DeliveryAttempt.objects.filter(message__in=keys).delete()[0]
        Message.objects.filter(pk__in=keys).delete()
        counts["messages"] += len(keys)
        yield counts


def _accounts_by(field: str, default: int) -> dict[int, list[int]]:
    """The accounts that keep something for so many days, without those that keep it for ever."""
    found: dict[int, list[int]] = defaultdict(list)
    for account, days in Account.objects.values_list("pk", field):
        if kept := default if days is None else days:
            found[kept].append(account)
    return found


def _webhooks(days: int, accounts: Collection[int]) -> QuerySet[WebhookRequest]:
    waiting = WebhookEvent.objects.filter(
        Q(state=EventState.WAITING)
        | Q(
            state=EventState.ORPHAN,
            created_at__gt=Now() - timedelta(hours=delivery_reports.ORPHAN_HOURS),
        )
    )
    old = WebhookRequest.objects.filter(received_at__lt=Now() - timedelta(days=days), account__in=accounts)
    return old.exclude(pk__in=waiting.values("request"))


def _messages(days: int, accounts: Collection[int]) -> QuerySet[Message]:
    """Messages that nobody sends any more, and whose files no provider may still fetch."""
    return Message.objects.filter(
        created_at__lt=Now() - timedelta(days=days),
        expires_at__lt=Now() - timedelta(hours=media.LINK_HOURS),
        organization__account__in=accounts,
        queue_state=QueueState.DONE,
    )


def _delete(rows: QuerySet[Any]) -> None:
    while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.model.objects.filter(pk__in=keys).delete()


def _delete_files(messages: QuerySet[Message]) -> None:
    kept = Attachment.objects.filter(message__in=messages).exclude(state=AttachmentState.DELETED)
    while keys := list(kept.values_list("pk", flat=True)[:BATCH]):
        batch = Attachment.objects.filter(pk__in=keys)
        _discard(batch)
        batch.update(state=AttachmentState.DELETED, file="", name="", source_url="", problem="")


def _discard(attachments: QuerySet[Attachment]) -> int:
    """Deletes the stored files, but for those that a message shares with the one that it was resent as."""
    named = list(attachments.exclude(file=""))
    messages = {item.message_id for item in named}
    others = Attachment.objects.filter(
        Q(message__resend_of__in=messages) | Q(message__resent_as__in=messages)
    ).exclude(pk__in=[item.pk for item in named])
    shared = set(others.values_list("file", flat=True))
    for item in named:
        if item.file.name not in shared:
            item.file.delete(save=False)
    return len(named)


def _delete_conversations(days: int, accounts: Collection[int]) -> None:
    """Conversations without messages, and contacts who then have neither a conversation nor a name."""
    empty = Conversation.objects.filter(
        last_message=None,
        messages=None,
        last_at__lt=Now() - timedelta(days=days),
        organization__account__in=accounts,
    )
    while found := list(empty.values_list("pk", "contact")[:BATCH]):
        Conversation.objects.filter(pk__in=[pk for pk, _ in found]).delete()
        contacts = [contact for _, contact in found]
        members = list(Contact.objects.filter(groups__in=contacts).values_list("pk", flat=True))
        forget_nobodies(contacts)
        forget_nobodies(members)


def forget_nobodies(contacts: Collection[int]) -> None:
    """Deletes those of the contacts of whom nothing is known, and who are in no conversation and no group."""
    unknown = Contact.objects.filter(name="", company="", note="", tags=None, blocked_at=None, merged=None)
    unknown.filter(pk__in=contacts, conversations=None, groups=None).delete()
