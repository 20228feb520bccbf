"""Who asks through the API: a personal token in `Authorization: Bearer pb_…`."""

from __future__ import annotations

from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from portal import throttling
from portal.models import PersonalToken, User


class PersonalTokenAuthentication(BaseAuthentication):
    """The request acts as the token's user, who is asked of the database each time.

    So whoever revokes a token or deactivates a user stops the next request in every process. Raises
    AuthenticationFailed for a token that is not valid, and Throttled for too many of these from one address.
    """

    def authenticate(self, request: Request) -> tuple[User, PersonalToken] | None:
        scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = PersonalToken.objects.find(token.strip())
        if found is None:
            seconds = throttling.count(throttling.address(request))
            if seconds is not None:
                raise Throttled(seconds)
            raise AuthenticationFailed(_("The token is not valid, or not valid any more."))
        found.note_use()
        return found.user, found

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Patchbay"'
