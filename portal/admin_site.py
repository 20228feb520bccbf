"""The site of the administration: django-unfold's, closed to people without a role in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from unfold.sites import UnfoldAdminSite


class AdministrationSite(UnfoldAdminSite):  # type: ignore[misc]
    """Sends strangers to the sign-in page, and answers 403 to those who are signed in without a role here."""

    def admin_view(self, view: Callable[..., HttpResponse], cacheable: bool = False) -> Any:
        guarded = super().admin_view(view, cacheable)

        @wraps(guarded)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            # Django would send them to the sign-in page too, which leads those who are signed in back here.
            if request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied
            return guarded(request, *args, **kwargs)  # type: ignore[no-any-return]

        return answer
