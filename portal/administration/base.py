"""The base of all admin pages: administrators see and change only the rows in their reach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.admin import SimpleListFilter, display
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import ForeignKey, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, checkbox

from portal import audit
from portal.audit.changes import EMPTY
from portal.audit.recording import kind_of, record_change
from portal.database import plans
from portal.ids import key_of
from portal.models import Account, Organization, User
from portal.permissions import in_reach_of

LISTED = 200  # choices of a filter
# Drawing the checkbox of a row by its templates takes as long as drawing the rest of the row.
_BEFORE_KEY, _AFTER_KEY = map(mark_safe, checkbox.render(ACTION_CHECKBOX_NAME, "@").split("@"))


def user_of(request: HttpRequest) -> User:
    """The signed-in user; nobody else reaches the pages of the admin."""
    assert isinstance(request.user, User)
    return request.user


class PortalAdmin(ModelAdmin):  # type: ignore[misc]
    """The rows of the organizations and accounts that the user administers; any other row is a 404.

    `organization_lookup` and `account_lookup` lead from a row to its organization and account; an empty one
    means that the row has none.
    """

    organization_lookup: ClassVar[str] = "organization"
    account_lookup: ClassVar[str] = "organization__account"
    deletable: ClassVar[bool] = False
    read_only: ClassVar[bool] = False
    only_button: ClassVar[Any] = ""  # the label of the one button, where nothing is left to edit afterwards
    list_per_page = 50
    show_full_result_count = False
    compressed_fields = True
    warn_unsaved_form = True

    def __init__(self, model: type[Model], admin_site: Any) -> None:
        super().__init__(model, admin_site)
        if not self.read_only:
            through = [field.remote_field.through for field in model._meta.many_to_many]
            for watched in (model, *(inline.model for inline in self.inlines), *through):
                audit.watch(watched)

    @display(description=ModelAdmin.action_checkbox.short_description)
    def action_checkbox(self, obj: Model) -> SafeString:
        return format_html("{}{}{}", _BEFORE_KEY, obj.pk, _AFTER_KEY)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.filter(in_reach_of(user_of(request), self.organization_lookup, self.account_lookup))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, under the name that it has in the menu."""
        title = capfirst(self.opts.verbose_name_plural)
        with plans.for_these_values():
            found: HttpResponse = super().changelist_view(request, {"title": title, **(extra_context or {})})
        return found

    def render_change_form(self, request: Any, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context["only_button"] = self.only_button
        return super().render_change_form(request, context, *args, **kwargs)

    def in_reach(self, request: HttpRequest, obj: Model | None) -> bool:
        """Whether the user is an administrator and, if a row is given, may access it."""
        user = request.user
        if not isinstance(user, User) or not user.is_staff:
            return False
        return obj is None or obj.pk is None or self.get_queryset(request).filter(pk=obj.pk).exists()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.in_reach(request, None)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.in_reach(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return not self.read_only and self.in_reach(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not self.read_only and self.in_reach(request, None)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.deletable and not self.read_only and self.in_reach(request, obj)

    def formfield_for_foreignkey(self, db_field: ForeignKey[Any, Any], request: Any, **kwargs: Any) -> Any:
        user = user_of(request)
        if db_field.related_model is Organization:
            kwargs["queryset"] = Organization.objects.administered_by(user)
        elif db_field.related_model is Account:
            kwargs["queryset"] = Account.objects.filter(in_reach_of(user, "", "pk"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None and request.method == "POST" and not self.read_only:
            request.before_change = self._snapshot(found)  # type: ignore[attr-defined]
        return found

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with audit.covered():
            return super().changeform_view(request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with audit.covered():
            return super().delete_view(request, *args, **kwargs)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with audit.covered():
            super().delete_queryset(request, queryset)

    # Django calls these once for each row that it adds, changes or deletes, in the transaction of the change.
    # They replace its own log, whose table stays empty.

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:
        record_change(obj, EMPTY, self._snapshot(obj))

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> None:
        before = getattr(request, "before_change", None)
        if before is not None:
            record_change(obj, before, self._snapshot(obj))

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Model]) -> None:
        for row in queryset:
            audit.record(audit.Action.DELETED, row)

    def _snapshot(self, row: Model) -> audit.Snapshot:
        """The row as it is stored, with the rows of the inlines."""
        stored = self.model._base_manager.get(pk=row.pk)
        return audit.snapshot(stored, [inline.model for inline in self.inlines])

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Leads to the entries of the audit about the row."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied
        page = reverse("admin:portal_auditentry_changelist")
        return redirect(f"{page}?{urlencode({'kind': kind_of(self.model), 'object': row.pk})}")

    def _get_obj_does_not_exist_redirect(self, request: Any, opts: Any, object_id: Any) -> HttpResponse:
        raise Http404


class OrganizationFilter(SimpleListFilter):
    """Filters by one of the organizations in reach."""

    title = _("organization")
    parameter_name = "organization"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        mine = Organization.objects.administered_by(user_of(request))
        return [(str(pk), name) for pk, name in mine.values_list("pk", "name")[:LISTED]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        key = key_of(self.value() or "")
        return queryset.filter(organization=key) if key else queryset
