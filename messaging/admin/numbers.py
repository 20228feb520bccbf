"""The admin pages of numbers, with their users and auto-replies, and moving a number."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import TabularInline

from messaging.admin import leaving
from messaging.errors import Refused
from messaging.forms import AutoReplyForm, AutoReplyFormSet, MoveForm, NumberForm
from messaging.models import Assignment, AutoReply, Number, PlannedAssignment
from messaging.pasted_numbers import SeveralForm
from messaging.rules import invited, move_number
from messaging.transfer import imports
from portal.administration.base import OrganizationFilter, PortalAdmin, user_of
from portal.administration.pagination import CappedPaginator
from portal.ids import key_of
from portal.models import Organization


class AutoReplyInline(TabularInline):  # type: ignore[misc]
    """The auto-replies of a number; everyone who may change the number may change them."""

    model = AutoReply
    form = AutoReplyForm
    formset = AutoReplyFormSet
    extra = 0
    hide_title = True
    verbose_name = gettext_lazy("auto-reply")
    verbose_name_plural = gettext_lazy("Auto-replies")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


@admin.register(Number)
class NumberAdmin(PortalAdmin):
    form = NumberForm
    inlines = [AutoReplyInline]
    readonly_fields = ["organization"]
    list_display = ["number", "display_name", "organization", "provider", "user_count", "active"]
    list_select_related = ["organization", "integration__template"]
    list_filter = [OrganizationFilter, "active"]
    search_fields = ["number", "display_name"]
    paginator = CappedPaginator
    list_before_template = "admin/messaging/transfer_tools.html"
    change_form_outer_before_template = "admin/messaging/number_notes.html"
    change_form_after_template = "admin/messaging/number_extras.html"
    fieldsets = [
        (None, {"fields": ["organization", "number", "country", "display_name"]}),
        (
            gettext_lazy("Provider"),
            {"fields": ["integration", "inbound_format", "outbound_format", "active"]},
        ),
        (gettext_lazy("Users"), {"fields": ["assigned", "invited", "sticky_hours"]}),
        (
            gettext_lazy("Header and footer"),
            {
                "fields": ["header", "footer"],
                "description": gettext_lazy("They are added to every message and count towards its length."),
            },
        ),
        (
            gettext_lazy("STOP and HELP"),
            {
                "fields": ["keyword_languages", "opt_out_keyword", "opt_out_answer", "help_answer"],
                "description": gettext_lazy(
                    "A contact who texts STOP (or UNSUBSCRIBE, CANCEL, END, QUIT, …) gets one confirmation "
                    "and no further messages from this number until they text START. HELP and INFO get a "
                    "reply."
                ),
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        def counted(of_number: type[Assignment | PlannedAssignment]) -> Coalesce:
            found = of_number._default_manager.filter(number=OuterRef("pk")).order_by().values("number")
            return Coalesce(Subquery(found.annotate(count=Count("pk")).values("count")), 0)

        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.annotate(users_now=counted(Assignment), users_invited=counted(PlannedAssignment))

    @admin.display(description=gettext_lazy("users"))
    def user_count(self, number: Any) -> str:
        if not number.users_invited:
            return str(number.users_now)
        return _("%(users)d, and %(invited)d invited") % {
            "users": number.users_now,
            "invited": number.users_invited,
        }

    @admin.display(description=gettext_lazy("provider"))
    def provider(self, number: Number) -> str:
        return str(number.integration.template) if number.integration else "–"

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Asks for the organization first, since the form offers its providers and users."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        organization = self._organization(request)
        if organization is None or not organization.integrations.filter(enabled=True).exists():
            return self._before_adding(request, organization, _("Add number"))
        found: HttpResponse = super().add_view(request, form_url, extra_context)
        return found

    def _before_adding(
        self, request: HttpRequest, organization: Organization | None, title: str
    ) -> HttpResponse:
        """The page that asks for the organization, or to set up a provider for it."""
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "organization": organization,
            "organizations": Organization.objects.administered_by(user_of(request)),
        }
        return render(request, "admin/messaging/number_organization.html", context)

    def _organization(self, request: HttpRequest) -> Organization | None:
        """The organization from the URL or the list's filter, or the only one; None if there are several."""
        mine = Organization.objects.administered_by(user_of(request))
        from_list = QueryDict(request.GET.get("_changelist_filters", "")).get("organization", "")
        if chosen := request.GET.get("organization", from_list):
            return get_object_or_404(mine, pk=key_of(chosen))
        few = mine[:2]
        return few[0] if len(few) == 1 else None

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if obj is None:
            form.organization = self._organization(request)
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Without the list of invited people where there is nobody in it."""
        organization = obj.organization if obj else self._organization(request)
        found = super().get_fieldsets(request, obj)
        if invited.to(organization).exists():
            return found
        return [
            (title, {**more, "fields": [name for name in more["fields"] if name != "invited"]})
            for title, more in found
        ]

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        """As usual; the next number is added to the same organization."""
        found: HttpResponse = super().response_add(request, obj, post_url_continue)
        if "_addanother" in request.POST:
            return redirect(f"{request.path}?organization={obj.organization_id}")
        return found

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.save_users(form.instance)
        number = form.instance
        if number.active and not (form.cleaned_data["assigned"] or form.cleaned_data["invited"]):
            messages.warning(
                request,
                _("Nobody can text with %(number)s yet: choose its users on its page.") % {"number": number},
            )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.move_view)
        several = self.admin_site.admin_view(self.several_view)
        own: list[URLPattern] = [
            path("<int:pk>/move/", view, name="messaging_number_move"),
            path("leaving/<int:pk>/", self.admin_site.admin_view(leaving.view), name="messaging_leaving"),
            path("several/", several, name="messaging_number_several"),
        ]
        return [*own, *super().get_urls()]

    def several_view(self, request: HttpRequest) -> HttpResponse:
        """Takes a list of numbers that was pasted; what each line does is shown before it is imported."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        organization = self._organization(request)
        if organization is None or not organization.integrations.filter(enabled=True).exists():
            return self._before_adding(request, organization, _("Add several numbers"))
        form = SeveralForm(organization, request.POST or None)
        if request.method == "POST" and form.is_valid():
            row = imports.start(user_of(request), "numbers", _("pasted numbers"), form.table())
            return redirect("admin:messaging_transfer_change", row.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Add several numbers"),
            "form": form,
            "organization": organization,
            "several": Organization.objects.administered_by(user_of(request))[1:2].exists(),
        }
        status = 422 if form.errors else 200
        return render(request, "admin/messaging/numbers_several.html", context, status=status)

    def move_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Explains the consequences, asks for the organization, and moves the number there."""
        number = self.get_object(request, str(pk))
        if number is None or not self.has_change_permission(request, number):
            raise Http404
        organizations = Organization.objects.administered_by(user_of(request))
        others = organizations.filter(account=number.account_id).exclude(pk=number.organization_id)
        form = MoveForm(number, others, request.POST or None)
        if request.method == "POST" and form.is_valid():
            organization = form.cleaned_data["organization"]
            try:
                moved = move_number.move(number, organization, form.integration())
            except Refused as refusal:
                form.add_error(None, str(refusal))
            else:
                messages.success(
                    request,
                    _("%(number)s now belongs to %(organization)s. Assign its users next.")
                    % {"number": moved, "organization": organization},
                )
                return redirect("admin:messaging_number_change", moved.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Move number"),
            "number": number,
            "form": form,
            "possible": others.exists(),
        }
        status = 422 if form.errors else 200
        return render(request, "admin/messaging/number_move.html", context, status=status)
