"""The sweep's question: which tasks have work, whatever wake-ups were lost."""

from __future__ import annotations

from django.db import connection

from messaging.engine import due
from messaging.engine.queue import CLAIMED
from messaging.statuses import AttachmentState, EventState
from messaging.wakeups import Task
from portal.database import sql

# How long a part of a text waits for the others, in seconds.
PART_SECONDS = 300


def due_tasks() -> tuple[set[Task], bool]:
    """The tasks that have work, and whether leases have expired, by one indexed query."""
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
            EXISTS (SELECT 1 FROM integrations_accesstoken AS token
                    JOIN integrations_integration AS integration ON integration.id = token.integration_id
                    AND NOT integration.holds_messages
                    AND (integration.enabled OR EXISTS (
                        SELECT 1 FROM integrations_subscription AS subscription
                        WHERE subscription.integration_id = integration.id AND subscribed_at IS NOT NULL))
                    WHERE renew_at <= {sql.now()}
                    AND (lease_until IS NULL OR lease_until < {sql.now()})),
            EXISTS (SELECT 1 FROM integrations_poll JOIN integrations_integration AS integration
                    ON integration.id = integration_id AND integration.enabled
                    AND NOT integration.holds_messages
                    AND (integration.paused_until IS NULL OR integration.paused_until <= {sql.now()})
                    WHERE due_at <= {sql.now()} AND (lease_until IS NULL OR lease_until < {sql.now()})),
            EXISTS (SELECT 1 FROM integrations_subscription JOIN integrations_integration AS integration
                    ON integration.id = integration_id
                    AND NOT (integration.enabled AND integration.holds_messages)
                    WHERE due_at <= {sql.now()} AND (lease_until IS NULL OR lease_until < {sql.now()})),
            EXISTS (SELECT 1 FROM integrations_integration WHERE tell_at <= {sql.now()}),
            EXISTS (SELECT 1 FROM messaging_bulkresend WHERE finished_at IS NULL),
            EXISTS (SELECT 1 FROM messaging_erasure WHERE finished_at IS NULL
                    AND (claimed_until IS NULL OR claimed_until < {sql.now()}))""",  # noqa: S608 (constants)
            [],
        )
        abandoned, *work = cursor.fetchone()
    tasks = (
        Task.DISPATCH_DUE,
        Task.FILE_EVENTS,
        Task.FETCH_MEDIA,
        Task.RENEW_TOKENS,
        Task.POLL_SERVICES,
        Task.RENEW_SUBSCRIPTIONS,
        Task.SEND_ALERTS,
        Task.RESEND,
        Task.ERASE,
    )
    return {task for task, has_work in zip(tasks, work, strict=True) if has_work}, bool(abandoned)
