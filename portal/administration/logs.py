"""The base of long, read-only lists: messages, delivery attempts, webhook requests, and the audit."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.administration.base import PortalAdmin
from portal.administration.saved_views import SavedViews
from portal.ids import key_of


def exact_time(time: datetime) -> str:
    """A time to the second, in the user's time zone."""
    return date_format(timezone.localtime(time), "j M Y, H:i:s")


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts at most `MAX_COUNTED` rows, in the order of the list, so that an index suffices."""

    MAX_COUNTED = 10_000
    template_name = "admin/portal/pagination.html"

    @cached_property
    def counted(self) -> int:
        rows: Any = self.object_list
        return int(rows[: self.MAX_COUNTED + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self.counted, self.MAX_COUNTED)

    @property
    def more(self) -> bool:
        """Whether there are more rows than are counted."""
        return self.counted > self.MAX_COUNTED

    @property
    def last_key(self) -> int:
        """The primary key of the last row that has a page; `OlderFilter` lists the rows before it."""
        rows: Any = self.object_list
        return int(rows.values_list("pk", flat=True)[self.count - 1])


class SearchPaginator(CappedPaginator):
    """Counts fewer rows: those that a search finds are not in the order of the list."""

    MAX_COUNTED = 1000


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
    paginator = CappedPaginator
    ordering = ["-pk"]
    sortable_by = ()

    def get_paginator(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any) -> Any:
        counting = SearchPaginator if request.GET.get(SEARCH_VAR) else self.paginator
        return counting(queryset, *args, **kwargs)

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
