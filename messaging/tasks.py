"""What the broker wakes; each looks at the table for its work."""

from __future__ import annotations

from celery import shared_task

from integrations import oauth
from messaging import clean_up, wake
from messaging.receiving import fetching
from messaging.sending import alerts, resending


@shared_task(name="messaging.fetch_media")
def fetch_media() -> None:
    wake.woken("fetch_media")
    fetching.drain()


@shared_task(name="messaging.renew_tokens")
def renew_tokens() -> None:
    wake.woken("renew_tokens")
    oauth.renew_due()


@shared_task(name="messaging.tell_admins")
def tell_admins() -> None:
    wake.woken("tell_admins")
    alerts.tell_due()


@shared_task(name="messaging.resend")
def resend_many() -> None:
    wake.woken("resend")
    resending.work_off()


@shared_task(name="messaging.clean_up")
def clean_up_old() -> None:
    clean_up.run()
