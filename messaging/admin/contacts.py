"""The admin pages of contacts: who they are, blocking, merging, and what they may ask for by law."""

from __future__ import annotations

import tempfile
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.db.models import Model, Q, QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from messaging import contact_export, erasure
from messaging.contact_form import ContactForm
from messaging.errors import Refused
from messaging.models import Contact, ContactTag
from messaging.models.contacts import known_by
from messaging.rules import contacts
from portal.administration.base import LISTED, OrganizationFilter, PortalAdmin, user_of
from portal.administration.pagination import CappedPaginator
from portal.ids import key_of
from portal.models import Organization

IN_MEMORY = 1024 * 1024  # bytes of an export; more go to a temporary file


class ContactAdminForm(ContactForm):
    class Meta(ContactForm.Meta):
        widgets = {
            "name": UnfoldAdminTextInputWidget,
            "company": UnfoldAdminTextInputWidget,
            "note": UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        }

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["tags"].widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})


class TagFilter(SimpleListFilter):
    """Filters by one of the tags in reach."""

    title = gettext_lazy("tag")
    parameter_name = "tag"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        mine = Organization.objects.administered_by(user_of(request))
        tags = ContactTag.objects.filter(organization__in=mine)
        return [(str(pk), name) for pk, name in tags.values_list("pk", "name")[:LISTED]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        key = key_of(self.value() or "")
        return queryset.filter(tags=key) if key else queryset


class BlockedFilter(SimpleListFilter):
    """Filters by whether contacts are blocked."""

    title = gettext_lazy("blocked")
    parameter_name = "blocked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("yes")), ("no", _("no"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("yes", "no"):
            return queryset.filter(blocked_at__isnull=self.value() == "no")
        return queryset


@admin.register(Contact)
class ContactAdmin(PortalAdmin):
    form = ContactAdminForm
    # Contacts are made by messages. What changes is recorded by `contacts`, without the values.
    read_only = True
    list_display = ["address", "person_name", "person_company", "tag_names", "organization", "is_blocked"]
    list_select_related = ["organization", "merged_into"]
    list_filter = [OrganizationFilter, TagFilter, BlockedFilter]
    search_fields = ["name"]
    search_help_text = gettext_lazy("Name, company, number or tag")
    ordering = ["address"]
    paginator = CappedPaginator
    list_before_template = "admin/messaging/transfer_tools.html"
    change_form_outer_after_template = "admin/messaging/contact_extras.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.prefetch_related("tags", "merged_into__tags")

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        words = search_term.strip()
        if not words:
            return queryset, False
        return queryset.filter(known_by(words) | Q(merged_into__name__icontains=words)), False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.in_reach(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = ["address", "organization", "name", "company", "tags", "note"]
        if obj is not None and obj.merged_into_id:
            return [(None, {"fields": ["address", "organization", "belongs_to"]})]
        return [(None, {"fields": shown})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["address", "organization", "belongs_to"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not obj.merged_into_id:
            form.apply(user_of(request))

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("<int:pk>/act/", wrap(require_POST(self.act)), name="messaging_contact_act"),
            path("<int:pk>/export/", wrap(require_POST(self.export)), name="messaging_contact_export"),
        ]
        return [*own, *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        same = Contact.objects.filter(Q(pk=key_of(object_id or "")) | Q(merged=key_of(object_id or "")))
        person = self.get_queryset(request).filter(pk__in=same.filter(merged_into=None).values("pk")).first()
        numbers = Contact.objects.of_person(person).order_by("pk") if person else []
        members = person.members_in_order if person else []
        context = {"numbers": numbers, "members": members, **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def act(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Blocks or unblocks a contact, merges it with another number, or separates it again."""
        contact, user = self._own(request, pk), user_of(request)
        try:
            match request.POST.get("do"):
                case "block":
                    contacts.block(contact, user)
                case "unblock":
                    contacts.unblock(contact, user)
                case "separate":
                    contacts.separate(contact, user)
                case "merge":
                    contacts.merge(self._other(contact, request.POST.get("other", "")), contact, user)
        except Refused as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, _("Saved."))
        return redirect("admin:messaging_contact_change", pk)

    def export(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """All that is stored of the person, as a ZIP."""
        contact = self._own(request, pk)
        file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (the response closes it)
        contact_export.write(contact, file)
        file.seek(0)
        return FileResponse(file, as_attachment=True, filename=f"contact-{pk}.zip")

    @admin.display(description=gettext_lazy("name"))
    def person_name(self, contact: Contact) -> str:
        return contact.person.name

    @admin.display(description=gettext_lazy("company"))
    def person_company(self, contact: Contact) -> str:
        return contact.person.company

    @admin.display(description=gettext_lazy("tags"))
    def tag_names(self, contact: Contact) -> str:
        return ", ".join(tag.name for tag in contact.person.tags.all())

    @admin.display(description=gettext_lazy("blocked"))
    def is_blocked(self, contact: Contact) -> str:
        return _("blocked") if contact.blocked_at else ""

    @admin.display(description=gettext_lazy("belongs to"))
    def belongs_to(self, contact: Contact) -> str:
        return f"{contact.person} ({contact.person.address})"

    def _own(self, request: HttpRequest, pk: int) -> Contact:
        found: Contact | None = self.get_queryset(request).filter(pk=pk).first()
        if found is None or not self.in_reach(request, None):
            raise Http404
        return found

    def _other(self, contact: Contact, given: str) -> Contact:
        """The contact of the same organization with the number that was entered. Raises Refused."""
        try:
            address = erasure.address_of(contact.organization, given[:100])
        except ValueError as error:
            raise Refused(str(error)) from None
        other = Contact.objects.filter(organization=contact.organization, address=address).first()
        if other is None:
            raise Refused(_("There is no contact with the number %(number)s.") % {"number": address})
        return other
