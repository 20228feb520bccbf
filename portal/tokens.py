"""Tokens of programs: whoever shows one acts as its user, and may do what the user may at that moment."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db.models.functions import Now
from django.utils import timezone

from portal.models import PersonalToken, User

PREFIX = "pb_"
MOST = 50  # of one user
NOTED_EVERY = timedelta(minutes=5)
_LENGTH = len(PREFIX) + 43
_SHOWN = len(PREFIX) + 5


def make(user: User, name: str) -> str:
    """A new token of the user; nobody can ask for it a second time. The name is not in use yet."""
    token = PREFIX + secrets.token_urlsafe(32)
    PersonalToken.objects.create(user=user, name=name, digest=_digest(token), beginning=token[:_SHOWN])
    return token


def user_of(token: str) -> User | None:
    """Whose token it is, if they may sign in. Notes when it was used last."""
    if len(token) != _LENGTH or not token.startswith(PREFIX):
        return None
    return _look_up(_digest(token))


def _look_up(digest: str) -> User | None:
    found = PersonalToken.objects.filter(digest=digest, user__is_active=True).select_related("user").first()
    if found is None:
        return None
    if found.last_used_at is None or found.last_used_at < timezone.now() - NOTED_EVERY:
        # Without a signal, which would have the process forget what it knows.
        PersonalToken.objects.filter(pk=found.pk).update(last_used_at=Now())
    return found.user


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
