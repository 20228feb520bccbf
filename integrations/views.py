"""The logos of providers, the JSON Schema of templates, and the self test of an integration."""

from __future__ import annotations

import json
from functools import cache

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

from integrations import logos
from integrations import self_test as tests
from integrations.credentials import can_check
from integrations.language.json_schema import schema
from integrations.models import Integration, Template
from portal.administration.base import user_of
from portal.middleware import SANDBOX
from portal.models import Organization, User
from portal.throttling import count

TESTS_PER_MINUTE = 6


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


@require_POST
def self_test(request: HttpRequest, pk: int, template: int) -> HttpResponse:
    """Runs the self test of an organization's integration, and shows the result."""
    reach = Organization.objects.administered_by(user_of(request))
    integration = get_object_or_404(
        Integration.objects.ready().filter(organization__in=reach), organization=pk, template=template
    )
    if (wait := count(f"self-test:{integration.pk}", TESTS_PER_MINUTE)) is not None:
        messages.warning(request, _("It was tested just now. Wait %(seconds)d seconds.") % {"seconds": wait})
    elif problems := tests.run(integration):
        messages.error(request, _("The self test fails. %(reason)s") % {"reason": " ".join(problems)})
    else:
        passed = _("%(provider)s passes the self test.") % {"provider": integration.template}
        unasked = _("The credentials were not checked: the first text shows whether they are right.")
        messages.success(request, passed if can_check(integration) else f"{passed} {unasked}")
    if request.POST.get("back") == "health":
        return redirect("admin:messaging_servicehealth_changelist")
    return redirect(f"{reverse('admin:integrations_setup', args=[pk, template])}#self-test")
