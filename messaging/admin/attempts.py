"""The list of delivery attempts; each links to the timeline of its message."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from integrations.studio.cases.making import NoCase
from messaging import traced_cases
from messaging.admin.filters import AnswerFilter, AttemptIntegrationFilter, ResultFilter
from messaging.models import DeliveryAttempt
from messaging.reporting import repairs, search, timeline
from portal.administration.base import user_of
from portal.administration.filters import LogDaysFilter, OrganizationDropdown
from portal.administration.logs import LogAdmin, OlderFilter, exact_time
from portal.ids import key_of


@admin.register(DeliveryAttempt)
class DeliveryAttemptAdmin(LogAdmin):
    list_display = ["started", "provider", "result_label", "response", "duration", "part_label", "reason"]
    list_select_related = ["integration__template"]
    list_filter = [
        ("started_at", LogDaysFilter),
        ResultFilter,
        AnswerFilter,
        AttemptIntegrationFilter,
        OrganizationDropdown,
        OlderFilter,
    ]
    autocomplete_fields = ["integration"]  # for the filter
    search_fields = ["provider_id"]
    search_help_text = gettext_lazy("The contact's number, or a message id, ours or the provider's")
    list_before_template = "admin/messaging/transfer_tools.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # Requests and responses can be long, and the list does not show them.
        return super().get_queryset(request).defer("headers", "body", "answer_headers", "answer_body")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.attempts(queryset, user_of(request), search_term), False

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Each failure leads to where its cause is repaired."""
        reach = repairs.Reach(user_of(request))

        @admin.display(description=gettext_lazy("repair"))
        def repair(attempt: DeliveryAttempt) -> str:
            return repairs.first(repairs.of_attempt(attempt, reach))

        return [*super().get_list_display(request), repair]

    @admin.display(description=gettext_lazy("started"))
    def started(self, attempt: DeliveryAttempt) -> str:
        return exact_time(attempt.started_at)

    @admin.display(description=gettext_lazy("provider"))
    def provider(self, attempt: DeliveryAttempt) -> str:
        return str(attempt.integration.template) if attempt.integration else "–"

    @admin.display(description=gettext_lazy("result"))
    def result_label(self, attempt: DeliveryAttempt) -> str:
        tone = "good" if attempt.result == "sent" else "bad"
        return format_html('<span class="pb-{}">{}</span>', tone, timeline.result_label(attempt.result))

    @admin.display(description=gettext_lazy("response"))
    def response(self, attempt: DeliveryAttempt) -> str:
        return str(attempt.answer_status or _("none"))

    @admin.display(description=gettext_lazy("duration"))
    def duration(self, attempt: DeliveryAttempt) -> str:
        return f"{attempt.milliseconds} ms"

    @admin.display(description=gettext_lazy("part"))
    def part_label(self, attempt: DeliveryAttempt) -> str:
        if attempt.upload:
            return _("upload %(number)d") % {"number": attempt.upload}
        return f"{attempt.part}/{attempt.parts}"

    @admin.display(description=gettext_lazy("reason"))
    def reason(self, attempt: DeliveryAttempt) -> str:
        return Truncator(attempt.text).chars(80)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.make_case))
        return [path("<int:pk>/case/", view, name="messaging_attempt_case"), *super().get_urls()]

    def make_case(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Makes a case of the answer to an attempt, with nobody's values in it, and shows it."""
        if not self.in_reach(request, None):
            raise Http404
        found = get_object_or_404(DeliveryAttempt.objects.filter(pk__in=self.get_queryset(request)), pk=pk)
        if found.integration is None:
            raise Http404
        make = partial(traced_cases.of_attempt, found)
        try:
            case = traced_cases.keep(user_of(request), found.integration.template, make)
        except (NoCase, ValidationError) as error:
            messages.error(request, traced_cases.sentence(error))
            return redirect("admin:messaging_message_change", found.message_id)
        messages.success(request, _("This is the new case. All values in it are invented."))
        return redirect("admin:integrations_studio_case", case.template_id, case.pk)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        own = self.get_queryset(request)
        found = get_object_or_404(own, pk=key_of(object_id))
        page = reverse("admin:messaging_message_change", args=[found.message_id])
        return redirect(f"{page}#attempt-{found.pk}")
