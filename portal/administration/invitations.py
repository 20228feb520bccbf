"""The admin pages of invitations, by which everybody but operators adds people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from portal import mail
from portal.administration.base import OrganizationFilter, PortalAdmin, user_of
from portal.administration.people_filters import InvitationRoleFilter, InvitationStateFilter
from portal.models import Invitation, Membership, User
from portal.people import invitations, invite_many


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whom to invite to what; the address is compared with those of users in that very place only."""

    inviter: User

    class Meta:
        model = Invitation
        fields = ["email", "name", "organization", "account", "role", "extension"]

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
        extension = data.get("extension")
        if extension and organization and organization.memberships.filter(extension=extension).exists():
            raise forms.ValidationError(
                {"extension": _("Another user of the organization has this extension.")}
            )
        if (seconds := invitations.wait(self.inviter)) is not None:
            raise forms.ValidationError(invitations.too_many(seconds))
        return data


@admin.register(Invitation)
class InvitationAdmin(PortalAdmin):
    """Open invitations: written, mailed, sent again, and withdrawn; never changed."""

    form = InvitationForm
    organization_lookup, account_lookup = "organization", "account"
    deletable = True
    only_button = _("Invite")
    list_display = ["email", "name", "organization", "role", "state", "inviter", "created_at"]
    list_select_related = ["organization", "account", "inviter"]
    list_filter = [OrganizationFilter, InvitationRoleFilter, InvitationStateFilter]
    list_before_template = "admin/invitations_many.html"
    change_form_after_template = "admin/invitation_next.html"
    search_fields = ["email", "name"]

    @admin.display(description=_("state"))
    def state(self, invitation: Invitation) -> str:
        if invitation.has_expired:
            return gettext("expired")
        until = localtime(invitation.created_at + Invitation.VALID)
        return gettext("open until %(day)s") % {"day": date_format(until, "j M, H:i")}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        account = ["account"] if user_of(request).administers_accounts else []
        more = ["state", "inviter", "created_at"] if obj else []
        return ["email", "name", "organization", *account, "role", "extension", *more]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["state", "inviter", "created_at"] if obj else []

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
        may_add = self.has_add_permission(request)
        if not may_add:
            text = _(
                "This installation sends no e-mail. Ask an administrator of the account to invite people."
            )
            messages.warning(request, text)
        return super().changelist_view(request, {"may_invite": may_add, **(extra_context or {})})

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.url = invitations.link(obj)
        if mail.is_configured():
            transaction.on_commit(lambda: self._send(request, obj))

    def _send(self, request: HttpRequest, invitation: Any) -> None:
        names = {"address": invitation.email}
        if invitations.send(invitation, invitation.url):
            text = _(
                "An invitation has been sent to %(address)s. Once it is accepted, the list of users has them."
            )
            messages.success(request, text % names)
        else:
            invitations.withdraw([invitation])
            messages.error(request, _("The mail to %(address)s could not be sent. Try again later.") % names)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        if not mail.is_configured():
            return self._links(request, [(obj, obj.url)])
        return redirect("admin:portal_invitation_changelist")

    def _links(self, request: HttpRequest, links: Sequence[tuple[Invitation, str]]) -> HttpResponse:
        """The page with the links, where nobody gets them by mail."""
        title = ngettext("Pass this link on", "Pass these links on", len(links))
        context = {**self.admin_site.each_context(request), "title": title, "links": links}
        return render(request, "admin/portal/invitation_links.html", context)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("many/", wrap(self.many_view), name="portal_invitation_many"),
            path("<int:pk>/again/", wrap(self.again_view), name="portal_invitation_again"),
        ]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **more: Any
    ) -> Any:
        invitation = more.get("obj")
        context["may_invite_again"] = invitation is not None and self._may_invite_again(request, invitation)
        return super().render_change_form(request, context, *args, **more)

    def _may_invite_again(self, request: HttpRequest, invitation: Invitation) -> bool:
        return self.has_add_permission(request) and invitation.is_allowed(user_of(request))

    def again_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks, and sends an invitation again with a new link."""
        invitation = self.get_object(request, str(pk))
        if invitation is None:
            raise Http404
        user = user_of(request)
        if not self._may_invite_again(request, invitation):
            raise PermissionDenied
        if request.method == "POST":
            if (seconds := invitations.wait(user)) is not None:
                messages.error(request, invitations.too_many(seconds))
                return redirect("admin:portal_invitation_changelist")
            url = invitations.renew(invitation, user)
            names = {"address": invitation.email}
            if not mail.is_configured():
                return self._links(request, [(invitation, url)])
            if invitations.send(invitation, url):
                messages.success(request, _("The invitation has been sent to %(address)s again.") % names)
            else:
                messages.error(
                    request, _("The mail to %(address)s could not be sent. Try again later.") % names
                )
            return redirect("admin:portal_invitation_changelist")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Send the invitation again"),
            "invitation": invitation,
            "sends_mail": mail.is_configured(),
        }
        return render(request, "admin/portal/invitation_again.html", context)

    def many_view(self, request: HttpRequest) -> HttpResponse:
        """Takes a list of people, says what is wrong in each, and invites the others if confirmed."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        user, text = user_of(request), request.POST.get("people", "")
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": _("Invite many people"),
            "text": text,
            "sends_mail": mail.is_configured(),
            "most": invite_many.MOST,
            "most_per_hour": Invitation.MOST_PER_HOUR,
        }
        if request.method == "POST":
            try:
                lines = invite_many.read(text, user)
                good = [line for line in lines if line.invitation]
                if "confirm" in request.POST and good:
                    if mail.is_configured():
                        return redirect(invite_many.invite_by_mail(lines, user))
                    return self._links(request, invite_many.invite(lines, user))
                context |= {"lines": lines, "good": len(good), "bad": len(lines) - len(good)}
            except ValidationError as error:
                context["error"] = " ".join(error.messages)
        status = 422 if "error" in context or context.get("bad") else 200
        return render(request, "admin/portal/invitation_many.html", context, status=status)
