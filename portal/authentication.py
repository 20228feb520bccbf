"""Authentication in the API, by an API token in `Authorization: Bearer pb_…`."""

from __future__ import annotations

from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from portal import throttling
from portal.models import PersonalToken, User


class PersonalTokenAuthentication(BaseAuthentication):
    """Authenticates a request as the token's user, both read from the database each time.

    A token that is revoked, or whose user is deactivated, is therefore refused in every process from the next
    request on. Raises AuthenticationFailed for an invalid token, and Throttled after too many wrong
    credentials, of whatever scheme, from one address.
    """

    def authenticate(self, request: Request) -> tuple[User, PersonalToken] | None:
        if not (credentials := request.META.get("HTTP_AUTHORIZATION", "")):
            return None
        scheme, _space, token = credentials.partition(" ")
        is_bearer = scheme.lower() == "bearer"
        if is_bearer and (found := PersonalToken.objects.find(token.strip())):
            found.note_use()
            return found.user, found
        # Only wrong credentials are counted: right ones cost nothing, and others' guesses do not stop them.
        if (seconds := throttling.wrong_token(request)) is not None:
            raise Throttled(seconds)
        if is_bearer:
            raise AuthenticationFailed(_("The token is invalid or has been revoked."))
        return None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Patchbay"'
