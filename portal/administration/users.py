"""The admin pages of users, with their roles, and of API tokens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.widgets import UnfoldAdminPasswordToggleWidget

from portal import mail
from portal.account import second_factors
from portal.administration.base import PortalAdmin, user_of
from portal.administration.logs import exact_time
from portal.administration.people_filters import (
    MemberOrganizationFilter,
    MemberRoleFilter,
    SecondFactorFilter,
    UserStateFilter,
)
from portal.models import Account, Membership, Organization, PersonalToken, User
from portal.permissions import in_reach_of


class UserForm(forms.ModelForm):  # type: ignore[type-arg]
    """A user, with a password that an administrator may set."""

    new_password = forms.CharField(
        label=_("Password"),
        required=False,
        widget=UnfoldAdminPasswordToggleWidget(attrs={"autocomplete": "new-password"}),
        help_text=_(
            "Leave empty to keep the current password. A new one ends the user's sessions and API tokens."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None and "new_password" in self.fields:
            self.fields["new_password"].help_text = _(
                "The initial password. Users can change their own password."
            )

    class Meta:
        model = User
        fields = ["name", "email", "time_zone", "is_active", "is_operator"]

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        if password:
            validate_password(password, self.instance)
        elif self.instance.pk is None:
            raise forms.ValidationError(_("Set an initial password."))
        return password

    def save(self, commit: bool = True) -> Any:
        if password := self.cleaned_data.get("new_password"):
            self.instance.set_password(password)
        return super().save(commit)


class MembershipFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """A user's roles. Every user except an operator has at least one, if only outside the editor's reach."""

    def clean(self) -> None:
        super().clean()
        filled = [form for form in self.forms if form.instance.pk or form.has_changed()]
        if self.instance.is_operator or any(form not in self.deleted_forms for form in filled):
            return
        shown = [form.instance.pk for form in self.initial_forms]
        if not Membership.objects.filter(user=self.instance.pk).exclude(pk__in=shown).exists():
            raise forms.ValidationError(
                _("Give the user at least one role. To block the user, switch off “Active” instead.")
            )


class MembershipInline(TabularInline):  # type: ignore[misc]
    """The user's roles, except those outside the editor's reach."""

    model = Membership
    formset = MembershipFormSet
    extra = 0
    min_num = 0
    fields = ["organization", "account", "role", "extension", "status"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(in_reach_of(user_of(request)))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return (
            self.fields
            if user_of(request).administers_accounts
            else [f for f in self.fields if f != "account"]
        )

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 0 if obj else 1

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        user = user_of(request)
        if db_field.name == "organization":
            kwargs["queryset"] = Organization.objects.administered_by(user)
        if db_field.name == "account":
            kwargs["queryset"] = Account.objects.filter(in_reach_of(user, "", "pk"))
            kwargs["required"] = False
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_choice_field(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "role" and not user_of(request).administers_accounts:
            kwargs["choices"] = [c for c in Membership.Role.choices if c[0] != Membership.Role.ACCOUNT_ADMIN]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        required = not user_of(request).administers_accounts
        return super().get_formset(request, obj, form=_membership_form(required), **kwargs)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    has_change_permission = has_delete_permission = has_view_permission

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True


def _membership_form(organization_required: bool) -> type[forms.ModelForm]:  # type: ignore[type-arg]
    class MembershipForm(forms.ModelForm):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            if "organization" in self.fields:
                self.fields["organization"].required = organization_required

        def clean(self) -> Any:
            data = super().clean() or self.cleaned_data
            organization, account = data.get("organization"), data.get("account")
            if organization is not None:
                self.instance.account = organization.account
                data["account"] = organization.account
            elif account is None and not self.errors:
                raise forms.ValidationError(_("Choose an organization, or an account for an account admin."))
            return data

    return MembershipForm


@admin.register(User)
class UserAdmin(PortalAdmin):
    """Operators add users at once. Others invite people, who may be users already, unknown to the inviter."""

    form = UserForm
    list_before_template = "admin/users_invite.html"
    inlines = [MembershipInline]
    list_display = ["name", "email", "roles", "is_active", "second_factor", "signed_in"]
    list_filter = [MemberOrganizationFilter, MemberRoleFilter, UserStateFilter, SecondFactorFilter]
    change_form_after_template = "admin/user_next.html"
    search_fields = ["name", "email"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        user = user_of(request)
        rows = User.objects.order_by("name", "email").prefetch_related(
            "memberships__organization", "memberships__account"
        )
        rows = rows.annotate(has_second_factor=Exists(second_factors.of_users().filter(user=OuterRef("pk"))))
        if user.is_operator:
            return rows
        mine = Membership.objects.filter(in_reach_of(user))
        return rows.filter(pk__in=mine.values("user"), is_operator=False)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and user_of(request).is_operator

    @admin.display(description=_("roles"))
    def roles(self, user: User) -> str:
        return format_html("{}", ", ".join(str(member) for member in user.memberships.all()) or "–")

    @admin.display(description=_("last sign-in"), ordering="last_login")
    def signed_in(self, user: User) -> str:
        return exact_time(user.last_login) if user.last_login else "–"

    @admin.display(description=_("second factor"))
    def second_factor(self, user: Any) -> str:
        return gettext("set up") if user.has_second_factor else "–"

    def get_urls(self) -> list[URLPattern]:
        lost = path(
            "<int:pk>/second-factor/",
            self.admin_site.admin_view(self.lost_second_factor),
            name="portal_user_second_factor",
        )
        return [lost, *super().get_urls()]

    def lost_second_factor(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks, and removes the second factor that somebody has lost."""
        user = self.get_object(request, str(pk))
        if user is None:
            raise Http404
        if not self._may_remove_factor(request, user):
            raise PermissionDenied
        if request.method == "POST":
            told = second_factors.remove(user)
            said = (
                gettext("The second factor of %(name)s is removed, and a mail tells them.")
                if told
                else gettext("The second factor of %(name)s is removed. No mail could be sent: tell them.")
            )
            messages.success(request, said % {"name": user})
            return redirect("admin:portal_user_change", pk)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Remove the second factor of %(name)s?") % {"name": user},
            "person": user,
            "has_mail": mail.is_configured(),
        }
        return render(request, "admin/lost_second_factor.html", context)

    def _may_remove_factor(self, request: HttpRequest, user: Any) -> bool:
        """People change their own with their password, on their own page."""
        has_one = bool(user.has_second_factor) and user.pk != user_of(request).pk
        return has_one and self.may_edit(request, user)

    def render_change_form(self, request: Any, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        user = kwargs.get("obj")
        context["may_remove_factor"] = user is not None and self._may_remove_factor(request, user)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = ["name", "email", "time_zone", "is_active"]
        if obj is None or self.may_edit(request, obj):
            fields.append("new_password")
        return [*fields, "is_operator"] if user_of(request).is_operator else fields

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if obj is not None and not self.may_edit(request, obj):
            # A declared form field is read from the POST data even if the page does not show it.
            form.base_fields.pop("new_password")
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # A user who also has a role outside the editor's reach keeps name, address and password. An address
        # that is refused since somebody else has it would tell so, hence only operators change those.
        # A page of its own asks before somebody is deactivated.
        asks = ["is_active"] if obj is None or obj.is_active else []
        if user_of(request).is_operator:
            return asks
        if obj is None or self.may_edit(request, obj):
            return ["email", *asks]
        return ["name", "email", "time_zone", "is_active"]

    def may_edit(self, request: HttpRequest, other: User) -> bool:
        """Whether the user may change more of the other than their roles in reach."""
        user = user_of(request)
        if user.is_operator or other.pk == user.pk:
            return True
        roles = other.memberships.all()
        if not user.administers_accounts and roles.filter(role=Membership.Role.ACCOUNT_ADMIN).exists():
            return False
        return not roles.exclude(pk__in=Membership.objects.filter(in_reach_of(user))).exists()


@admin.register(PersonalToken)
class PersonalTokenAdmin(PortalAdmin):
    """The tokens of users in reach: administrators can revoke them, and only users create their own."""

    deletable = True
    list_display = fields = readonly_fields = ["name", "user", "beginning", "created_at", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["name", "user__name", "user__email"]
    ordering = ["-pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        user = user_of(request)
        rows = PersonalToken.objects.order_by("-pk")
        if user.is_operator:
            return rows
        mine = Membership.objects.filter(in_reach_of(user))
        return rows.filter(user__in=mine.values("user"), user__is_operator=False)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
