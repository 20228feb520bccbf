"""The list of messages, the timeline of each, and resending."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from messaging import traced_cases
from messaging.admin.filters import (
    AuthorFilter,
    CodeFilter,
    DirectionFilter,
    IntegrationFilter,
    NumberFilter,
    StatusFilter,
)
from messaging.errors import Refused
from messaging.models import BulkResend, Message
from messaging.outbound import bulk_resend, settle, submit
from messaging.reporting import repairs, search, timeline
from messaging.templatetags.inbox import mark
from portal.administration.base import user_of
from portal.administration.filters import LogDaysFilter, OrganizationDropdown
from portal.administration.logs import LogAdmin, OlderFilter, exact_time
from portal.ids import key_of


@admin.register(Message)
class MessageAdmin(LogAdmin):
    list_display = ["created", "direction_label", "number", "contact", "status_label", "excerpt"]
    list_select_related = ["conversation__number", "conversation__contact"]
    list_filter = [
        ("created_at", LogDaysFilter),
        StatusFilter,
        CodeFilter,
        DirectionFilter,
        NumberFilter,
        IntegrationFilter,
        AuthorFilter,
        OrganizationDropdown,
        OlderFilter,
    ]
    autocomplete_fields = ["author", "integration"]  # for the filters
    search_fields = ["uuid"]
    search_help_text = gettext_lazy("Words of the text, the contact's number, or a message id")
    list_before_template = "admin/messaging/transfer_tools.html"
    change_form_outer_before_template = "admin/messaging/message_timeline.html"
    actions = ["resend"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.messages(queryset, user_of(request), search_term), False

    @admin.display(description=gettext_lazy("created"))
    def created(self, message: Message) -> str:
        return exact_time(message.created_at)

    @admin.display(description=gettext_lazy("direction"))
    def direction_label(self, message: Message) -> str:
        return message.get_direction_display()

    @admin.display(description=gettext_lazy("number"))
    def number(self, message: Message) -> str:
        return str(message.conversation.number)

    @admin.display(description=gettext_lazy("contact"))
    def contact(self, message: Message) -> str:
        return str(message.conversation.contact)

    @admin.display(description=gettext_lazy("status"))
    def status_label(self, message: Message) -> str:
        if message.is_inbound:
            return _("received")
        return format_html('<span class="pb-{}">{}</span>', timeline.tone(message), mark(message))

    @admin.display(description=gettext_lazy("text"))
    def excerpt(self, message: Message) -> str:
        return Truncator(message.text).chars(60)

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        row = self.get_object(request, object_id) if object_id else None
        context = {
            "repairs": repairs.of_message(row, repairs.Reach(user_of(request))) if row is not None else [],
            "case_templates": traced_cases.templates(user_of(request), key_of(object_id or "")),
            **(extra_context or {}),
        }
        return super().changeform_view(request, object_id, form_url, context)

    def details(self, row: Message) -> dict[str, Any]:
        return timeline.of_message(row)

    @admin.action(description=gettext_lazy("Resend…"))
    def resend(self, request: HttpRequest, queryset: QuerySet[Message]) -> HttpResponse:
        """Shows which of the selected messages can be resent, and asks for confirmation."""
        limit = bulk_resend.MAX_MESSAGES
        # A query of its own, without the joins and limits of the list.
        selected = Message.objects.filter(pk__in=queryset.order_by("pk").values("pk")[:limit])
        context = {
            **self.admin_site.each_context(request),
            "title": _("Resend messages"),
            "preview": bulk_resend.preview(selected),
            "limit": limit,
        }
        return render(request, "admin/messaging/resend.html", context)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("send-again/", wrap(require_POST(self.start_resend)), name="messaging_resend"),
            path("send-again/<int:pk>/", wrap(self.progress), name="messaging_resend_progress"),
            path("<int:pk>/send-again/", wrap(require_POST(self.resend_one)), name="messaging_resend_one"),
            path("<int:pk>/settle/", wrap(require_POST(self.settle)), name="messaging_settle"),
        ]
        return [*own, *super().get_urls()]

    def resend_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Resends one message in the name of its author, and shows the copy."""
        message = self._own(request, pk)
        try:
            copy = submit.resend_by_administrator(message)
        except Refused as refusal:
            messages.error(request, str(refusal))
            return redirect("admin:messaging_message_change", pk)
        messages.success(request, _("The message has been queued again. This is the new message."))
        return redirect("admin:messaging_message_change", copy.pk)

    def settle(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Marks a message with an unknown outcome as sent or failed."""
        message = self._own(request, pk)
        try:
            settle.settle(
                user_of(request), message, "sent" if request.POST.get("outcome") == "sent" else "failed"
            )
        except Refused as refusal:
            messages.error(request, str(refusal))
        return redirect("admin:messaging_message_change", pk)

    def start_resend(self, request: HttpRequest) -> HttpResponse:
        """Starts resending: the failed messages and, if the box is ticked, those without a response."""
        wanted = request.POST.get("failed", "").split(",")
        if request.POST.get("include") == "unknown":
            wanted += request.POST.get("unknown", "").split(",")
        keys = [key for key in map(key_of, wanted) if key][: bulk_resend.MAX_MESSAGES]
        own = list(self.get_queryset(request).filter(pk__in=keys).order_by("pk").values_list("pk", flat=True))
        if not self.in_reach(request, None) or len(own) != len(set(keys)):
            raise Http404
        if not own:
            messages.warning(request, _("There are no messages to resend."))
            return redirect("admin:messaging_message_changelist")
        return redirect("admin:messaging_resend_progress", bulk_resend.start(user_of(request), own).pk)

    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The progress of a bulk resend; the page refreshes itself until it has finished."""
        rows = BulkResend.objects.all()
        if not user_of(request).is_operator:
            rows = rows.filter(author=user_of(request))
        row = get_object_or_404(rows, pk=pk)
        refused = dict(row.refused)
        shown = Message.objects.select_related("conversation__contact").filter(pk__in=refused).order_by("pk")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Resending messages"),
            "row": row,
            "total": len(row.wanted),
            "refused": [(message, refused[message.pk]) for message in shown],
        }
        return render(request, "admin/messaging/resend_progress.html", context)

    def _own(self, request: HttpRequest, pk: int) -> Message:
        if not self.in_reach(request, None):
            raise Http404
        own = self.get_queryset(request).select_related("author", *self.list_select_related)
        found: Message = get_object_or_404(own, pk=pk)
        return found
