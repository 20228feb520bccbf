"""Mail to people about their own user; its links begin with PATCHBAY_PUBLIC_URL."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.urls import reverse

logger = logging.getLogger(__name__)

# What is raised if a mail cannot be sent: the errors of smtplib are the former. The latter is of domains that
# cannot be written in ASCII, of the mail server or of an address that passed as valid.
ERRORS = (OSError, UnicodeError)


def is_configured() -> bool:
    """Whether mail can be sent; otherwise it would be printed to the log, and no page may promise it."""
    return bool(settings.EMAIL_HOST)


def sender() -> str:
    """Whom mails are from."""
    return str(settings.DEFAULT_FROM_EMAIL)


def url(name: str, *args: Any) -> str:
    """The absolute URL of a page, whatever the Host header of the request says."""
    return f"{settings.PUBLIC_URL}{reverse(name, args=args)}"


def deliver(to: str, subject: str, text: str, connection: BaseEmailBackend | None = None) -> None:
    """Sends a mail, over an open connection if there is one. Raises one of ERRORS."""
    EmailMessage(" ".join(subject.split()), text, to=[to], connection=connection).send()


def send(to: str, subject: str, text: str) -> bool:
    """Sends a mail; returns whether the mail server took it, and logs why not."""
    try:
        deliver(to, subject, text)
    except ERRORS as error:
        failed(error)
        return False
    return True


def failed(error: Exception) -> None:
    """Notes in the log that a mail could not be sent; the error itself may name people."""
    logger.error("A mail could not be sent: %s", type(error).__name__)
