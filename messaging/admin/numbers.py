"""Numbers: their users, what is added to messages, what they answer by themselves, and moving them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import TabularInline

from messaging.admin.base import ManyPaginator
from messaging.errors import Refused
from messaging.forms import AutoReplyForm, AutoReplyFormSet, MoveForm, NumberForm
from messaging.models import Assignment, AutoReply, Number
from messaging.rules import move_number
from portal.admin_base import OrganizationFilter, PortalAdmin, user_of
from portal.models import Organization


class AutoReplyInline(TabularInline):  # type: ignore[misc]
    """Whoever may change the number may change these."""

    model = AutoReply
    form = AutoReplyForm
    formset = AutoReplyFormSet
    extra = 0
    hide_title = True
    verbose_name = gettext_lazy("answer")
    verbose_name_plural = gettext_lazy("Automatic answers")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


@admin.register(Number)
class NumberAdmin(PortalAdmin):
    form = NumberForm
    inlines = [AutoReplyInline]
    list_display = ["number", "display_name", "organization", "service", "user_count", "active"]
    list_select_related = ["organization", "integration__template"]
    list_filter = [OrganizationFilter, "active"]
    search_fields = ["number", "display_name"]
    paginator = ManyPaginator
    change_form_after_template = "admin/messaging/number_extras.html"
    fieldsets = [
        (None, {"fields": ["organization", "number", "country", "display_name"]}),
        (gettext_lazy("Service"), {"fields": ["integration", "inbound_format", "outbound_format", "active"]}),
        (gettext_lazy("People"), {"fields": ["assigned", "sticky_hours"]}),
        (
            gettext_lazy("Added to every message"),
            {
                "fields": ["header", "footer"],
                "description": gettext_lazy(
                    "The people who use the number see this where they write; it counts as part of the text."
                ),
            },
        ),
        (
            gettext_lazy("STOP and HELP"),
            {
                "fields": ["opt_out_keyword", "opt_out_answer", "help_answer"],
                "description": gettext_lazy(
                    "Whoever texts STOP (or UNSUBSCRIBE, CANCEL, END, QUIT, …) gets one answer and no more "
                    "messages from this number, until they text START. HELP and INFO are answered at once."
                ),
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        users = Assignment.objects.filter(number=OuterRef("pk")).order_by().values("number")
        counted = Subquery(users.annotate(count=Count("pk")).values("count"))
        rows: QuerySet[Any] = super().get_queryset(request).annotate(number_of_users=Coalesce(counted, 0))
        return rows

    @admin.display(description=gettext_lazy("users"))
    def user_count(self, number: Any) -> int:
        return int(number.number_of_users)

    @admin.display(description=gettext_lazy("sends through"))
    def service(self, number: Number) -> str:
        return str(number.integration.template) if number.integration else "–"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["organization"] if obj else []

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        mine = Organization.objects.administered_by(user_of(request))[:2]
        only = {"organization": str(mine[0].pk)} if len(mine) == 1 else {}
        return {**only, **super().get_changeform_initial_data(request)}

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.save_users(form.instance)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.move_view)
        own: list[URLPattern] = [path("<int:pk>/move/", view, name="messaging_number_move")]
        return [*own, *super().get_urls()]

    def move_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Says what happens, asks for the organization, and moves the number there."""
        number = self.get_object(request, str(pk))
        if number is None or not self.has_change_permission(request, number):
            raise Http404
        organizations = Organization.objects.administered_by(user_of(request))
        others = organizations.filter(account=number.account_id).exclude(pk=number.organization_id)
        form = MoveForm(number, others, request.POST or None)
        if request.method == "POST" and form.is_valid():
            organization = form.cleaned_data["organization"]
            try:
                moved = move_number.move(number, organization, form.service())
            except Refused as refusal:
                form.add_error(None, str(refusal))
            else:
                messages.success(
                    request,
                    _("%(number)s belongs to %(organization)s now. Next: its users.")
                    % {"number": moved, "organization": organization},
                )
                return redirect("admin:messaging_number_change", moved.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Move %(number)s to another organization") % {"number": number},
            "number": number,
            "form": form,
            "possible": others.exists(),
        }
        status = 422 if form.errors else 200
        return render(request, "admin/messaging/number_move.html", context, status=status)
