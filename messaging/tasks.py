"""What wake-ups call for. A task carries nothing but "look": the tables say what there is to do."""

from __future__ import annotations

from celery import shared_task

from integrations import oauth, subscriptions
from messaging import alerts, erasure, retention, wakeups
from messaging.inbound import fetch_media as media
from messaging.inbound import file_events as events
from messaging.inbound import poll
from messaging.notices import mails, push, snoozes
from messaging.outbound import bulk_resend, dispatch
from messaging.receivers import deliver
from messaging.transfer import drain as transfers
from messaging.wakeups import Task


@shared_task(name=Task.DISPATCH_DUE)
def dispatch_due() -> None:
    dispatch.drain()


@shared_task(name=Task.FILE_EVENTS)
def file_events() -> None:
    events.drain()


@shared_task(name=Task.FETCH_MEDIA)
def fetch_media() -> None:
    media.drain()


@shared_task(name=Task.RENEW_TOKENS)
def renew_tokens() -> None:
    wakeups.taken(Task.RENEW_TOKENS)
    oauth.renew_due()


@shared_task(name=Task.POLL_SERVICES)
def poll_services() -> None:
    poll.drain()


@shared_task(name=Task.RENEW_SUBSCRIPTIONS)
def renew_subscriptions() -> None:
    wakeups.taken(Task.RENEW_SUBSCRIPTIONS)
    subscriptions.renew_due()


@shared_task(name=Task.SEND_ALERTS)
def send_alerts() -> None:
    wakeups.taken(Task.SEND_ALERTS)
    alerts.send_due()


@shared_task(name=Task.REVIEW_ALERTS)
def review_alerts() -> None:
    alerts.review()


@shared_task(name=Task.END_SNOOZES)
def end_snoozes() -> None:
    wakeups.taken(Task.END_SNOOZES)
    snoozes.tell_due()


@shared_task(name=Task.SEND_PUSHES)
def send_pushes() -> None:
    wakeups.taken(Task.SEND_PUSHES)
    push.send_due()


@shared_task(name=Task.DELIVER_EVENTS)
def deliver_events() -> None:
    deliver.drain()


@shared_task(name=Task.SEND_NOTICE_MAILS)
def send_notice_mails() -> None:
    wakeups.taken(Task.SEND_NOTICE_MAILS)
    mails.send_due()


@shared_task(name=Task.RESEND)
def resend() -> None:
    wakeups.taken(Task.RESEND)
    bulk_resend.drain()


@shared_task(name=Task.ERASE)
def erase() -> None:
    wakeups.taken(Task.ERASE)
    erasure.drain()


@shared_task(name=Task.TRANSFER)
def transfer() -> None:
    wakeups.taken(Task.TRANSFER)
    transfers.drain()


@shared_task(name=Task.EXPIRE_HELD)
def expire_held() -> None:
    dispatch.expire_held()


@shared_task(name=Task.CLEAN_UP)
def clean_up() -> None:
    retention.clean_up()
