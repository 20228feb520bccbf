"""The base of long, read-only lists: messages, delivery attempts, webhook requests, and the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.administration.base import PortalAdmin, user_of
from portal.administration.pagination import LogPaginator
from portal.administration.saved_views import SavedViews
from portal.ids import key_of
from portal.permissions import in_reach_of


def exact_time(time: datetime) -> str:
    """A time to the second, in the user's time zone."""
    return date_format(timezone.localtime(time), "j M Y, H:i:s")


class OlderFilter(SimpleListFilter):
    """Filters rows before a primary key; shown only after the last page of a capped list has linked to it."""

    title = gettext_lazy("older than")
    parameter_name = "before"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        value = self.value() or ""
        return [(value, _("row %(key)s") % {"key": value})] if key_of(value) else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        key = key_of(self.value() or "")
        return queryset.filter(pk__lt=key) if key else queryset


class LogAdmin(SavedViews, PortalAdmin):
    """A read-only list, newest rows first, and a page with the details of each row."""

    read_only = True
    list_before_template = "admin/portal/saved_views.html"
    list_per_page = 50
    list_max_show_all = 0
    list_filter_submit = True
    list_filter_sheet = True
    paginator = LogPaginator
    ordering = ["-pk"]
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super(PortalAdmin, self).get_queryset(request).filter(self.reach(request))
        return rows

    def reach(self, request: HttpRequest) -> Q:
        """The condition for the rows in the user's reach, by the keys of organizations if they have one.

        So PostgreSQL knows how many rows these have, which the key of their account does not tell.
        """
        user = user_of(request)
        organization, account = self.organization_lookup, self.account_lookup
        if user.is_operator or account != f"{organization}__account":
            return in_reach_of(user, organization, account)
        return Q(**{f"{organization}__in": user.organizations_in_reach})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return []

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        found = self.get_object(request, object_id) if object_id else None
        context = {**self.details(found), **(extra_context or {})} if found else extra_context
        return super().changeform_view(request, object_id, form_url, context)

    def details(self, row: Any) -> dict[str, Any]:
        """The template context for the page of a row."""
        raise NotImplementedError
