"""What the lists of messages, delivery attempts and webhooks are filtered by; only what occurs is offered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter

from integrations.models import Integration, Template
from messaging.models import Message, Number, WebhookRequest
from messaging.models.traces import WebhookRequestQuerySet
from messaging.statuses import QUARANTINE, Direction, QueueState, Status, Verdict
from portal.administration.base import user_of
from portal.administration.filters import RowFilter, ValueFilter
from portal.models import Membership, User
from portal.permissions import in_reach_of

RECENT = 1000  # rows whose values are offered
WINDOW = 20_000  # keys among which failed messages are looked at for their codes
_NOT_SENT = Q(status__in=[Status.UNKNOWN, Status.FAILED])  # as the index says


class StatusFilter(DropdownFilter):  # type: ignore[misc]
    """Filters messages by groups of statuses."""

    title = gettext_lazy("status")
    parameter_name = "outcome"

    _CONDITIONS: ClassVar[dict[str, Q]] = {
        "problem": _NOT_SENT,
        "failed": _NOT_SENT & Q(status=Status.FAILED),
        "unknown": _NOT_SENT & Q(status=Status.UNKNOWN),
        "waiting": Q(queue_state=QueueState.WAITING),
        "sent": Q(direction=Direction.OUT, status=Status.SENT),
        "delivered": Q(direction=Direction.OUT, status__in=[Status.DELIVERED, Status.READ]),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("problem", _("failed or unknown")),
            ("failed", _("failed")),
            ("unknown", _("unknown (no response)")),
            ("waiting", _("waiting")),
            ("sent", _("sent, not reported as delivered")),
            ("delivered", _("delivered or read")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(self._CONDITIONS.get(self.value() or "", Q()))


class CodeFilter(ValueFilter):
    """Filters messages that were not sent by the provider's error code."""

    title = gettext_lazy("error code")
    parameter_name = "code"

    def values(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        # All organizations of an account have no index in this order: bounds take its place.
        newest = Message.objects.order_by("-pk").values_list("pk", flat=True)[:1]
        rows = model_admin.get_queryset(request).filter(_NOT_SENT)
        recent = rows.filter(pk__gt=(newest[0] if newest else 0) - WINDOW).order_by("-pk")
        codes = set(recent.values_list("status_code", flat=True)[:RECENT])
        return [(code, code) for code in sorted(codes - {""})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(_NOT_SENT, status_code=value) if value else queryset


class DirectionFilter(DropdownFilter):  # type: ignore[misc]
    """Filters messages by their direction."""

    title = gettext_lazy("direction")
    parameter_name = "direction__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Direction.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(direction=self.value()) if self.value() in Direction.values else queryset


class NumberFilter(RowFilter):
    """Filters messages by one of our numbers, as it is written."""

    title = gettext_lazy("number")
    parameter_name = "number"

    def rows(self, request: HttpRequest) -> QuerySet[Any]:
        return Number.objects.filter(in_reach_of(user_of(request), account="organization__account"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = (self.value() or "").strip()
        if not value:
            return queryset
        found = list(self.rows(request).filter(number=value)[:RECENT])
        # The organizations lead to an index in the order of the list.
        whose = {number.organization_id for number in found}
        return queryset.filter(conversation__number__in=found, organization__in=whose)

    def value_of(self, row: Number) -> str:
        return row.number


class AuthorFilter(RowFilter):
    """Filters messages by who wrote them."""

    title = gettext_lazy("author")
    parameter_name = "author"
    field = Message._meta.get_field("author")

    def rows(self, request: HttpRequest) -> QuerySet[Any]:
        user = user_of(request)
        rows = User.objects.order_by("name", "email")
        if user.is_operator:
            return rows
        return rows.filter(pk__in=Membership.objects.filter(in_reach_of(user)).values("user"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(author=self.key) if self.key else queryset


class IntegrationFilter(RowFilter):
    """Filters by one integration; the page Health links here."""

    title = gettext_lazy("provider")
    parameter_name = "service"
    field = Message._meta.get_field("integration")

    def rows(self, request: HttpRequest) -> QuerySet[Any]:
        rows = Integration.objects.filter(in_reach_of(user_of(request), account="organization__account"))
        return rows.select_related("template", "organization").order_by(
            "template__name", "organization__name"
        )

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(integration=self.key) if self.key else queryset


class AttemptIntegrationFilter(IntegrationFilter):
    """The same, in the order of the times: that is how the index of attempts goes."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = super().queryset(request, queryset)
        return found.order_by("-started_at", "-pk") if self.key else found


class TemplateFilter(RowFilter):
    """Filters webhooks by their provider."""

    title = gettext_lazy("provider")
    parameter_name = "provider"
    field = WebhookRequest._meta.get_field("template")

    def rows(self, request: HttpRequest) -> QuerySet[Any]:
        reach = in_reach_of(user_of(request), account="organization__account")
        used = Integration.objects.filter(reach).values("template")
        return Template.objects.filter(pk__in=used).order_by("name")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(template=self.key) if self.key else queryset


class ResultFilter(DropdownFilter):  # type: ignore[misc]
    """Filters attempts by their result."""

    title = gettext_lazy("result")
    parameter_name = "result"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("problem", _("not accepted")),
            ("failed", _("rejected")),
            ("unauthorized", _("credentials rejected")),
            ("opted_out", _("contact opted out")),
            ("retry", _("temporary failure")),
            ("throttled", _("rate limited")),
            ("unknown", _("no response")),
            ("sent", _("accepted")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        if value not in dict(self.lookup_choices):
            return queryset
        if value == "sent":
            return queryset.filter(result=value)
        queryset = queryset.exclude(result="sent")  # as the index says
        return queryset if value == "problem" else queryset.filter(result=value)


class AnswerFilter(ValueFilter):
    """Filters by the HTTP status of the answer."""

    title = gettext_lazy("HTTP status")
    parameter_name = "http"

    def values(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        # The page leaves it to the filter of the quarantine whose rows are listed.
        rows = model_admin.model.objects.filter(model_admin.reach(request)).order_by("-pk")
        recent = rows.values_list("answer_status", flat=True)
        refused = (
            recent.exclude(result="sent") if model_admin.opts.model_name == "deliveryattempt" else recent
        )
        found = {*recent[:RECENT], *refused[:RECENT]} - {None}
        return [(str(status), str(status)) for status in sorted(found)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        if not value.isascii() or not value.isdecimal() or not 100 <= int(value[:9]) <= 599:
            return queryset
        found = queryset.filter(answer_status=int(value))
        return found.filter(answer_status__gte=300) if int(value) >= 300 else found  # as the index says


class QuarantineFilter(DropdownFilter):  # type: ignore[misc]
    """Filters webhooks by whether they wait in quarantine, or were cleared away."""

    title = gettext_lazy("quarantine")
    parameter_name = "quarantine"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("in quarantine")), ("cleared", _("cleared away"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "cleared"):
            return queryset
        assert isinstance(queryset, WebhookRequestQuerySet)
        return queryset.in_quarantine(user_of(request), cleared=self.value() == "cleared")


class VerdictFilter(DropdownFilter):  # type: ignore[misc]
    """Filters webhooks by their verdict; in the quarantine by those that lead there."""

    title = gettext_lazy("verdict")
    parameter_name = "verdict__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        quarantined = request.GET.get(QuarantineFilter.parameter_name) in ("yes", "cleared")
        offered = [*QUARANTINE, Verdict.ACCEPTED] if quarantined else Verdict
        return [(item.value, item.label) for item in offered]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value not in Verdict.values:
            return queryset
        if value in QUARANTINE:
            queryset = queryset.filter(verdict__in=QUARANTINE)  # as the index says
        return queryset.filter(verdict=value)
