"""From where something is done: by which user or API token, in which request, or without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import structlog
from django.http import HttpRequest
from django.utils.translation import gettext as _

from portal import callers
from portal.models import PersonalToken, User

_request: ContextVar[HttpRequest | None] = ContextVar("audited_request", default=None)


@dataclass(frozen=True)
class Origin:
    """Who acts, and from where; without a request it is a worker or the command line."""

    actor: User | None
    who: str
    token: str = ""
    address: str = ""
    request_id: str = ""
    anonymous: bool = False


@contextmanager
def within(request: HttpRequest) -> Iterator[None]:
    """Attributes what is recorded meanwhile, in this thread, to the request."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


def current(actor: User | None = None) -> Origin:
    """The origin of what is done now; `actor` is somebody who is only just signing in."""
    request = _request.get()
    if request is None:
        # What a worker does has the name of its task in the log.
        is_task = "task" in structlog.contextvars.get_contextvars()
        nobody = _("background work") if is_task else _("command line")
        return Origin(actor, name_of(actor) if actor else nobody)
    user = getattr(request, "user", None)
    if actor is None and isinstance(user, User):
        # A lazy object otherwise, and for an API token one whose fields have not been read.
        actor = User.objects.get(pk=user.pk) if user.get_deferred_fields() else user
    token = getattr(request, "auth", None)
    return Origin(
        actor,
        name_of(actor) if actor else _("Somebody"),
        token.name if isinstance(token, PersonalToken) else "",
        callers.address_of(request)[:60],
        str(structlog.contextvars.get_contextvars().get("request_id", ""))[:64],
        anonymous=actor is None,
    )


def name_of(user: User) -> str:
    """A person as entries name them, since several may have the same name."""
    return f"{user.name} <{user.email}>" if user.name else user.email
