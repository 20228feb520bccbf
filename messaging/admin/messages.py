"""The log of messages, the story of each, and sending again what did not arrive."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from messaging.admin.base import Older, TraceAdmin, moment
from messaging.errors import Refused
from messaging.models import BulkResend, Message
from messaging.outbound import bulk_resend, settle, submit
from messaging.reporting import search, traces
from messaging.statuses import Direction, QueueState, Status
from messaging.templatetags.inbox import mark
from portal.admin_base import OrganizationFilter, user_of


class Outcome(admin.SimpleListFilter):
    """By what became of messages, in the words of people."""

    title = gettext_lazy("what became of it")
    parameter_name = "outcome"

    _CONDITIONS: ClassVar[dict[str, dict[str, Any]]] = {
        "problem": {"status__in": [Status.UNKNOWN, Status.FAILED]},
        "failed": {"status__in": [Status.UNKNOWN, Status.FAILED], "status": Status.FAILED},
        "unknown": {"status__in": [Status.UNKNOWN, Status.FAILED], "status": Status.UNKNOWN},
        "waiting": {"queue_state": QueueState.WAITING},
        "delivered": {"direction": Direction.OUT, "status__gte": Status.DELIVERED},
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("problem", _("failed or in doubt")),
            ("failed", _("failed")),
            ("unknown", _("in doubt: no answer")),
            ("waiting", _("waiting")),
            ("delivered", _("delivered or read")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**self._CONDITIONS.get(self.value() or "", {}))


@admin.register(Message)
class MessageAdmin(TraceAdmin):
    list_display = ["at", "way", "number", "contact", "state", "beginning"]
    list_select_related = ["conversation__number", "conversation__contact"]
    list_filter = [Outcome, "direction", OrganizationFilter, Older]
    search_fields = ["uuid"]
    search_help_text = gettext_lazy("A contact's number, the message's id, or the service's id")
    change_form_outer_before_template = "admin/messaging/message_story.html"
    actions = ["send_again"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.messages(queryset, user_of(request), search_term), False

    @admin.display(description=gettext_lazy("created"))
    def at(self, message: Message) -> str:
        return moment(message.created_at)

    @admin.display(description=gettext_lazy("direction"))
    def way(self, message: Message) -> str:
        return _("out") if message.direction == Direction.OUT else _("in")

    @admin.display(description=gettext_lazy("number"))
    def number(self, message: Message) -> str:
        return str(message.conversation.number)

    @admin.display(description=gettext_lazy("contact"))
    def contact(self, message: Message) -> str:
        return str(message.conversation.contact)

    @admin.display(description=gettext_lazy("status"))
    def state(self, message: Message) -> str:
        if message.direction == Direction.IN:
            return _("received")
        return format_html('<span class="pb-{}">{}</span>', traces.tone(message), mark(message))

    @admin.display(description=gettext_lazy("text"))
    def beginning(self, message: Message) -> str:
        return message.text[:60]

    def story(self, row: Message) -> dict[str, Any]:
        return traces.of_message(row)

    @admin.action(description=gettext_lazy("Send again…"))
    def send_again(self, request: HttpRequest, queryset: QuerySet[Message]) -> HttpResponse:
        """Says what would be sent again and what not, and asks."""
        # A list of its own, without the joins and limits of the page.
        chosen = Message.objects.filter(pk__in=queryset.order_by("pk").values("pk")[: bulk_resend.MOST])
        context = {
            **self.admin_site.each_context(request),
            "title": _("Send again"),
            "prospect": bulk_resend.prospect(chosen),
            "most": bulk_resend.MOST,
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
        """Sends one message again, in the name of its author, and shows the copy."""
        message = self._own(request, pk)
        try:
            copy = submit.resend_for_author(message)
        except Refused as refusal:
            messages.error(request, str(refusal))
            return redirect("admin:messaging_message_change", pk)
        self.log_change(request, message, _("Sent again as %(uuid)s.") % {"uuid": copy.uuid})
        messages.success(request, _("It is sent again; this is the new message."))
        return redirect("admin:messaging_message_change", copy.pk)

    def settle(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Notes whether a message in doubt has arrived, as a person found out."""
        message = self._own(request, pk)
        try:
            settle.settle(
                user_of(request), message, "sent" if request.POST.get("arrived") == "yes" else "failed"
            )
        except Refused as refusal:
            messages.error(request, str(refusal))
        else:
            self.log_change(request, message, message.status_text)
        return redirect("admin:messaging_message_change", pk)

    def start_resend(self, request: HttpRequest) -> HttpResponse:
        """Begins what `send_again` has shown: the failed, and if so wished those in doubt."""
        wanted = request.POST.get("failed", "").split(",")
        if request.POST.get("also") == "doubt":
            wanted += request.POST.get("doubt", "").split(",")
        keys = [int(key) for key in wanted if key.isdigit() and len(key) < 19][: bulk_resend.MOST]
        own = list(self.get_queryset(request).filter(pk__in=keys).order_by("pk").values_list("pk", flat=True))
        if not self.in_reach(request, None) or len(own) != len(set(keys)):
            raise Http404
        if not own:
            messages.warning(request, _("There is nothing to send again."))
            return redirect("admin:messaging_message_changelist")
        return redirect("admin:messaging_resend_progress", bulk_resend.start(user_of(request), own).pk)

    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How far a resending of many has come; the page renews itself until it is done."""
        rows = BulkResend.objects.all()
        if not user_of(request).is_operator:
            rows = rows.filter(author=user_of(request))
        row = get_object_or_404(rows, pk=pk)
        refused = dict(row.refused)
        shown = Message.objects.select_related("conversation__contact").filter(pk__in=refused).order_by("pk")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Sending again"),
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
