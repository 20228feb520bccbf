"""The list of webhook requests, the details of each, and the quarantine."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from integrations.studio.cases.making import NoCase
from messaging import traced_cases
from messaging.inbound import quarantine, reprocess
from messaging.models import WebhookRequest
from messaging.reporting import search, webhook_details
from portal.admin_base import OrganizationFilter, user_of
from portal.log_admin import LogAdmin, OlderFilter, exact_time

LONG_FIELDS = ("query", "headers", "body", "answer_headers", "answer_body")
MAX_REPROCESSED = 1000  # at once


class QuarantineFilter(admin.SimpleListFilter):
    """Filters requests in quarantine."""

    title = gettext_lazy("quarantine")
    parameter_name = "quarantine"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("in quarantine"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return quarantine.quarantined(queryset) if self.value() == "yes" else queryset


@admin.register(WebhookRequest)
class WebhookRequestAdmin(LogAdmin):
    account_lookup = "account"
    list_display = ["received", "template", "organization", "verdict_label", "reason_excerpt"]
    list_select_related = ["template", "organization"]
    list_filter = [QuarantineFilter, "verdict", OrganizationFilter, OlderFilter]
    search_fields = ["digest"]
    search_help_text = gettext_lazy("Contact's number or message id")
    change_form_outer_before_template = "admin/messaging/webhook_details.html"
    list_before_template = "admin/messaging/quarantine.html"
    actions = ["reprocess"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # These are long and mostly encrypted, and the list does not show them.
        return super().get_queryset(request).defer(*LONG_FIELDS)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        quarantined = request.GET.get(QuarantineFilter.parameter_name) == "yes"
        title = _("Quarantine") if quarantined else _("Webhooks")
        context = {"title": title, "quarantined": quarantined, **(extra_context or {})}
        found: HttpResponse = super().changelist_view(request, context)
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.webhooks(queryset, user_of(request), search_term), False

    @admin.display(description=gettext_lazy("received"))
    def received(self, request: WebhookRequest) -> str:
        return exact_time(request.received_at)

    @admin.display(description=gettext_lazy("verdict"))
    def verdict_label(self, request: WebhookRequest) -> str:
        return format_html(
            '<span class="pb-{}">{}</span>', webhook_details.tone(request), request.get_verdict_display()
        )

    @admin.display(description=gettext_lazy("reason"))
    def reason_excerpt(self, request: WebhookRequest) -> str:
        reason = Truncator(request.reason).chars(120)
        if not request.more:
            return reason
        return _("%(reason)s (and %(number)d similar requests)") % {"reason": reason, "number": request.more}

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        row = self.get_object(request, object_id) if object_id else None
        may = row is not None and not row.polled and traced_cases.may_keep(user_of(request), row.template)
        context = {"may_make_case": may, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def details(self, row: WebhookRequest) -> dict[str, Any]:
        row.refresh_from_db(fields=LONG_FIELDS)
        return webhook_details.of(row)

    @admin.action(description=gettext_lazy("Reprocess"))
    def reprocess(self, request: HttpRequest, queryset: QuerySet[WebhookRequest]) -> None:
        """Reprocesses the selected requests with the current templates and numbers."""
        self._reprocess(request, WebhookRequest.objects.filter(pk__in=queryset.order_by("pk").values("pk")))

    def get_urls(self) -> list[URLPattern]:
        def posted(view: Any) -> Any:
            return self.admin_site.admin_view(require_POST(view))

        own: list[URLPattern] = [
            path("read-again/", posted(self.reprocess_all), name="messaging_reprocess_all"),
            path("<int:pk>/read-again/", posted(self.reprocess_one), name="messaging_reprocess"),
            path("<int:pk>/file/", posted(self.process_anyway), name="messaging_process_anyway"),
            path("<int:pk>/case/", posted(self.make_case), name="messaging_webhook_case"),
        ]
        return [*own, *super().get_urls()]

    def reprocess_all(self, request: HttpRequest) -> HttpResponse:
        """Reprocesses the quarantine, starting with the requests whose last reprocessing is longest ago."""
        if not self.in_reach(request, None):
            raise Http404
        self._reprocess(request, quarantine.quarantined(self.get_queryset(request)))
        return redirect(quarantine.url())

    def reprocess_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Reprocesses one request, as of the time at which it was received."""
        row = self._own(request, pk)
        if reprocess.reprocess(row):
            messages.success(request, _("The request was accepted. Its events are being processed."))
        elif row.reason:
            messages.warning(
                request, _("The request could not be processed: %(reason)s") % {"reason": row.reason}
            )
        else:
            messages.warning(request, _("The request contains nothing new to process."))
        return redirect("admin:messaging_webhookrequest_change", pk)

    def make_case(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Makes a case of a request, with nobody's values in it, and shows it in the studio."""
        row = self._own(request, pk)
        try:
            case = traced_cases.keep(user_of(request), row.template, partial(traced_cases.of_webhook, row))
        except (NoCase, ValidationError) as error:
            messages.error(request, traced_cases.sentence(error))
            return redirect("admin:messaging_webhookrequest_change", pk)
        messages.success(request, _("This is the new case. All values in it are invented."))
        return redirect("admin:integrations_studio_case", case.template_id, case.pk)

    def process_anyway(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Processes a request that was taken for a duplicate."""
        if reprocess.process_anyway(self._own(request, pk)):
            messages.success(request, _("The events of the request are being processed."))
        else:
            messages.warning(request, _("The request contains nothing to process."))
        return redirect("admin:messaging_webhookrequest_change", pk)

    def _reprocess(self, request: HttpRequest, rows: QuerySet[WebhookRequest]) -> None:
        keys = list(
            rows.order_by(F("replayed_at").asc(nulls_first=True), "pk").values_list("pk", flat=True)[
                : MAX_REPROCESSED + 1
            ]
        )
        more, keys = len(keys) > MAX_REPROCESSED, keys[:MAX_REPROCESSED]
        accepted = reprocess.reprocess_many(WebhookRequest.objects.filter(pk__in=keys))
        messages.info(
            request,
            _("%(accepted)d of %(number)d requests were accepted.")
            % {"accepted": accepted, "number": len(keys)},
        )
        if more:
            messages.warning(
                request,
                _("There are more requests. Repeat the action for the next %(limit)d.")
                % {"limit": MAX_REPROCESSED},
            )

    def _own(self, request: HttpRequest, pk: int) -> WebhookRequest:
        if not self.in_reach(request, None):
            raise Http404
        found: WebhookRequest = get_object_or_404(self.get_queryset(request), pk=pk)
        return found
