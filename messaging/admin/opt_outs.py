"""The list of opt-outs, to be searched and exported; imports add to it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from integrations.language import phones
from messaging.models import OptOut
from portal.administration.base import OrganizationFilter
from portal.administration.logs import LogAdmin, OlderFilter, exact_time


@admin.register(OptOut)
class OptOutAdmin(LogAdmin):
    """The contacts who want no messages, searched by the whole number, so that an index suffices."""

    list_before_template = "admin/messaging/transfer_tools.html"
    list_display = ["address", "number", "organization", "opted_out"]
    list_select_related = ["organization", "number"]
    list_filter = [OrganizationFilter, OlderFilter]
    list_display_links = None
    search_fields = ["address"]
    search_help_text = gettext_lazy("Contact's whole number")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        read = phones.read(term)
        return queryset.filter(address__in=phones.ways(read) if read else [term]), False

    def details(self, row: Any) -> dict[str, Any]:
        return {"title": str(row)}

    @admin.display(description=gettext_lazy("since"))
    def opted_out(self, row: OptOut) -> str:
        return exact_time(row.since)
