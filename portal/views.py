"""The front door and the health of the installation."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.cache import caches
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect


@login_required
def home(request: HttpRequest) -> HttpResponseBase:
    """Leads to the admin or to the inbox, whichever the person works in."""
    return redirect("admin:index" if request.user.is_staff else "inbox")


def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the process serves; it asks nobody."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database answers, else 503. Without the broker Patchbay goes on, a little slower."""
    parts = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        parts["database"] = "ok"
    except Exception as error:
        parts["database"] = f"does not answer: {type(error).__name__}"
    try:
        caches["broker"].get("readyz")
        parts["cache"] = "ok"
    except Exception as error:
        parts["cache"] = f"does not answer: {type(error).__name__}"
    return JsonResponse(parts, status=200 if parts["database"] == "ok" else 503)
