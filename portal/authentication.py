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
    request on. Raises AuthenticationFailed for an invalid token, and Throttled after too many of these from
    one address.
    """

    def authenticate(self, request: Request) -> tuple[User, PersonalToken] | None:
        scheme, _space, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = PersonalToken.objects.find(token.strip())
        if found is None:
            seconds = throttling.count(throttling.address(request))
            if seconds is not None:
                raise Throttled(seconds)
            raise AuthenticationFailed(_("The token is invalid or has been revoked."))
        found.note_use()
        return found.user, found

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Patchbay"'
