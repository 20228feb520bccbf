"""The inspector of webhooks, and the quarantine of those that could not be filed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from messaging.admin.base import Older, TraceAdmin, moment
from messaging.inbound import quarantine, reprocess
from messaging.models import WebhookRequest
from messaging.reporting import search, traces
from messaging.statuses import Verdict
from portal.admin_base import OrganizationFilter, user_of

LONG = ("query", "headers", "body", "answer_headers", "answer_body")
# That are read again in one go.
MOST = 1000


class Quarantine(admin.SimpleListFilter):
    """What was kept and could not be filed."""

    title = gettext_lazy("quarantine")
    parameter_name = "quarantine"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("could not be filed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return quarantine.among(queryset) if self.value() == "yes" else queryset


@admin.register(WebhookRequest)
class WebhookRequestAdmin(TraceAdmin):
    account_lookup = "account"
    list_display = ["at", "template", "organization", "outcome", "why"]
    list_select_related = ["template", "organization"]
    list_filter = [Quarantine, "verdict", OrganizationFilter, Older]
    search_fields = ["digest"]
    search_help_text = gettext_lazy("A contact's number, or the service's id of a message")
    change_form_outer_before_template = "admin/messaging/webhook_story.html"
    list_before_template = "admin/messaging/quarantine.html"
    actions = ["read_again"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # These are long and mostly encrypted; a list shows none of them.
        return super().get_queryset(request).defer(*LONG)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        quarantined = request.GET.get(Quarantine.parameter_name) == "yes"
        title = _("Quarantine") if quarantined else _("Webhooks")
        context = {"title": title, "quarantined": quarantined, **(extra_context or {})}
        found: HttpResponse = super().changelist_view(request, context)
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.webhooks(queryset, user_of(request), search_term), False

    @admin.display(description=gettext_lazy("received"))
    def at(self, request: WebhookRequest) -> str:
        return moment(request.received_at)

    @admin.display(description=gettext_lazy("verdict"))
    def outcome(self, request: WebhookRequest) -> str:
        verdict = Verdict
        good = request.verdict in (verdict.ACCEPTED, verdict.DUPLICATE)
        tone = "good" if good else "plain" if request.verdict == verdict.IGNORED else "bad"
        return format_html('<span class="pb-{}">{}</span>', tone, request.get_verdict_display())

    @admin.display(description=gettext_lazy("reason"))
    def why(self, request: WebhookRequest) -> str:
        more = _(" (and %(number)d more like it)") % {"number": request.more} if request.more else ""
        return request.reason[:120] + more

    def story(self, row: WebhookRequest) -> dict[str, Any]:
        row.refresh_from_db(fields=LONG)
        return traces.of_webhook(row)

    @admin.action(description=gettext_lazy("Read again"))
    def read_again(self, request: HttpRequest, queryset: QuerySet[WebhookRequest]) -> None:
        """Reads those that were chosen once more, with today's templates and numbers."""
        self._read(request, WebhookRequest.objects.filter(pk__in=queryset.order_by("pk").values("pk")))

    def get_urls(self) -> list[URLPattern]:
        def posted(view: Any) -> Any:
            return self.admin_site.admin_view(require_POST(view))

        own: list[URLPattern] = [
            path("read-again/", posted(self.read_all), name="messaging_read_all"),
            path("<int:pk>/read-again/", posted(self.read_one), name="messaging_read_again"),
            path("<int:pk>/file/", posted(self.file_anyway), name="messaging_file_anyway"),
        ]
        return [*own, *super().get_urls()]

    def read_all(self, request: HttpRequest) -> HttpResponse:
        """Reads the quarantine once more: first what was not read again for the longest time."""
        if not self.in_reach(request, None):
            raise Http404
        self._read(request, quarantine.among(self.get_queryset(request)))
        return redirect(quarantine.url())

    def read_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Reads one once more, as of when it came."""
        row = self._own(request, pk)
        if reprocess.replay(row):
            messages.success(request, _("It was understood now, and what it says is filed."))
        else:
            messages.warning(request, _("Nothing new could be filed: %(why)s") % {"why": row.reason or "–"})
        return redirect("admin:messaging_webhookrequest_change", pk)

    def file_anyway(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Files what was taken for a copy of another."""
        if reprocess.file_anyway(self._own(request, pk)):
            messages.success(request, _("What it says is filed."))
        else:
            messages.warning(request, _("There is nothing to file."))
        return redirect("admin:messaging_webhookrequest_change", pk)

    def _read(self, request: HttpRequest, rows: QuerySet[WebhookRequest]) -> None:
        keys = list(
            rows.order_by(F("replayed_at").asc(nulls_first=True), "pk").values_list("pk", flat=True)[
                : MOST + 1
            ]
        )
        filed = reprocess.replay_many(WebhookRequest.objects.filter(pk__in=keys[:MOST]))
        messages.info(
            request,
            _("%(filed)d of %(number)d were understood now and are filed.")
            % {"filed": filed, "number": len(keys[:MOST])},
        )
        if len(keys) > MOST:
            messages.warning(
                request, _("There are more. Do it once more for the next %(most)d.") % {"most": MOST}
            )

    def _own(self, request: HttpRequest, pk: int) -> WebhookRequest:
        if not self.in_reach(request, None):
            raise Http404
        found: WebhookRequest = get_object_or_404(self.get_queryset(request), pk=pk)
        return found
