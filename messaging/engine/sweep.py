"""The sweep's question: which tasks have work, whatever wake-ups were lost."""

from __future__ import annotations

from itertools import chain

from django.db import connection

from integrations.models import AccessToken, Poll, Subscription
from messaging.engine import due
from messaging.engine.queue import CLAIMED
from messaging.models import Conversation, NoticeChoices, Push
from messaging.receivers import queue as receivers
from messaging.statuses import AttachmentState, EventState
from messaging.wakeups import Task
from portal.database import sql

# How long a part of a text waits for the others, in seconds.
PART_SECONDS = 300


def due_tasks() -> tuple[set[Task], bool]:
    """The tasks that have work, and whether leases have expired, by one indexed query."""
    scheduled = (
        *(AccessToken.objects.due(), Poll.objects.due(), Subscription.objects.due()),
        *(Conversation.objects.waking(), Push.objects.due(), NoticeChoices.objects.due()),
    )
    conditions, parameters = zip(*map(sql.exists, scheduled), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT
            EXISTS (SELECT 1 FROM messaging_message
                    WHERE queue_state = {CLAIMED} AND lease_until < {sql.now()}),
            {due.exists()},
            EXISTS (SELECT 1 FROM messaging_webhookevent WHERE state = '{EventState.WAITING}')
                OR EXISTS (SELECT 1 FROM messaging_webhookevent WHERE state = '{EventState.PART}'
                           AND created_at < {sql.later(f"-{PART_SECONDS}")}),
            EXISTS (SELECT 1 FROM messaging_attachment
                    WHERE state = '{AttachmentState.WAITING}' AND next_attempt_at <= {sql.now()}),
            {", ".join(conditions)},
            EXISTS (SELECT 1 FROM integrations_integration WHERE tell_at <= {sql.now()})
                OR EXISTS (SELECT 1 FROM messaging_receiver WHERE tell_at <= {sql.now()})
                OR EXISTS (SELECT 1 FROM messaging_alert WHERE tell_at <= {sql.now()}),
            {receivers.exists()},
            EXISTS (SELECT 1 FROM messaging_bulkresend WHERE finished_at IS NULL),
            EXISTS (SELECT 1 FROM messaging_erasure WHERE finished_at IS NULL
                    AND (claimed_until IS NULL OR claimed_until < {sql.now()})),
            EXISTS (SELECT 1 FROM messaging_transfer WHERE due_at <= {sql.now()})""",  # noqa: S608 (constants)
            list(chain.from_iterable(parameters)),
        )
        abandoned, *work = cursor.fetchone()
    tasks = (
        Task.DISPATCH_DUE,
        Task.FILE_EVENTS,
        Task.FETCH_MEDIA,
        Task.RENEW_TOKENS,
        Task.POLL_SERVICES,
        Task.RENEW_SUBSCRIPTIONS,
        Task.END_SNOOZES,
        Task.SEND_PUSHES,
        Task.SEND_NOTICE_MAILS,
        Task.SEND_ALERTS,
        Task.DELIVER_EVENTS,
        Task.RESEND,
        Task.ERASE,
        Task.TRANSFER,
    )
    return {task for task, has_work in zip(tasks, work, strict=True) if has_work}, bool(abandoned)
