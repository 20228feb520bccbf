from datetime import datetime
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.urls import reverse

from integrations.signals import credentials_changed
from portal.signals import invitation_accepted, inviting_many, restoring


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = "Messaging"

    def ready(self) -> None:
        from messaging import worker  # noqa: F401  (connects the worker's signals)

        post_migrate.connect(_keep_words, sender=self, dispatch_uid="messaging")
        credentials_changed.connect(_try_again, dispatch_uid="messaging")
        invitation_accepted.connect(_assign, dispatch_uid="messaging")
        inviting_many.connect(_invite, dispatch_uid="messaging")
        restoring.connect(_hold_queue, dispatch_uid="messaging")


def _keep_words(**_: Any) -> None:
    from messaging.models import Message
    from portal.database import text_search

    text_search.repair(Message._meta.db_table, "text")


def _try_again(integration_ids: list[int], **_: Any) -> None:
    from integrations import calls
    from messaging import wakeups
    from messaging.engine import circuit_breaker, queue
    from messaging.inbound import fetch_media
    from messaging.wakeups import Task

    circuit_breaker.close(integration_ids)
    queue.retry_now(integration_ids)
    fetch_media.go_on(integration_ids)
    calls.go_on(integration_ids)
    for task in (Task.DISPATCH_DUE, Task.FETCH_MEDIA, Task.RENEW_TOKENS):
        wakeups.after_commit(task)


def _assign(invitation: Any, user: Any, **_: Any) -> None:
    from messaging.rules import invited

    invited.accepted(invitation, user)


def _invite(inviter: Any, lines: Any, **_: Any) -> str:
    from messaging.transfer import inviting

    return reverse("admin:messaging_transfer_change", args=[inviting.start(inviter, lines).pk])


def _hold_queue(made_at: datetime, send_queued: bool, **_: Any) -> str:
    from messaging.outbound import hold

    return hold.told(hold.waiting() if send_queued else hold.hold(made_at), send_queued)
