"""What the broker wakes; each looks at the table for its work."""

from __future__ import annotations

from functools import partial

from celery import shared_task

from integrations import oauth
from messaging import clean_up, wake
from messaging.receiving import fetching, filing
from messaging.sending import alerts, dispatch, resending


@shared_task(name="messaging.dispatch")
def dispatch_due() -> None:
    wake.woken("dispatch")
    dispatch.drain()


@shared_task(name="messaging.file")
def file_waiting() -> None:
    filing.drain(partial(wake.woken, "file"))


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
