"""Erasures: request one, watch it, and read its protocol."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextInputWidget

from messaging import erasure
from messaging.models import Contact, Erasure
from messaging.models.contacts import ADDRESS_LENGTH
from portal.administration.base import OrganizationFilter, PortalAdmin, user_of
from portal.ids import key_of
from portal.models import Organization


class ErasureForm(forms.ModelForm):  # type: ignore[type-arg]
    number = forms.CharField(
        label=gettext_lazy("Contact"),
        max_length=ADDRESS_LENGTH,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "+61 412 345 678", "autocomplete": "off"}),
        help_text=gettext_lazy("The contact's phone number with the country code, or the sender's name."),
    )
    sure = forms.BooleanField(
        label=gettext_lazy("I know that this cannot be undone"),
        help_text=gettext_lazy(
            "All messages with the contact are deleted, with their files, delivery attempts and webhooks. "
            "Messages that wait to be sent are not sent. A backup still has them until it is deleted, too."
        ),
    )

    class Meta:
        model = Erasure
        fields = ["organization", "number", "with_opt_outs", "sure"]

    def clean_number(self) -> str:
        given = str(self.cleaned_data["number"])
        if organization := self.cleaned_data.get("organization"):
            try:
                erasure.address_of(organization, given)
            except ValueError as error:
                raise ValidationError(str(error)) from None
        return given


@admin.register(Erasure)
class ErasureAdmin(PortalAdmin):
    form = ErasureForm
    only_button = gettext_lazy("Erase for good")
    list_display = ["masked", "organization", "requester", "requested_at", "state"]
    list_select_related = ["organization"]
    list_filter = [OrganizationFilter]
    search_fields = ["requester"]
    search_help_text = gettext_lazy("Search by the contact's whole number or by who requested it")
    ordering = ["-pk"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["organization", "number", "with_opt_outs", "sure"]})]
        shown = ["masked", "organization", "requester", "requested_at", "state", "erased", "with_opt_outs"]
        return [(None, {"fields": [*shown, "fingerprint"]})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["state", "erased"] if obj else []

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The contact whose page has led here."""
        rows = Contact.objects.filter(organization__in=Organization.objects.administered_by(user_of(request)))
        contact = rows.filter(pk=key_of(request.GET.get("contact", ""))).first()
        return {"organization": contact.organization_id, "number": contact.address} if contact else {}

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """A number is found by its fingerprint, which is all that is left of it."""
        if found := erasure.of_number(search_term):
            return queryset.filter(fingerprint__in=found), False
        return super().get_search_results(request, queryset, search_term)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        given = form.cleaned_data
        made = erasure.start(
            given["organization"], given["number"], user_of(request), with_opt_outs=given["with_opt_outs"]
        )
        obj.pk = made.pk
        obj.masked = made.masked

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        messages.success(
            request, _("%(contact)s is being erased. This page shows when it is done.") % {"contact": obj}
        )
        return self._response_post_save(request, obj)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The erasure is its own record, which does not tell the number."""

    @admin.display(description=gettext_lazy("state"))
    def state(self, obj: Any) -> str:
        return _("finished") if obj.finished_at else _("in progress")

    @admin.display(description=gettext_lazy("erased"))
    def erased(self, obj: Any) -> str:
        return ", ".join(erasure.in_words(obj.counts)) or _("Nothing was found.")
