"""What the open inbox needs to tell of texts."""

from __future__ import annotations

from typing import Any

from django import template

from messaging.notices import devices, push, wording
from messaging.notices.unread import newest

register = template.Library()


@register.inclusion_tag("notices/_bars.html", takes_context=True)
def notices(context: dict[str, Any]) -> dict[str, Any]:
    """The bars that say what is wrong with the connection, or offer notices."""
    request = context["request"]
    return {
        "sound": wording.choices_of(request.user).sound,
        "push_key": push.public_key() if push.is_possible() else "",
        "mark": devices.mark_of(request.session.session_key),
        "newest": newest(request.user),
        "csrf_token": context.get("csrf_token"),
    }
