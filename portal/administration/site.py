"""The admin site: django-unfold's, closed to users who administer nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import InvalidPage
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from unfold.sites import UnfoldAdminSite

from portal.administration.lists import DeclaredAutocomplete, declared_only


class AdministrationSite(UnfoldAdminSite):  # type: ignore[misc]
    """Redirects to the sign-in page, and responds 403 to signed-in users who administer nothing.

    The lists of all pages, whoever wrote them, obey only what the pages declare.
    """

    def register(
        self, model_or_iterable: Any, admin_class: type[ModelAdmin[Any]] | None = None, **options: Any
    ) -> None:
        super().register(model_or_iterable, declared_only(admin_class or ModelAdmin), **options)

    def admin_view(self, view: Callable[..., HttpResponse], cacheable: bool = False) -> Any:
        guarded = super().admin_view(view, cacheable)

        @wraps(guarded)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            # Django would redirect them to the sign-in page, which redirects signed-in users back here.
            if request.user.is_authenticated and not self.has_permission(request):
                raise PermissionDenied
            return guarded(request, *args, **kwargs)

        return checked

    def search(self, request: HttpRequest, extra_context: Any = None) -> Any:
        try:
            return super().search(request, extra_context)
        except (InvalidPage, ValueError) as error:
            raise BadRequest(_("The search has no such page.")) from error

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Everybody changes it on the page of the account menu."""
        return redirect("account_change_password")

    def autocomplete_view(self, request: HttpRequest) -> Any:
        return DeclaredAutocomplete.as_view(admin_site=self)(request)
