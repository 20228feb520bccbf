"""The admin site: django-unfold's, closed to users who administer nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from unfold.sites import UnfoldAdminSite


class AdministrationSite(UnfoldAdminSite):  # type: ignore[misc]
    """Redirects to the sign-in page, and responds 403 to signed-in users who administer nothing."""

    def admin_view(self, view: Callable[..., HttpResponse], cacheable: bool = False) -> Any:
        guarded = super().admin_view(view, cacheable)

        @wraps(guarded)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            # Django would redirect them to the sign-in page, which redirects signed-in users back here.
            if request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied
            return guarded(request, *args, **kwargs)  # type: ignore[no-any-return]

        return answer
