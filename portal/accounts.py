"""How django-allauth signs users in: there is no sign-up."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from portal.audit import sign_ins
from portal.audit_entries import Action


class Adapter(DefaultAccountAdapter):
    """Closes the sign-up, since administrators create all users."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:  # too many failures
            sign_ins.failed(credentials.get("email", ""), Action.LOCKED_OUT)
            raise

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        sign_ins.failed(credentials.get("email", ""))

    def get_login_redirect_url(self, request: Any) -> str:
        return "/"
