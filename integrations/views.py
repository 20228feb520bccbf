"""The logos of providers, and the JSON Schema of templates."""

from __future__ import annotations

import json
from functools import cache

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from integrations import logos
from integrations.language.json_schema import schema
from integrations.models import Template
from portal.middleware import SANDBOX
from portal.models import User


@require_safe
def logo(request: HttpRequest, pk: int) -> HttpResponse:
    """A provider's logo, for the users of its account; opened on its own, it cannot run scripts."""
    if not isinstance(request.user, User):
        raise Http404
    try:
        body, kind = logos.read(get_object_or_404(Template.objects.seen_by(request.user), pk=pk))
    except OSError:  # it is gone, or its storage does not answer
        raise Http404 from None
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": SANDBOX,
    }
    return HttpResponse(body, content_type=kind, headers=headers)


@require_safe
@cache_control(public=True, max_age=3600)
def template_schema(request: HttpRequest) -> HttpResponse:
    """The JSON Schema of template documents, for anybody's editor."""
    return HttpResponse(_template_schema(), content_type="application/schema+json")


@cache
def _template_schema() -> bytes:
    return json.dumps(schema(), ensure_ascii=False, separators=(",", ":")).encode()
