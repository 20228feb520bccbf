"""The way to a service's consent page, and back from it."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from integrations import oauth
from integrations.language.errors import RenderError
from integrations.models import Integration
from portal.admin_base import user_of
from portal.models import Organization, User

SESSION_KEY = "oauth"
MINUTES, MOST = 30, 5  # how long, and how many consents of a session may be under way


@require_GET
@login_required
@never_cache
def start(request: HttpRequest, organization: int, template: int) -> HttpResponse:
    """Sends an administrator to the service, to consent that Patchbay acts for the organization."""
    reach = Organization.objects.administered_by(user_of(request))
    integration = get_object_or_404(
        Integration.objects.ready(), organization__in=reach, organization=organization, template=template
    )
    page = redirect("admin:integrations_setup", organization, template)
    access = integration.compiled.oauth
    if access is None or access.flow != "authorization_code":
        return page
    try:
        authorization = oauth.authorization_request(integration)
    except RenderError as error:
        messages.error(request, str(error))
        return page
    under_way = dict(list(_under_way(request).items())[1 - MOST :])
    under_way[authorization.state] = {
        "integration": integration.pk,
        "user": user_of(request).pk,
        "verifier": authorization.verifier,
        "at": int(time.time()),
    }
    request.session[SESSION_KEY] = under_way
    return redirect(authorization.url)


@require_GET
@never_cache
def callback(request: HttpRequest) -> HttpResponse:
    """Where services send administrators back to, with a code or with what went wrong.

    The state must be of this session, of the person who is signed in, and is good once; else 400.
    """
    under_way = _under_way(request)
    begun = under_way.pop(request.GET.get("state", ""), None)
    user = request.user
    if begun is None or not isinstance(user, User) or user.pk != begun["user"]:
        place = {"public_url": settings.PUBLIC_URL}
        return render(request, "integrations/consent_refused.html", place, status=400)
    request.session[SESSION_KEY] = under_way
    reach = Organization.objects.administered_by(user)
    integration = get_object_or_404(
        Integration.objects.ready(), pk=begun["integration"], organization__in=reach
    )
    problem, code = _problem(request), request.GET.get("code", "")
    if not problem:
        problem = oauth.connect(integration, code, begun["verifier"])
    if problem:
        messages.error(request, _("Not connected. %(problem)s") % {"problem": problem})
    else:
        messages.success(request, _("%(service)s is connected.") % {"service": integration.template})
    return redirect("admin:integrations_setup", integration.organization_id, integration.template_id)


def _under_way(request: HttpRequest) -> dict[str, dict[str, Any]]:
    """The consents that this session began and that are not over, by their state, oldest first."""
    earliest = time.time() - MINUTES * 60
    begun = request.session.get(SESSION_KEY, {})
    return {state: item for state, item in begun.items() if item["at"] > earliest}


def _problem(request: HttpRequest) -> str:
    """What the service says went wrong (RFC 6749, section 4.1.2.1), in plain words."""
    error = request.GET.get("error", "")
    words = {
        "access_denied": _("The consent was refused at the service."),
        "temporarily_unavailable": _("The service is busy. Try again in a while."),
        "server_error": _("Something broke at the service. Try again in a while."),
        "unauthorized_client": _(
            "The service does not let this client ask for consent: look at its settings there."
        ),
        "invalid_scope": _("The service does not know the permissions that the template asks for."),
    }
    if not error:
        return "" if request.GET.get("code") else _("The service sent no code.")
    said = request.GET.get("error_description", "") or error
    return words.get(error) or _("The service says: %(said)s") % {"said": said[:300]}
