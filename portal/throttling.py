"""How often something may happen, counted in the cache, which all processes share.

The windows are fixed, so that counting costs one increment, whatever the number.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from portal import callers

if TYPE_CHECKING:  # REST_FRAMEWORK names this module, so it is imported before the views
    from rest_framework.views import APIView

MINUTE, HOUR, DAY = 60, 3600, 86_400
WRONG_TOKENS_PER_MINUTE = 30


def count(counter: str, limit: int, seconds: int = MINUTE, times: int = 1) -> int | None:
    """Counts; returns the seconds until the next window if that is more than the limit (0: no limit)."""
    if limit == 0:
        return None
    key, left = _window(counter, seconds)
    try:
        number = cache.incr(key, times)
    except ValueError:  # the first in this window, unless another thread was faster
        number = times if cache.add(key, times, 2 * seconds) else cache.incr(key, times)
    return left if number > limit else None


def take_back(counter: str, seconds: int, times: int = 1) -> None:
    """Undoes a count, unless its window has passed."""
    with suppress(ValueError):
        cache.incr(_window(counter, seconds)[0], -times)


def _window(counter: str, seconds: int) -> tuple[str, int]:
    window, past = divmod(int(time.time()), seconds)
    return f"count:{counter}:{seconds}:{window}", seconds - past


class UserThrottle(BaseThrottle):
    """Allows PATCHBAY_API_PER_MINUTE requests for each user, with all their tokens together."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        self._seconds = count(f"api:{request.user.pk}", settings.API_PER_MINUTE)
        return self._seconds is None

    def wait(self) -> float | None:
        return self._seconds


def wrong_token(request: HttpRequest) -> int | None:
    """Counts a try with wrong credentials; returns the seconds to wait after too many from one address."""
    return count(f"wrong-token:{callers.network_of(request)}", WRONG_TOKENS_PER_MINUTE)


class SignIn:
    """The tries to sign in with an e-mail address from the caller's address.

    A try counts before the password is checked, so that many at once are no way around, and is taken back if
    the password is right. Whoever tries one account from one address, or many accounts from one address, is
    locked out alone. Tries from many addresses lock an account for addresses from which its user has not
    signed in before: a stranger can keep nobody out of a place where they are known.
    """

    FROM_ADDRESS = (30, 600)
    ON_ACCOUNT_FROM_ADDRESS = ((5, 300), (20, HOUR))
    ON_ACCOUNT = (100, HOUR)
    KNOWN_SECONDS = 90 * DAY

    def __init__(self, request: HttpRequest, email: str) -> None:
        network = callers.network_of(request)
        account = hashlib.sha256(email.lower().encode("utf-8", "replace")).hexdigest()
        self._known = f"signed-in:{account}:{network}"
        self._limits = [
            (f"sign-in:{network}", *self.FROM_ADDRESS),
            *((f"sign-in:{account}:{network}", *limit) for limit in self.ON_ACCOUNT_FROM_ADDRESS),
        ]
        if cache.get(self._known) is None:
            self._limits.append((f"sign-in:{account}", *self.ON_ACCOUNT))

    def count(self) -> int | None:
        """Counts a try; returns the seconds to wait if it is one too many."""
        for counter, limit, seconds in self._limits:
            # The first that is exceeded is the last that counts: who is locked out locks nobody else out.
            if (wait := count(counter, limit, seconds)) is not None:
                return wait
        return None

    def succeeded(self) -> None:
        """Takes the try back, and remembers that the user comes from here."""
        for counter, _limit, seconds in self._limits:
            take_back(counter, seconds)
        self.remember()

    def remember(self) -> None:
        """Remembers that the user comes from here."""
        cache.set(self._known, True, self.KNOWN_SECONDS)
