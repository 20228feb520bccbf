"""The traces that tell what became of messages and webhooks; numbers are in `number_admin`."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging import traces
from messaging.models import Message, WebhookRequest
from messaging.number_admin import NumberAdmin as NumberAdmin
from messaging.statuses import Status
from messaging.templatetags.inbox import mark
from portal.admin_base import OrganizationFilter, PortalAdmin


class TraceAdmin(PortalAdmin):
    """Rows that nobody writes by hand."""

    read_only = True
    list_per_page = 50

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


@admin.register(Message)
class MessageAdmin(TraceAdmin):
    list_display = ["created_at", "direction", "number", "contact", "state", "beginning"]
    list_select_related = ["conversation__number", "conversation__contact"]
    list_filter = ["direction", "status", OrganizationFilter]
    search_fields = ["=uuid", "conversation__contact__address", "=delivery_attempts__provider_id"]
    search_help_text = gettext_lazy("A contact's number, the message's id, or the service's id")
    ordering = ["-pk"]
    change_form_before_template = "admin/messaging/message_story.html"

    @admin.display(description=gettext_lazy("number"))
    def number(self, message: Message) -> str:
        return str(message.conversation.number)

    @admin.display(description=gettext_lazy("contact"))
    def contact(self, message: Message) -> str:
        return str(message.conversation.contact)

    @admin.display(description=gettext_lazy("status"))
    def state(self, message: Message) -> str:
        if message.direction == Message.Direction.IN:
            return _("received")
        bad = message.status in (Status.FAILED, Status.UNKNOWN)
        good = message.status >= Status.DELIVERED
        kind = "pb-bad" if bad else "pb-good" if good else ""
        return format_html('<span class="{}">{}</span>', kind, mark(message))

    @admin.display(description=gettext_lazy("text"))
    def beginning(self, message: Message) -> str:
        return message.text[:60]

    def story(self, row: Message) -> dict[str, Any]:
        return traces.of_message(row)


@admin.register(WebhookRequest)
class WebhookRequestAdmin(TraceAdmin):
    account_lookup = "account"
    list_display = ["received_at", "template", "organization", "outcome", "why"]
    list_select_related = ["template", "organization"]
    list_filter = ["verdict", OrganizationFilter]
    ordering = ["-pk"]
    change_form_before_template = "admin/messaging/webhook_story.html"

    @admin.display(description=gettext_lazy("verdict"))
    def outcome(self, request: WebhookRequest) -> str:
        good = request.verdict in (WebhookRequest.Verdict.ACCEPTED, WebhookRequest.Verdict.DUPLICATE)
        kind = "pb-good" if good else "" if request.verdict == WebhookRequest.Verdict.IGNORED else "pb-bad"
        return format_html('<span class="{}">{}</span>', kind, request.get_verdict_display())

    @admin.display(description=gettext_lazy("reason"))
    def why(self, request: WebhookRequest) -> str:
        return request.reason[:120]

    def story(self, row: WebhookRequest) -> dict[str, Any]:
        return traces.of_webhook(row)
