"""The home page, the page for bad requests, and the health check of a process."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render

from portal.administration.lists import RefusedQuery


@login_required
def home(request: HttpRequest) -> HttpResponseBase:
    """Redirects to the administration, or to the inbox for users without access to it."""
    return redirect("admin:index" if request.user.is_staff else "inbox")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Says what is wrong with the request, if it can."""
    context = {"refusal": exception, "whole": request.path} if isinstance(exception, RefusedQuery) else {}
    return render(request, "400.html", context, status=400)


def out_of_date(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Says that a form cannot be accepted: it was opened before the sign-in, or by another site."""
    return render(request, "403_csrf.html", status=403)


def healthz(request: HttpRequest) -> HttpResponse:
    """Responds 200 while the process serves requests; it checks nothing else."""
    return HttpResponse("ok\n", content_type="text/plain")
