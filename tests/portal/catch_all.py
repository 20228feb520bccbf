"""Settings with a single URL pattern, which answers everything: a response from anywhere else shows."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from portal.settings import *  # noqa: F403

ROOT_URLCONF = __name__


@csrf_exempt
def answer(request: HttpRequest) -> HttpResponse:
    """An echo of the request line, with a status that nothing else answers."""
    return HttpResponse(f"{request.method} {request.get_full_path()}", status=418)


urlpatterns = [re_path("", answer)]
