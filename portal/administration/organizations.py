"""The admin pages of accounts and organizations."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from portal.administration.base import PortalAdmin, user_of
from portal.models import Account, Organization, User
from portal.permissions import in_reach_of

DAYS = ["message_days", "file_days", "attempt_days", "webhook_days", "audit_days"]


@admin.register(Account)
class AccountAdmin(PortalAdmin):
    organization_lookup, account_lookup = "", "pk"
    list_display = ["name", "accountid", "organization_count"]
    search_fields = ["name", "accountid"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """All but the demand for second factors is up to operators."""
        if user_of(request).is_operator:
            return ["accountid"]
        return ["name", "accountid", *DAYS]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [
            (None, {"fields": ["name", "accountid"] if obj else ["name"]}),
            (
                _("Sign-in"),
                {
                    "fields": ["second_factor"],
                    "description": format_html(
                        '{} <a class="underline" href="{}?second_factor=no">{}</a>',
                        _(
                            "Whoever must have a second factor and has none – you, too – sets up a passkey "
                            "or an authenticator app at the next click, and can do nothing else before. "
                            "Programs with API tokens go on."
                        ),
                        reverse("admin:portal_user_changelist"),
                        _("Who has none?"),
                    ),
                },
            ),
            (
                _("Days to keep"),
                {
                    "fields": DAYS,
                    "description": _(
                        "After how many days the data of the account are deleted; 0 keeps them for ever. "
                        "Leave a field empty to keep them as long as the installation does."
                    ),
                },
            ),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(number_of=Count("organizations"))

    @admin.display(description=_("organizations"))
    def organization_count(self, account: Any) -> int:
        return int(account.number_of)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return user_of(request).is_operator

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return user_of(request).administers_accounts and super().has_change_permission(request, obj)


@admin.register(Organization)
class OrganizationAdmin(PortalAdmin):
    organization_lookup, account_lookup = "pk", "account"
    list_display = ["name", "domain", "account", "integration_count", "number_count"]
    list_select_related = ["account"]
    search_fields = ["name", "domain", "orgid"]
    list_before_template = "admin/messaging/transfer_tools.html"
    change_form_after_template = "admin/organization_next.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows.annotate(
            enabled_integrations=Count("integrations", filter=Q(integrations__enabled=True), distinct=True),
            active_numbers=Count("numbers", filter=Q(numbers__active=True), distinct=True),
        )

    @admin.display(description=_("integrations"))
    def integration_count(self, organization: Any) -> int:
        return int(organization.enabled_integrations)

    @admin.display(description=_("numbers"))
    def number_count(self, organization: Any) -> int:
        return int(organization.active_numbers)

    @admin.display(description=_("account"))
    def account_name(self, organization: Any) -> str:
        return str(organization.account)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [self._account(request, obj), "name", "domain", *(["orgid"] if obj else [])]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [self._account(request, obj), "domain", "orgid"] if obj else []

    def _account(self, request: HttpRequest, obj: Any) -> str:
        """The field that links to the account, or only its name for users who cannot see its page."""
        user = user_of(request)
        visible = obj is None or user.is_operator or obj.account_id in user.administered_accounts
        return "account" if visible else "account_name"

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The only account is chosen already."""
        few = Account.objects.filter(in_reach_of(user_of(request), "", "pk"))[:2]
        only = {"account": few[0]} if len(few) == 1 else {}
        return {**only, **super().get_changeform_initial_data(request)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        user = request.user
        return isinstance(user, User) and user.administers_accounts
