"""Why a message is refused or fails: sentences for the person who wrote it."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext as _


class Refused(Exception):
    """Why a message was not accepted.

    Instead of a sentence it may hold a function, which is called by whoever reads it: in their language and
    time zone, whichever thread found the reason.
    `member` is the part of the message that is meant, if any: from, to or text.
    """

    def __init__(self, words: str | Callable[[], str], member: str = "") -> None:
        super().__init__(words)
        self._words = words
        self.member = member

    def __str__(self) -> str:
        return self._words if isinstance(self._words, str) else self._words()


class LimitReached(Refused):
    """A limit on how much may be sent; the same message may be accepted later."""


def expired() -> str:
    """Why a message that waited too long is not sent."""
    return _("Not sent before it expired.")


def no_integration() -> str:
    """Why a message without an integration is not sent."""
    return _("The number sends through no provider. Choose one on the number's page.")


def no_groups(provider: str) -> str:
    """Why a message to a group is not sent."""
    return _("%(provider)s cannot send to groups. Write to one of the members.") % {"provider": provider}
