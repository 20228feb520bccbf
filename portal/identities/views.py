"""The two pages of a sign-in with an identity provider: there, and back."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from portal.identities.sign_in import Exchange


@require_GET
def login(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Leads to the provider; from other sites only to the form, so that they sign nobody in."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return redirect("account_login")
    return _answer(OAuth2LoginView, request, provider_id)


@require_GET
def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Signs in whom the provider sends back, if the state is of this browser and the answer is good."""
    return _answer(OAuth2CallbackView, request, provider_id)


def _answer(view: Any, request: HttpRequest, provider_id: str) -> HttpResponse:
    if provider_id not in {item.key for item in settings.IDENTITY_PROVIDERS}:
        raise Http404
    exchange = Exchange(request, provider_id)
    try:
        answer: HttpResponse = view.adapter_view(exchange)(request)
    except OAuth2Error as error:  # which django-allauth expects from some of its steps only
        answer = render_authentication_error(request, exchange.get_provider(), exception=error)
    return answer
