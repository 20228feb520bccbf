"""The list of webhook requests, the details of each, and the quarantine."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from integrations.studio.cases.making import NoCase
from messaging import traced_cases
from messaging.admin.filters import AnswerFilter, QuarantineFilter, TemplateFilter, VerdictFilter
from messaging.inbound import quarantine, reprocess
from messaging.models import WebhookRequest
from messaging.reporting import repairs, search, webhook_details
from portal.administration.base import user_of
from portal.administration.filters import LogDaysFilter, OrganizationDropdown
from portal.administration.logs import LogAdmin, OlderFilter, exact_time
from portal.ids import key_of
from portal.permissions import in_reach_of

LONG_FIELDS = ("query", "headers", "body", "answer_headers", "answer_body")
MAX_REPROCESSED = 1000  # at once


@admin.register(WebhookRequest)
class WebhookRequestAdmin(LogAdmin):
    account_lookup = "account"
    list_display = ["received", "template", "organization", "verdict_label", "reason_excerpt"]
    list_select_related = ["template", "organization"]
    list_filter = [
        ("received_at", LogDaysFilter),
        QuarantineFilter,
        VerdictFilter,
        AnswerFilter,
        TemplateFilter,
        OrganizationDropdown,
        OlderFilter,
    ]
    autocomplete_fields = ["template"]  # for the filter
    search_fields = ["digest"]
    search_help_text = gettext_lazy("Contact's number or message id")
    change_form_outer_before_template = "admin/messaging/webhook_details.html"
    list_before_template = "admin/messaging/quarantine.html"
    actions = ["reprocess", "clear"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # These are long and mostly encrypted, and the list does not show them.
        rows = WebhookRequest.objects.order_by("-pk").defer(*LONG_FIELDS)
        if request.path == reverse("admin:messaging_webhookrequest_changelist"):
            if request.GET.get(QuarantineFilter.parameter_name) in ("yes", "cleared"):
                return rows  # the filter says whose
            # One index has these in the order of the list.
            return rows.filter(in_reach_of(user_of(request), "organization", "account"))
        return rows.in_reach(user_of(request))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        quarantined = request.GET.get(QuarantineFilter.parameter_name) == "yes"
        title = _("Quarantine") if quarantined else _("Webhooks")
        context = {"title": title, "quarantined": quarantined, **(extra_context or {})}
        found: HttpResponse = super().changelist_view(request, context)
        return found

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        asked = {name for name, value in request.GET.items() if value}
        if request.GET.get(QuarantineFilter.parameter_name) == "yes" and len(asked) == 1:
            found.empty_title = _("Nothing is waiting in quarantine.")
            found.empty_text = _("Every webhook request was processed, or was cleared away.")
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
        if request.cleared_at is not None:
            return _("%(reason)s Cleared away: %(why)s") % {"reason": reason, "why": request.cleared_reason}
        if not request.more:
            return reason
        return _("%(reason)s (and %(number)d similar requests)") % {"reason": reason, "number": request.more}

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        row = self.get_object(request, object_id) if object_id else None
        may = row is not None and not row.polled and traced_cases.may_keep(user_of(request), row.template)
        links = repairs.of_request(row, repairs.Reach(user_of(request))) if row is not None else []
        context = {"may_make_case": may, "repairs": links, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """In the quarantine, each row leads to where its cause is repaired."""
        shown: list[Any] = list(super().get_list_display(request))
        if request.GET.get(QuarantineFilter.parameter_name) == "yes":
            reach = repairs.Reach(user_of(request))

            @admin.display(description=gettext_lazy("repair"))
            def repair(row: WebhookRequest) -> str:
                return repairs.first(repairs.of_request(row, reach))

            shown.append(repair)
        return shown

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
            path("clear-away/", posted(self.clear_away), name="messaging_clear_away"),
            path("read-again/", posted(self.reprocess_all), name="messaging_reprocess_all"),
            path("<int:pk>/read-again/", posted(self.reprocess_one), name="messaging_reprocess"),
            path("<int:pk>/file/", posted(self.process_anyway), name="messaging_process_anyway"),
            path("<int:pk>/case/", posted(self.make_case), name="messaging_webhook_case"),
        ]
        return [*own, *super().get_urls()]

    @admin.action(description=gettext_lazy("Clear away…"))
    def clear(self, request: HttpRequest, queryset: QuerySet[WebhookRequest]) -> HttpResponse:
        """Asks why the selected requests are not needed any more."""
        keys = list(queryset.order_by("pk").values_list("pk", flat=True)[:MAX_REPROCESSED])
        return self._ask_why(request, keys)

    def clear_away(self, request: HttpRequest) -> HttpResponse:
        """Clears requests away for the reason given, and shows what is left."""
        keys = [key for key in map(key_of, request.POST.get("requests", "").split(",")) if key]
        keys = keys[:MAX_REPROCESSED]
        waiting = WebhookRequest.objects.in_quarantine(user_of(request))
        own = list(waiting.filter(pk__in=keys).values_list("pk", flat=True))
        reason = request.POST.get("reason", "").replace("\0", "").strip()
        if not self.in_reach(request, None) or not own:
            raise Http404
        if not reason:
            return self._ask_why(request, own, _("Say why they are not needed any more."))
        number = quarantine.clear(WebhookRequest.objects.filter(pk__in=own), reason)
        messages.success(
            request,
            ngettext("%(number)d request was cleared away.", "%(number)d requests were cleared away.", number)
            % {"number": number},
        )
        return redirect(quarantine.url())

    def _ask_why(self, request: HttpRequest, keys: list[int], problem: str = "") -> HttpResponse:
        waiting = WebhookRequest.objects.in_quarantine(user_of(request)).filter(pk__in=keys)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Clear away"),
            "keys": list(waiting.values_list("pk", flat=True)),
            "problem": problem,
            "back": quarantine.url(),
        }
        return render(request, "admin/messaging/clear_away.html", context)

    def reprocess_all(self, request: HttpRequest) -> HttpResponse:
        """Reprocesses the quarantine, starting with the requests whose last reprocessing is longest ago."""
        if not self.in_reach(request, None):
            raise Http404
        self._reprocess(request, WebhookRequest.objects.in_quarantine(user_of(request)))
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
