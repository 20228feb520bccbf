"""The page Health: integrations that do not work come first, and a paused one can be retried at once."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Case, F, IntegerField, QuerySet, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations.models import State, state_now
from messaging.models import ServiceHealth
from messaging.reporting import health
from portal.administration.base import PortalAdmin, user_of
from portal.ids import key_of
from portal.models import Organization

PER_PAGE = 20


@admin.register(ServiceHealth)
class ServiceHealthAdmin(PortalAdmin):
    read_only = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        worst_first = Case(
            When(state_now__in=[State.HELD, State.PAUSED], then=0),
            When(state_now=State.TROUBLE, then=1),
            When(state_now=State.ON, then=2),
            default=3,
            output_field=IntegerField(),
        )
        rows = super().get_queryset(request).annotate(state_now=state_now())
        return rows.order_by(worst_first, F("organization__name"), F("template__name"), "pk")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """All integrations in reach, or those of one organization (`?organization=`)."""
        organizations = Organization.objects.administered_by(user_of(request))
        rows = self.get_queryset(request)
        chosen = request.GET.get("organization", "")
        if chosen:
            rows = rows.filter(organization=get_object_or_404(organizations, pk=key_of(chosen)))
        page = Paginator(rows, PER_PAGE).get_page(request.GET.get("p"))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Health"),
            "page": page,
            "found": health.of(rows.filter(pk__in=[row.pk for row in page])),
            "organizations": organizations[:200],
            "chosen": chosen,
        }
        return render(request, "admin/messaging/health.html", context)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        own = self.get_queryset(request)
        found = get_object_or_404(own, pk=key_of(object_id))
        return redirect("admin:integrations_setup", found.organization_id, found.template_id)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.retry_now))
        own: list[URLPattern] = [path("<int:pk>/try-again/", view, name="messaging_retry_integration")]
        return [*own, *super().get_urls()]

    def retry_now(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Retries a paused integration at once instead of at the end of its pause."""
        if not self.in_reach(request, None):
            raise Http404
        row = get_object_or_404(self.get_queryset(request), pk=pk)
        health.retry_now([row.pk])
        messages.success(
            request,
            _("One message is being sent through %(provider)s. If it is accepted, the others follow.")
            % {"provider": row.template},
        )
        return redirect("admin:messaging_servicehealth_changelist")
