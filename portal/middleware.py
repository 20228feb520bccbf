"""Middleware for all responses, and Django's middleware limited to the pages that need it."""

from __future__ import annotations

import logging
import re
import zoneinfo
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.auth import signals as auth_signals
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.core.cache import cache
from django.core.exceptions import DisallowedHost
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.middleware import common, gzip, locale
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.translation import gettext
from django_htmx import middleware as htmx
from structlog.contextvars import bind_contextvars, clear_contextvars

from portal import callers
from portal.audit import origin

logger = logging.getLogger(__name__)

# Paths that providers and programs call. Middleware that only pages need would take longer than the rest of
# such a request.
MACHINE_PATHS = ("/services/", "/captures/", "/api/", "/media/", "/healthz", "/readyz", "/metrics")

# Answered as templates say.
PROVIDER_PATHS = ("/services/", "/captures/")

ANY_HOST_PATHS = ("/services/", "/healthz", "/readyz", "/metrics")

_ALWAYS = "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
# For files that are opened on their own.
SANDBOX = f"sandbox; default-src 'none'; {_ALWAYS}"
STRICT = f"default-src 'self'; img-src 'self' data: blob:; {_ALWAYS}"
# unfold uses Alpine, which evaluates expressions, and its base template has style elements.
ADMIN = (
    "default-src 'self'; img-src 'self' data:; script-src 'self' 'unsafe-eval'; "
    f"style-src 'self' 'unsafe-inline'; {_ALWAYS}"
)

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")

View = Callable[[HttpRequest], HttpResponse]


@receiver(auth_signals.user_logged_out)
def _has_signed_out(request: HttpRequest, **_: Any) -> None:
    request.has_signed_out = True  # type: ignore[attr-defined]


def pages_only(middleware: type[Any]) -> type[Any]:
    """The middleware, skipped by requests to MACHINE_PATHS."""

    class PagesOnly(middleware):  # type: ignore[misc]
        def __call__(self, request: HttpRequest) -> Any:
            if request.path_info.startswith(MACHINE_PATHS):
                return self.get_response(request)
            return super().__call__(request)

    PagesOnly.__name__ = PagesOnly.__qualname__ = middleware.__name__
    return PagesOnly


SessionMiddleware = pages_only(sessions.SessionMiddleware)
LocaleMiddleware = pages_only(locale.LocaleMiddleware)
CommonMiddleware = pages_only(common.CommonMiddleware)
AuthenticationMiddleware = pages_only(auth.AuthenticationMiddleware)
MessageMiddleware = pages_only(messages.MessageMiddleware)
HtmxMiddleware = pages_only(htmx.HtmxMiddleware)


class InboxGZipMiddleware(gzip.GZipMiddleware):
    """Compresses the pages of the inbox, which phones load on slow lines.

    Their CSRF tokens are masked anew each time, and Django adds noise, so that sizes tell nothing (BREACH).
    """

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if not request.path_info.startswith("/inbox/") or response.streaming:
            return response
        return super().process_response(request, response)


def request_id(get_response: View) -> View:
    """Names the request in the log and in X-Request-ID; a trusted proxy may have named it already."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "") if settings.TRUSTED_PROXIES else ""
        name = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        # Until the thread's next request: Django logs refused requests when this function has returned.
        clear_contextvars()
        bind_contextvars(request_id=name)
        response = get_response(request)
        response.headers["X-Request-ID"] = name
        return response

    return middleware


def security_headers(get_response: View) -> View:
    """Adds nosniff and the content security policy, which is strict except for what unfold needs.

    After signing out, browsers also forget what pages have stored, such as drafts.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        policy = ADMIN if request.path.startswith("/admin/") else STRICT
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        # Sentences are translated; but what providers are answered is written by templates.
        plain = response.get("Content-Type") == "text/plain" and not response.streaming
        if plain and not request.path_info.startswith(PROVIDER_PATHS):
            response.headers["Content-Type"] = "text/plain; charset=utf-8"
        if getattr(request, "has_signed_out", False):
            response.headers["Clear-Site-Data"] = '"storage"'
        return response

    return middleware


def no_store(get_response: View) -> View:
    """Lets nobody keep an answer, neither browsers nor proxies, unless a view says that it is public."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if not {"public", "no-store"} & set(re.findall(r"[\w-]+", response.get("Cache-Control", ""))):
            response.headers["Cache-Control"] = "no-store"
        return response

    return middleware


def known_host(get_response: View) -> View:
    """Responds 400 to a Host header that is not allowed, with one line a minute in the log.

    Health checks come by address, and webhooks are verified by what they say and for PATCHBAY_PUBLIC_URL.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(ANY_HOST_PATHS):
            try:
                request.get_host()
            except DisallowedHost:
                if cache.add("wrong-host", True, 60):
                    host, caller = request.META.get("HTTP_HOST", "")[:100], callers.address_of(request)
                    logger.warning(
                        "The Host header %r from %s is not in PATCHBAY_ALLOWED_HOSTS.", host, caller
                    )
                refusal = HttpResponseBadRequest(
                    "This host name is not served here.\n", content_type="text/plain"
                )
                refusal._has_been_logged = True  # type: ignore[attr-defined]  # Django would log each
                return refusal
        return get_response(request)

    return middleware


def no_null_characters(get_response: View) -> View:
    """Responds 400 to a page's URL with a NUL character, which PostgreSQL does not accept."""

    def middleware(request: HttpRequest) -> HttpResponse:
        has_null = "%00" in request.META.get("QUERY_STRING", "") or "\0" in request.path
        if has_null and not request.path_info.startswith(MACHINE_PATHS):
            return HttpResponseBadRequest("This URL contains a NUL character.", content_type="text/plain")
        return get_response(request)

    return middleware


def no_trace(get_response: View) -> View:
    """Responds 405 to TRACE, which views without a list of methods would take for GET."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method == "TRACE" and not request.path_info.startswith(MACHINE_PATHS):
            return HttpResponse("TRACE is not allowed.\n", status=405, content_type="text/plain")
        return get_response(request)

    return middleware


def audit_origin(get_response: View) -> View:
    """Attributes what the audit records meanwhile to the request."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with origin.within(request):
            return get_response(request)

    return middleware


def sign_in_for_fragments(get_response: View) -> View:
    """Answers htmx with 401 where a page leads to the sign-in form: htmx would draw it inside the page."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if "HTTP_HX_REQUEST" in request.META and (location := response.get("Location")):
            forms = resolve_url(settings.LOGIN_URL), resolve_url("admin:login")
            if urlsplit(location).path in forms:
                text = gettext("You have been signed out.")
                return HttpResponse(f"{text}\n", status=401, content_type="text/plain")
        return response

    return middleware


def time_zone(get_response: View) -> View:
    """Activates the user's time zone for the request, and no longer."""

    def middleware(request: HttpRequest) -> HttpResponse:
        user = getattr(request, "user", None)
        # Without a cookie there is no session to read: a health check sends no query.
        if user is not None and request.COOKIES and user.is_authenticated:
            zone = zoneinfo.ZoneInfo(user.time_zone)
        else:
            zone = None
        with timezone.override(zone):
            return get_response(request)

    return middleware
