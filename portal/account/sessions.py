"""The sessions of people: noted while they are used, listed, and ended, also when nobody uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, user_logged_in
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
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
CHECKED_SECONDS = 60
LISTED = 50


View = TypeVar("View", bound=Callable[..., Any])


def unattended(view: View) -> View:
    """Marks a view that open pages ask by themselves, by GET: that is no sign that somebody is there."""
    view.is_unattended = True  # type: ignore[attr-defined]
    return view


class Seen:
    """Notes that somebody used a session, once in five minutes, and ends it when nobody has for IDLE_HOURS.

    What open pages ask by themselves does not count: otherwise a computer that somebody has left, with the
    inbox open, would stay signed in. For them one look a minute tells whether the session goes on.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = getattr(getattr(request, "session", None), "session_key", None)
        was_used = key is not None and cache.get(_seen(key)) is not None
        if key is not None and not was_used:
            _end_if_idle(key, request)
        response = self._get_response(request)
        # A request without a cookie sends no query.
        if not was_used and getattr(request, "is_attended", False):
            key = request.session.session_key
            if key and isinstance(request.user, User):
                _note_now_and_then(key, request.user, request)
        return response

    def process_view(self, request: HttpRequest, view: Any, *_more: Any) -> None:
        asks_by_itself = request.method == "GET" and getattr(view, "is_unattended", False)
        request.is_attended = hasattr(request, "session") and not asks_by_itself  # type: ignore[attr-defined]


def _seen(key: str) -> str:
    return f"session-seen:{key}"


def _end_if_idle(key: str, request: HttpRequest) -> None:
    if not settings.IDLE_HOURS or not cache.add(f"session-checked:{key}", True, CHECKED_SECONDS):
        return
    if SeenSession.objects.idle().filter(session=key).exists():
        request.session.flush()
        request.user = AnonymousUser()


@receiver(user_logged_in, dispatch_uid="sessions")
def begun(request: HttpRequest, user: User, **_: object) -> None:
    """Notes a session when somebody signs in."""
    if request.session.session_key:
        _note_now_and_then(request.session.session_key, user, request)


def _note_now_and_then(key: str, user: User, request: HttpRequest) -> None:
    if cache.add(_seen(key), True, NOTED_SECONDS):
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
    rows = SeenSession.objects.filter(user=user, session__expire_date__gt=timezone.now()).in_use()
    found = [
        Listed(row.pk, device(row.browser), row.address, row.since, row.seen_at, row.session_id == current)
        for row in rows.select_related("session").order_by("-seen_at")[:LISTED]
        if _signs_in(row.session, user)
    ]
    return sorted(found, key=lambda item: not item.this)


def lasting(claimed: Iterable[tuple[str, User]]) -> set[tuple[str, int]]:
    """Of the keys of sessions with the users whose they were, those that still sign in that user; one query.

    Returns them with the users' keys.
    """
    pairs = list(claimed)
    rows = Session.objects.filter(pk__in={key for key, _user in pairs}, expire_date__gt=timezone.now())
    idle = Exists(SeenSession.objects.idle().filter(session=OuterRef("pk")))
    sessions = {row.pk: row for row in rows.filter(~idle)}
    return {(key, user.pk) for key, user in pairs if key in sessions and _signs_in(sessions[key], user)}


def _signs_in(session: Session, user: User) -> bool:
    """Whether a session is the user's, and outlived the last change of the password."""
    data = session.get_decoded()
    marked = data.get(HASH_SESSION_KEY, "")
    good = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return (
        user.is_active
        and data.get(SESSION_KEY) == str(user.pk)
        and any(constant_time_compare(marked, digest) for digest in good)
    )


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
