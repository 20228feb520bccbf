"""The sessions of people: noted while they are used, listed, and ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth import HASH_SESSION_KEY, user_logged_in
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from portal import callers
from portal.account import browsers
from portal.models import SeenSession, User

NOTED_SECONDS = 300
LISTED = 50


def seen(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Notes that a session was used, at most once in five minutes."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        session = getattr(request, "session", None)
        # A request without a cookie sends no query.
        if session is not None and session.session_key and isinstance(request.user, User):
            _note_now_and_then(session.session_key, request.user, request)
        return response

    return middleware


@receiver(user_logged_in, dispatch_uid="sessions")
def begun(request: HttpRequest, user: User, **_: object) -> None:
    """Notes a session when somebody signs in."""
    if request.session.session_key:
        _note_now_and_then(request.session.session_key, user, request)


def _note_now_and_then(key: str, user: User, request: HttpRequest) -> None:
    if cache.add(f"session-seen:{key}", True, NOTED_SECONDS):
        _note(key, user, request)


def _note(key: str, user: User, request: HttpRequest) -> None:
    now = {
        "browser": request.META.get("HTTP_USER_AGENT", "")[:200].replace("\0", ""),
        "address": callers.address_of(request),
    }
    noted = SeenSession.objects.filter(session=key, user=user).update(seen_at=Now(), **now)
    if noted or not Session.objects.filter(pk=key).exists():
        return
    try:
        with transaction.atomic():
            SeenSession.objects.update_or_create(session_id=key, defaults={"user": user, **now})
    except IntegrityError:  # it has just ended
        pass


@dataclass(frozen=True)
class Listed:
    """A session as its user sees it."""

    pk: int
    device: str
    address: str
    since: datetime
    seen_at: datetime
    this: bool


def of(user: User, current: str | None) -> list[Listed]:
    """The sessions in which the user is signed in, this one first; at most 50."""
    rows = SeenSession.objects.filter(user=user, session__expire_date__gt=timezone.now())
    good = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    found = [
        Listed(row.pk, device(row.browser), row.address, row.since, row.seen_at, row.session_id == current)
        for row in rows.select_related("session").order_by("-seen_at")[:LISTED]
        if _is_good(row.session, good)
    ]
    return sorted(found, key=lambda item: not item.this)


def _is_good(session: Session, good: list[str]) -> bool:
    """Whether the session outlived the last change of the password."""
    marked = session.get_decoded().get(HASH_SESSION_KEY, "")
    return any(constant_time_compare(marked, digest) for digest in good)


def end(user: User, pk: int | None, current: str | None) -> int:
    """Ends one session of the user, or with None all but the current one; returns how many ended."""
    rows = SeenSession.objects.filter(user=user)
    rows = rows.filter(pk=pk) if pk is not None else rows.exclude(session=current)
    keys = list(rows.values_list("session_id", flat=True))
    for key in keys:
        SessionStore(key).delete()
    return len(keys)


def device(agent: str) -> str:
    """What a browser says of itself in two words, such as “Firefox, Windows”."""
    return ", ".join(filter(None, browsers.read(agent))) or _("Unknown device")
