"""Whoever must have a second factor sets one up before anything else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from portal.account.second_factors import has_one, of_users
from portal.account.signed_in import SignedIn
from portal.models import Membership, User

# What one needs to set one up, or to sign out instead.
OPEN = {
    "second_factor",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "account_reauthenticate",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
    "account_logout",
    "admin:logout",
}
# The same for everybody: what makes the inbox an app, and the icon.
OPEN_PATHS = ("/app/", "/favicon.ico")
_GOES_ON = "after_second_factor"  # in the session: the page that one wanted


class SecondFactorFirst:
    """Leads to the page that sets one up, from every page and form; open pages are told by HX-Redirect.

    Programs with API tokens go on, since they come without a session.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        user = getattr(request, "user", None)
        # Without a cookie there is no session to read.
        if user is None or not request.COOKIES or not isinstance(user, User):
            return None
        if request.path_info.startswith(OPEN_PATHS) or not is_missing(user):
            return None
        request.second_factor_is_missing = True  # type: ignore[attr-defined]  # for the head of the page
        if request.resolver_match is not None and request.resolver_match.view_name in OPEN:
            return None
        if "HTTP_HX_REQUEST" in request.META:
            text = _("Set up a second factor first.")
            return HttpResponse(
                f"{text}\n",
                status=401,
                content_type="text/plain",
                headers={"HX-Redirect": reverse("second_factor")},
            )
        # A page, and not a picture or script in one.
        is_page = request.method == "GET" and request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        if is_page and request.session.get(_GOES_ON) != request.get_full_path():
            request.session[_GOES_ON] = request.get_full_path()
        return redirect("second_factor")


def is_missing(user: User) -> bool:
    """Whether the user must have a second factor, and has none; two queries at most."""
    return user.second_factor_required_by is not None and not has_one(user)


def missing(users: Iterable[User]) -> set[int]:
    """The keys of those of the users who must have a second factor and have none; two queries."""
    known = {user.pk: user for user in users}
    roles = defaultdict(list)
    active = Membership.objects.filter(user__in=known, status=Membership.Status.ACTIVE)
    for member in active.select_related("account"):
        roles[member.user_id].append(member)
    for user in known.values():
        user.active_memberships = roles[user.pk]
    required = {pk for pk, user in known.items() if user.second_factor_required_by is not None}
    return required - set(of_users().filter(user__in=required).values_list("user_id", flat=True))


def goes_on(request: HttpRequest) -> bool:
    """Whether there is a page that the user wanted, which `page` leads on to."""
    return _GOES_ON in request.session


@login_required
@require_safe
def page(request: SignedIn) -> HttpResponse:
    """Says who requires a second factor, and what to choose from; leads on once there is one."""
    if not is_missing(request.user):
        path = request.session.pop(_GOES_ON, "")
        return redirect(path if url_has_allowed_host_and_scheme(path, None) else "home")
    return render(
        request, "account/second_factor.html", {"required_by": request.user.second_factor_required_by}
    )
