"""Sends administrators to a provider's consent page, and takes them back."""

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
from integrations.origins import Held
from portal.administration.base import user_of
from portal.models import Organization, User

SESSION_KEY = "oauth"
# The lifetime of an authorization request, and how many of them a session may have.
MINUTES, MAX_PENDING = 30, 5


@require_GET
@login_required
@never_cache
def start(request: HttpRequest, organization: int, template: int) -> HttpResponse:
    """Sends an administrator to the provider, to consent to Patchbay's acting for the organization."""
    reach = Organization.objects.administered_by(user_of(request))
    integration = get_object_or_404(
        Integration.objects.ready(),
        organization__in=reach,
        organization__pk=organization,  # unlike `organization`, it finds nothing for a number without end
        template__pk=template,
    )
    page = redirect("admin:integrations_setup", organization, template)
    access = integration.compiled.grant
    if access is None or not access.by_consent:
        return page
    try:
        authorization = oauth.authorization_request(integration)
    except RenderError as error:
        messages.error(request, str(error))
        return page
    except Held:
        messages.error(request, _("First confirm below where the credentials will be sent."))
        return page
    pending = dict(list(_pending(request).items())[1 - MAX_PENDING :])
    pending[authorization.state] = {
        "integration": integration.pk,
        "user": user_of(request).pk,
        "verifier": authorization.verifier,
        "at": int(time.time()),
    }
    request.session[SESSION_KEY] = pending
    return redirect(authorization.url)


@require_GET
@never_cache
def callback(request: HttpRequest) -> HttpResponse:
    """Takes administrators back from the provider, with an authorization code or an error.

    The state must belong to this session and to the user who is signed in, and is valid once; else 400.
    """
    pending = _pending(request)
    begun = pending.pop(request.GET.get("state", ""), None)
    user = request.user
    if begun is None or not isinstance(user, User) or user.pk != begun["user"]:
        place = {"public_url": settings.PUBLIC_URL}
        return render(request, "integrations/oauth_error.html", place, status=400)
    request.session[SESSION_KEY] = pending
    reach = Organization.objects.administered_by(user)
    integration = get_object_or_404(
        Integration.objects.ready(), pk=begun["integration"], organization__in=reach
    )
    problem, code = _problem(request), request.GET.get("code", "")
    if not problem:
        try:
            problem = oauth.connect(integration, code, begun["verifier"])
        except Held:
            problem = _("First confirm below where the credentials will be sent, then connect again.")
    if problem:
        messages.error(request, _("The integration is not connected. %(problem)s") % {"problem": problem})
    else:
        messages.success(request, _("%(provider)s is connected.") % {"provider": integration.template})
    return redirect("admin:integrations_setup", integration.organization_id, integration.template_id)


def _pending(request: HttpRequest) -> dict[str, dict[str, Any]]:
    """The authorization requests of this session that have not expired, by their state, oldest first."""
    earliest = time.time() - MINUTES * 60
    begun = request.session.get(SESSION_KEY, {})
    return {state: item for state, item in begun.items() if item["at"] > earliest}


def _problem(request: HttpRequest) -> str:
    """The provider's error (RFC 6749, section 4.1.2.1) in plain words, or ""."""
    error = request.GET.get("error", "")
    words = {
        "access_denied": _("Consent was denied at the provider."),
        "temporarily_unavailable": _("The provider is temporarily unavailable. Try again later."),
        "server_error": _("The provider reports an internal error. Try again later."),
        "unauthorized_client": _(
            "The provider does not allow this client to request consent. Check the client's settings there."
        ),
        "invalid_scope": _("The provider does not know the permissions (scope) that the template requests."),
    }
    if not error:
        return "" if request.GET.get("code") else _("The provider sent no authorization code.")
    said = request.GET.get("error_description", "") or error
    return words.get(error) or _("The provider reports: %(said)s") % {"said": said[:300]}
