"""The rate limit of the API, PATCHBAY_API_PER_MINUTE, counted in the cache.

The window is fixed, so that a request costs one increment, whatever the number of requests.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:  # REST_FRAMEWORK names this module, so it is imported before the views
    from rest_framework.views import APIView

WINDOW_SECONDS = 60


def count(caller: str) -> int | None:
    """Counts a request; returns the seconds until the next window if the caller has exceeded the limit."""
    if settings.API_PER_MINUTE == 0:
        return None
    window, past = divmod(int(time.time()), WINDOW_SECONDS)
    key = f"api-requests:{caller}:{window}"
    try:
        number = cache.incr(key)
    except ValueError:  # the first request in this window, unless another thread was faster
        number = 1 if cache.add(key, 1, 2 * WINDOW_SECONDS) else cache.incr(key)
    return WINDOW_SECONDS - past if number > settings.API_PER_MINUTE else None


def address(request: Request) -> str:
    """The client's IP address, found as REST_FRAMEWORK's NUM_PROXIES says."""
    return BaseThrottle().get_ident(request) or ""


class UserThrottle(BaseThrottle):
    """Allows PATCHBAY_API_PER_MINUTE requests for each user, with all their tokens together."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        self._seconds = count(f"user-{request.user.pk}")
        return self._seconds is None

    def wait(self) -> float | None:
        return self._seconds
