"""The page Audit: who did what, filtered and as a file; nobody changes it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import DropdownFilter

from portal import audit
from portal.administration.base import LISTED, user_of
from portal.administration.filters import DaysFilter, OrganizationDropdown
from portal.administration.logs import LogAdmin, OlderFilter, exact_time
from portal.audit import export
from portal.audit.recording import kind_of
from portal.models import AuditEntry, Membership, User
from portal.models.audit_entries import Action
from portal.permissions import in_reach_of

NOBODY = "none"


class WhoFilter(DropdownFilter):  # type: ignore[misc]
    """Filters by one of the users in reach, or by what nobody did who was signed in."""

    title = gettext_lazy("who")
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        user = user_of(request)
        rows = User.objects.order_by("name", "email")
        if not user.is_operator:
            rows = rows.filter(pk__in=Membership.objects.filter(in_reach_of(user)).values("user"))
        people = [(str(row.pk), f"{row.name} <{row.email}>") for row in rows[:LISTED]]
        return [*people, (NOBODY, _("nobody who was signed in"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        if value == NOBODY:
            return queryset.filter(actor=None)
        return queryset.filter(actor=int(value[:18])) if value.isdecimal() else queryset


class ActionFilter(DropdownFilter):  # type: ignore[misc]
    """Filters by what was done."""

    title = gettext_lazy("action")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, str(label)) for value, label in Action.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(action=self.value()) if self.value() in Action.values else queryset


class KindFilter(DropdownFilter):  # type: ignore[misc]
    """Filters by the kind of object."""

    title = gettext_lazy("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        models = {model for model in admin.site._registry if not model._meta.proxy} | audit.watched()
        found = [(model._meta.label_lower, str(model._meta.verbose_name)) for model in models]
        return sorted(found, key=lambda choice: choice[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(kind=value) if value in dict(self.lookup_choices) else queryset


class ObjectFilter(admin.SimpleListFilter):
    """Filters by one object; its page links here as its history."""

    title = gettext_lazy("object")
    parameter_name = "object"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        value = self.value() or ""
        return [(value, _("selected object"))] if value.isdecimal() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        return queryset.filter(object_id=value) if value.isdecimal() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(LogAdmin):
    """Operators see all entries, account admins their account's, organization admins their organization's."""

    account_lookup = "account"
    list_display = ["time", "what", "changed", "place", "address"]
    list_select_related = ["account", "organization"]
    list_filter = [
        ("at", DaysFilter),
        WhoFilter,
        ActionFilter,
        KindFilter,
        OrganizationDropdown,
        ObjectFilter,
        OlderFilter,
    ]
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["who", "name", "address", "request_id"]
    search_help_text = gettext_lazy("Name of a person or object, IP address, or request id")
    list_before_template = "admin/portal/audit_export.html"
    change_form_outer_before_template = "admin/portal/audit_entry.html"

    @admin.display(description=gettext_lazy("time"))
    def time(self, entry: AuditEntry) -> str:
        return exact_time(entry.at)

    @admin.display(description=gettext_lazy("what"))
    def what(self, entry: AuditEntry) -> str:
        return entry.sentence

    @admin.display(description=gettext_lazy("changes"))
    def changed(self, entry: AuditEntry) -> str:
        shown = [(text,) for text in entry.details[:3]]
        if len(entry.details) > len(shown):
            shown.append((_("… and %(number)d more") % {"number": len(entry.details) - len(shown)},))
        lines = format_html_join("", "<div>{}</div>", shown)
        return format_html('<div class="pb-change">{}</div>', lines or "–")

    @admin.display(description=gettext_lazy("organization"))
    def place(self, entry: AuditEntry) -> str:
        return str(entry.organization or entry.account or "–")

    def details(self, row: AuditEntry) -> dict[str, Any]:
        return {"title": _("Audit entry"), "entry": row, "show_history": False}

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        found: HttpResponse = super().changelist_view(request, {"title": _("Audit"), **(extra_context or {})})
        return found

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        entry = self.get_object(request, object_id) if object_id else None
        context = {"object_url": self._url_of(request, entry) if entry else "", **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def _url_of(self, request: HttpRequest, entry: AuditEntry) -> str:
        """The page of the entry's object, if there still is one that the user may see."""
        for model, page in self.admin_site._registry.items():
            if kind_of(model) == entry.kind and not model._meta.proxy and entry.object_id.isdecimal():
                row = page.get_queryset(request).filter(pk=entry.object_id[:18]).first()
                if row is not None and page.has_view_permission(request, row):
                    return reverse(f"admin:{entry.kind.replace('.', '_')}_change", args=[row.pk])
        return ""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.export_view))
        return [path("export/", view, name="portal_auditentry_export"), *super().get_urls()]

    def export_view(self, request: HttpRequest) -> StreamingHttpResponse:
        """The entries that the list shows with the same query, at most export.MAX_ROWS, as CSV."""
        if not self.in_reach(request, None):
            raise Http404
        entries = self.get_changelist_instance(request).get_queryset(request)
        filters = urlencode([(key, str(value)) for key, value in request.GET.items() if value])
        audit.record(
            Action.EXPORTED,
            name=str(self.opts.verbose_name_plural),
            changes=audit.filters(filters),
            scope=_scope_of(user_of(request)),
        )
        response = StreamingHttpResponse(export.lines(entries), content_type="text/csv; charset=utf-8")
        day = timezone.localdate().isoformat()
        response.headers["Content-Disposition"] = f'attachment; filename="audit-{day}.csv"'
        return response

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        raise Http404  # an entry has no history


def _scope_of(user: User) -> Any:
    """Where the actions of a user on no single object belong: to where all of their roles are."""
    return (None, None) if user.is_operator else audit.scope_of(user)
