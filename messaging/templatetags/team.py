"""Template filters that say what people did with a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils.translation import gettext as _

from messaging.inbox.filters import MOST
from messaging.models import Remark
from messaging.templatetags.inbox import until
from portal.models import User

register = template.Library()


@register.filter
def item(values: Mapping[str, Any], name: str) -> Any:
    """What a mapping has under a name."""
    return values.get(name)


@register.filter
def capped(number: int) -> str:
    """A number that is not counted to its end."""
    return f"{MOST - 1}+" if number >= MOST else str(number)


@register.filter
def author(remark: Remark, reader: object) -> str:
    """Who has left a remark, for its reader."""
    if remark.author is None:
        return _("Somebody who has left")
    return _("You") if remark.author == reader else str(remark.author)


@register.filter
def sentence(remark: Remark, reader: object) -> str:
    """What somebody did, in a line."""
    names = {
        "who": author(remark, reader),
        "to": _whom(remark.assignee, reader),
        "time": _time(remark.until),
        "text": remark.text,
    }
    return _words(remark) % names


def _words(remark: Remark) -> str:
    kind = Remark.Kind
    if remark.kind == kind.ASSIGNED and remark.author_id == remark.assignee_id:
        return _("%(who)s took the conversation.")
    if remark.author_id is None and remark.kind in (kind.WOKEN, kind.REOPENED):
        return _("A new text opened the conversation again.")
    words: dict[str, str] = {
        kind.ASSIGNED: _("%(who)s handed the conversation over to %(to)s."),
        kind.RELEASED: _("%(who)s released the conversation."),
        kind.SNOOZED: _("%(who)s snoozed the conversation until %(time)s."),
        kind.OVER: _("The snooze is over."),
        kind.WOKEN: _("%(who)s ended the snooze."),
        kind.CLOSED: _("%(who)s closed the conversation."),
        kind.REOPENED: _("%(who)s reopened the conversation."),
        kind.BLOCKED: _("%(who)s blocked the contact."),
        kind.UNBLOCKED: _("%(who)s unblocked the contact."),
        kind.CONSENT: _("%(who)s recorded that the contact wants messages again: %(text)s"),
        kind.EDITED: _("%(who)s changed what is known of the contact."),
        kind.MERGED: _("%(who)s merged this number with another of the same person."),
        kind.SEPARATED: _("%(who)s separated the numbers of this person."),
    }
    return words.get(remark.kind, "%(text)s")


def _whom(user: User | None, reader: object) -> str:
    if user is None:
        return _("somebody who has left")
    return _("you") if user == reader else str(user)


def _time(moment: datetime | None) -> str:
    return until(moment) if moment else ""
