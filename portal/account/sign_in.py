"""How django-allauth signs users in: there is no sign-up."""

from __future__ import annotations

from math import ceil
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from allauth.account import signals
from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.core.exceptions import ValidationError
from django.dispatch import receiver
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from portal import callers, mail
from portal.audit import sign_ins
from portal.models import User
from portal.models.audit_entries import Action
from portal.throttling import SignIn


class Adapter(DefaultAccountAdapter):
    """Closes the sign-up, limits wrong tries, and links to PATCHBAY_PUBLIC_URL, never to the Host header."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        sign_ins.failed(credentials.get("email", ""))

    def get_login_redirect_url(self, request: Any) -> str:
        return "/"

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, str]]:
        """The ways in which somebody shows that it is them, in the words of our pages."""
        words = {
            "mfa_reauthenticate": _("Use a code"),
            "mfa_reauthenticate:webauthn": _("Use a passkey"),
        }
        found = super().get_reauthentication_methods(user)
        return [{**way, "description": words.get(way["id"], way["description"])} for way in found]

    def get_client_ip(self, request: HttpRequest) -> str:
        return callers.address_of(request) or "unknown"

    def is_safe_url(self, url: str | None) -> bool:
        """Whether a sign-in may lead there: only to Patchbay itself."""
        public = urlsplit(settings.PUBLIC_URL)
        return url_has_allowed_host_and_scheme(url, {public.netloc}, require_https=public.scheme == "https")

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Raises ValidationError after too many wrong tries, without looking at the password."""
        if (seconds := SignIn(request, credentials["email"]).count()) is not None:
            sign_ins.failed(credentials["email"], Action.LOCKED_OUT)
            minutes = ceil(seconds / 60)
            raise ValidationError(
                ngettext(
                    "Too many wrong tries. Please try again in %(minutes)d minute.",
                    "Too many wrong tries. Please try again in %(minutes)d minutes.",
                    minutes,
                )
                % {"minutes": minutes}
            )

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        user = super().authenticate(request, **credentials)
        if user is not None:
            SignIn(request, credentials["email"]).succeeded()
        return user

    def get_reset_password_from_key_url(self, key: str) -> str:
        uid, _dash, rest = key.partition("-")
        return settings.PUBLIC_URL + reverse("account_reset_password_from_key", args=[uid, rest])

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        site = SimpleNamespace(name="Patchbay", domain=settings.PUBLIC_URL)
        super().send_mail(template_prefix, email, {"current_site": site, **context})

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """Tells people of changes to their sign-in, which the mail server cannot undo by an error."""
        try:
            super().send_notification_mail(*args, **kwargs)
        except mail.ERRORS as error:
            mail.failed(error)


@receiver(signals.password_reset)
def _knows_the_mailbox(request: HttpRequest, user: User, **_: Any) -> None:
    """Who has just proved that the mailbox is theirs is not locked out by the tries of others."""
    SignIn(request, user.email).remember()
