"""What the first page of the admin tells of messaging."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Integration
from messaging.models import Assignment, Message, Number
from messaging.statuses import Status
from portal.models import Organization, User
from portal.permissions import in_reach_of


def figures(user: User) -> list[dict[str, Any]]:
    """Counts of today, and services in trouble."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    reach = in_reach_of(user, "organization", "organization__account")
    today = Message.objects.filter(reach, created_at__gte=midnight).aggregate(
        out=Count("pk", filter=Q(direction="out")),
        delivered=Count("pk", filter=Q(direction="out", status__gte=Status.DELIVERED)),
        failed=Count("pk", filter=Q(direction="out", status__in=[Status.FAILED, Status.UNKNOWN])),
        received=Count("pk", filter=Q(direction="in")),
    )
    trouble = Integration.objects.filter(reach, enabled=True).exclude(trouble="").count()
    log, services = (
        reverse("admin:messaging_message_changelist"),
        reverse("admin:integrations_integration_changelist"),
    )
    return [
        {"label": _("written today"), "value": today["out"], "url": f"{log}?direction__exact=out"},
        {"label": _("delivered"), "value": today["delivered"], "url": log},
        {
            "label": _("failed or in doubt"),
            "value": today["failed"],
            "url": f"{log}?status__exact={Status.FAILED:d}",
            "bad": today["failed"],
        },
        {"label": _("received"), "value": today["received"], "url": f"{log}?direction__exact=in"},
        {"label": _("services in trouble"), "value": trouble, "url": services, "bad": trouble},
    ]


def steps(user: User) -> list[dict[str, Any]]:
    """The way from nothing to a first message, with what is done."""
    reach = in_reach_of(user, "organization", "organization__account")
    numbers = Number.objects.filter(reach, active=True)
    first = Organization.objects.administered_by(user).first()
    gallery = reverse("admin:integrations_gallery", args=[first.pk]) if first else ""
    number_list = reverse("admin:messaging_number_changelist")
    return [
        {
            "label": _("Make an organization"),
            "done": first is not None,
            "url": reverse("admin:portal_organization_add"),
        },
        {
            "label": _("Set up a messaging service for it"),
            "done": Integration.objects.filter(reach).exists(),
            "url": gallery,
        },
        {
            "label": _("Add an SMS number"),
            "done": numbers.exists(),
            "url": reverse("admin:messaging_number_add"),
        },
        {
            "label": _("Assign the number to its users"),
            "done": Assignment.objects.filter(number__in=numbers).exists(),
            "url": number_list,
        },
        {
            "label": _("Send a first message from the inbox"),
            "done": Message.objects.filter(reach, direction="out").exists(),
            "url": reverse("inbox"),
        },
    ]
