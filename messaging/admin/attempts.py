"""Every request to a service, as a list; the story of its message tells the rest."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.admin.base import Older, TraceAdmin, moment
from messaging.models import DeliveryAttempt
from messaging.reporting import search, traces
from portal.admin_base import OrganizationFilter


class Result(admin.SimpleListFilter):
    """Those that did not end well."""

    title = gettext_lazy("result")
    parameter_name = "result"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("problem", _("not sent"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.exclude(result="sent") if self.value() == "problem" else queryset


class Service(admin.SimpleListFilter):
    """One service of one organization; the page of its health leads here."""

    title = gettext_lazy("service")
    parameter_name = "service"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        value = self.value() or ""
        return [(value, _("only this one"))] if value.isdigit() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        if not value.isdigit():
            return queryset
        # By time, which is the order of the index; the keys follow it.
        return queryset.filter(integration=int(value[:18])).order_by("-started_at", "-pk")


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(TraceAdmin):
    list_display = ["at", "service", "outcome", "answer", "took", "part_of", "words"]
    list_select_related = ["integration__template"]
    list_filter = [Result, OrganizationFilter, Service, Older]
    search_fields = ["provider_id"]
    search_help_text = gettext_lazy("The message's id, or the service's id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # Requests and answers are long, and not shown here.
        return super().get_queryset(request).defer("headers", "body", "answer_headers", "answer_body")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.attempts(queryset, search_term), False

    @admin.display(description=gettext_lazy("started"))
    def at(self, attempt: DeliveryAttempt) -> str:
        return moment(attempt.started_at)

    @admin.display(description=gettext_lazy("service"))
    def service(self, attempt: DeliveryAttempt) -> str:
        return str(attempt.integration.template) if attempt.integration else "–"

    @admin.display(description=gettext_lazy("result"))
    def outcome(self, attempt: DeliveryAttempt) -> str:
        tone = "good" if attempt.result == "sent" else "bad"
        return format_html('<span class="pb-{}">{}</span>', tone, traces.result_of(attempt))

    @admin.display(description=gettext_lazy("answer"))
    def answer(self, attempt: DeliveryAttempt) -> str:
        return str(attempt.answer_status or _("none"))

    @admin.display(description=gettext_lazy("took"))
    def took(self, attempt: DeliveryAttempt) -> str:
        return f"{attempt.milliseconds} ms"

    @admin.display(description=gettext_lazy("part"))
    def part_of(self, attempt: DeliveryAttempt) -> str:
        return f"{attempt.part}/{attempt.parts}"

    @admin.display(description=gettext_lazy("in words"))
    def words(self, attempt: DeliveryAttempt) -> str:
        return attempt.text[:80]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        own = self.get_queryset(request)
        found = get_object_or_404(own, pk=object_id if object_id.isdigit() else 0)
        story = reverse("admin:messaging_message_change", args=[found.message_id])
        return redirect(f"{story}#attempt-{found.pk}")
