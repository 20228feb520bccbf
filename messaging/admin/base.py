"""What the lists and stories of traces have in common: they are long, and nobody writes them by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.admin_base import PortalAdmin


def moment(at: datetime) -> str:
    """A time to the second, in the viewer's zone, as lists show it."""
    return date_format(timezone.localtime(at), "j M Y, H:i:s")


class ManyPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than `MOST` rows, in the order of the list, so that an index answers."""

    MOST = 10_000
    template_name = "admin/messaging/pagination.html"

    @cached_property
    def counted(self) -> int:
        rows: Any = self.object_list
        return int(rows[: self.MOST + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self.counted, self.MOST)

    @property
    def more(self) -> bool:
        """Whether there are rows beyond those that are counted."""
        return self.counted > self.MOST

    @property
    def last_key(self) -> int:
        """The key of the last row that has a page: older ones are listed by `Older`."""
        rows: Any = self.object_list
        return int(rows.values_list("pk", flat=True)[self.count - 1])


class Older(SimpleListFilter):
    """The rows before a key; shown once a list that is too long to be counted has led there."""

    title = gettext_lazy("older than")
    parameter_name = "before"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        value = self.value() or ""
        return [(value, _("row %(key)s") % {"key": value})] if value.isdigit() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        return queryset.filter(pk__lt=int(value[:18])) if value.isdigit() else queryset


class TraceAdmin(PortalAdmin):
    """Rows that nobody writes by hand, newest first."""

    read_only = True
    list_per_page = 50
    list_max_show_all = 0
    paginator = ManyPaginator
    ordering = ["-pk"]
    sortable_by = ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return []

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        found = self.get_object(request, object_id) if object_id else None
        context = {**self.story(found), **(extra_context or {})} if found else extra_context
        return super().changeform_view(request, object_id, form_url, context)

    def story(self, row: Any) -> dict[str, Any]:
        """What the page tells beyond the fields."""
        raise NotImplementedError
