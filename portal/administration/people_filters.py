"""Filters of the lists of users and invitations; none tells of roles outside the administrator's reach."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from portal.administration.base import OrganizationFilter, user_of
from portal.ids import key_of
from portal.models import Invitation, Membership
from portal.permissions import in_reach_of


def _members(request: HttpRequest, **conditions: Any) -> Any:
    """The keys of the users with such a role in reach."""
    return Membership.objects.filter(in_reach_of(user_of(request)), **conditions).values("user")


class MemberOrganizationFilter(OrganizationFilter):
    """Users with a role in one of the organizations in reach."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        key = key_of(self.value() or "")
        return queryset.filter(pk__in=_members(request, organization=key)) if key else queryset


class _RoleFilter(SimpleListFilter):
    title = _("role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return list(Membership.Role.choices)


class MemberRoleFilter(_RoleFilter):
    """Users with a role of a kind, somewhere in reach."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        role = self.value()
        return queryset.filter(pk__in=_members(request, role=role)) if role else queryset


class InvitationRoleFilter(_RoleFilter):
    """Invitations to a role."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(role=self.value()) if self.value() else queryset


class UserStateFilter(SimpleListFilter):
    """Users who are active, deactivated, blocked in an organization, or have never signed in."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [
            ("active", _("active")),
            ("deactivated", _("deactivated")),
            ("blocked", _("role blocked")),
            ("new", _("never signed in")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "active" | "deactivated" as state:
                return queryset.filter(is_active=state == "active")
            case "blocked":
                blocked = _members(request, status=Membership.Status.BLOCKED)
                return queryset.filter(pk__in=blocked)
            case "new":
                return queryset.filter(last_login=None)
        return queryset


class SecondFactorFilter(SimpleListFilter):
    """Users with a second factor, or without."""

    title = _("second factor")
    parameter_name = "second_factor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("yes", _("set up")), ("no", _("none"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(has_second_factor=self.value() == "yes")


class InvitationStateFilter(SimpleListFilter):
    """Invitations that are open, or have expired."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        return [("open", _("open")), ("expired", _("expired"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since = timezone.now() - Invitation.VALID
        match self.value():
            case "open":
                return queryset.filter(created_at__gt=since)
            case "expired":
                return queryset.filter(created_at__lte=since)
        return queryset
