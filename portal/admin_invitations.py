"""The admin pages of invitations, by which everybody but operators adds people."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal import invitations, mail, throttling
from portal.admin_base import PortalAdmin, user_of
from portal.models import Invitation, Membership, User


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whom to invite to what; the address is compared with those of users in that very place only."""

    inviter: User

    class Meta:
        model = Invitation
        fields = ["email", "name", "organization", "account", "role"]

    def clean(self) -> Any:
        data = super().clean() or self.cleaned_data
        if self.errors:
            return data
        invitation, organization = self.instance, data["organization"]
        if organization is None and data.get("account") is None:
            raise forms.ValidationError(_("Choose an organization, or an account for an account admin."))
        if organization is None and data["role"] != Membership.Role.ACCOUNT_ADMIN:
            raise forms.ValidationError(_("Choose an organization."))
        data["account"] = organization.account if organization else data["account"]
        invitation.account, invitation.organization = data["account"], organization
        invitation.role, invitation.inviter = data["role"], self.inviter
        if not invitation.is_allowed():
            raise forms.ValidationError(_("You cannot give this role."))
        members = Membership.objects.filter(account=invitation.account, organization=organization)
        if members.filter(user__email=data["email"].lower()).exists():
            raise forms.ValidationError({"email": _("This user has a role there already.")})
        counter = f"invitations:{self.inviter.pk}"
        if throttling.count(counter, Invitation.MOST_PER_HOUR, throttling.HOUR) is not None:
            raise forms.ValidationError(_("You have invited many people. Please go on in an hour."))
        return data


@admin.register(Invitation)
class InvitationAdmin(PortalAdmin):
    """Open invitations: written, mailed, and withdrawn; never changed."""

    form = InvitationForm
    organization_lookup, account_lookup = "organization", "account"
    deletable = True
    only_save = True
    list_display = ["email", "name", "organization", "role", "inviter", "created_at"]
    list_select_related = ["organization", "account", "inviter"]
    search_fields = ["email", "name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(created_at__gt=timezone.now() - Invitation.VALID)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        account = ["account"] if user_of(request).administers_accounts else []
        return [
            "email",
            "name",
            "organization",
            *account,
            "role",
            *(["inviter", "created_at"] if obj else []),
        ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        form.inviter = user_of(request)
        if "account" in form.base_fields:
            form.base_fields["account"].required = False
        elif "organization" in form.base_fields:
            form.base_fields["organization"].required = True
            form.base_fields["organization"].help_text = ""
        return form

    def formfield_for_choice_field(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "role" and not user_of(request).administers_accounts:
            kwargs["choices"] = [c for c in Membership.Role.choices if c[0] != Membership.Role.ACCOUNT_ADMIN]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Whoever gets the link can find out whether the address belongs to a user of another organization.
        may = mail.is_configured() or user_of(request).administers_accounts
        return super().has_add_permission(request) and may

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if not (mail.is_configured() or user_of(request).administers_accounts):
            text = _(
                "This installation sends no e-mail. Ask an administrator of the account to invite people."
            )
            messages.warning(request, text)
        return super().changelist_view(request, extra_context)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        link = invitations.link(obj)
        transaction.on_commit(lambda: self._send(request, obj, link))

    def _send(self, request: HttpRequest, invitation: Invitation, link: str) -> None:
        names = {"address": invitation.email}
        if not mail.is_configured():
            text = _(
                "This installation sends no e-mail. Pass this link on to %(address)s yourself; it is valid "
                "for a week, and is not shown again: %(link)s"
            )
            messages.warning(request, text % {**names, "link": link})
        elif invitations.send(invitation, link):
            text = _(
                "An invitation has been sent to %(address)s. Once it is accepted, the list of users has them."
            )
            messages.success(request, text % names)
        else:
            messages.error(request, _("The mail to %(address)s could not be sent. Try again later.") % names)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        return redirect("admin:portal_invitation_changelist")
