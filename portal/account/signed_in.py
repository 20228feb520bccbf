"""The type of requests that come from somebody who is signed in."""

from django.http import HttpRequest

from portal.models import User


class SignedIn(HttpRequest):
    """A request as it arrives behind `login_required`."""

    user: User
