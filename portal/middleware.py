"""Headers of every answer, how htmx is told that a session has ended, and the time zone of the viewer."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.translation import gettext

from portal import doors

_ALWAYS = "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
STRICT = f"default-src 'self'; img-src 'self' data: blob:; {_ALWAYS}"
# unfold's Alpine evaluates expressions, and its skeleton carries style elements.
ADMIN = (
    "default-src 'self'; img-src 'self' data:; script-src 'self' 'unsafe-eval'; "
    f"style-src 'self' 'unsafe-inline'; {_ALWAYS}"
)

# What the doors' own answers carry.
SAFE = {"content-security-policy": STRICT, "x-content-type-options": "nosniff"}

View = Callable[[HttpRequest], HttpResponse]


def security_headers(get_response: View) -> View:
    """Adds nosniff and the content security policy: strict everywhere, and what unfold needs in the admin."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        policy = ADMIN if request.path.startswith("/admin/") else STRICT
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response

    return middleware


def short_way(get_response: View) -> View:
    """Leads services and programs to their doors where `portal.asgi` does not: in tests, by `runserver`."""

    def middleware(request: HttpRequest) -> HttpResponse:
        door = doors.of(request.path_info)
        if door is None:
            return get_response(request)
        body = request.read(door.MAX_BODY + 1)
        asked = doors.Asked(
            method=request.method or "",
            path=request.path_info,
            mount=request.META.get("SCRIPT_NAME", ""),
            query=request.META.get("QUERY_STRING", ""),
            headers={name.lower(): value for name, value in request.headers.items()},
            ip=request.META.get("REMOTE_ADDR", ""),
            body=body if len(body) <= door.MAX_BODY else None,
        )
        found = doors.at_once(door.answer(asked))
        response = HttpResponse(found.body, status=found.status, headers=found.headers)
        # Spares a line in Django's log: what is refused is told or counted, or kept with the reason.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response

    return middleware


def no_null_characters(get_response: View) -> View:
    """Answers 400 to an address with a NUL, which PostgreSQL compares with nothing."""

    def middleware(request: HttpRequest) -> HttpResponse:
        odd = "%00" in request.META.get("QUERY_STRING", "") or "\0" in request.path
        if odd:
            return HttpResponseBadRequest("This address holds a NUL character.", content_type="text/plain")
        return get_response(request)

    return middleware


def sign_in_for_fragments(get_response: View) -> View:
    """Answers htmx with 401 where a page leads to the sign-in form: htmx would draw it inside the page."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if "HX-Request" in request.headers and (location := response.get("Location")):
            forms = resolve_url(settings.LOGIN_URL), resolve_url("admin:login")
            if urlsplit(location).path in forms:
                text = gettext("You have been signed out.")
                return HttpResponse(f"{text}\n", status=401, content_type="text/plain")
        return response

    return middleware


def time_zone(get_response: View) -> View:
    """Shows times in the zone of who is signed in; the thread keeps no zone for whom it works for next."""

    def middleware(request: HttpRequest) -> HttpResponse:
        user = getattr(request, "user", None)
        # The session is read only where there is one: a webhook or a health check asks the database nothing.
        if user is not None and request.COOKIES and user.is_authenticated:
            zone = zoneinfo.ZoneInfo(user.time_zone)
        else:
            zone = None
        with timezone.override(zone):
            return get_response(request)

    return middleware
