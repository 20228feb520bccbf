"""Where what went wrong is repaired: links for those who may open the page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from integrations.models import Integration, Template
from messaging.models import DeliveryAttempt, Message, WebhookRequest
from messaging.statuses import Status, Verdict
from portal.models import Organization, User


@dataclass(frozen=True)
class Link:
    """The page of a repair, and what is repaired there."""

    label: str
    url: str


@dataclass(frozen=True)
class Reach:
    """What a user may open, asked once for all rows of a list."""

    user: User

    @cached_property
    def templates(self) -> set[int]:
        """The keys of the templates that the user may edit."""
        return set(Template.objects.editable_by(self.user).values_list("pk", flat=True))

    @cached_property
    def organizations(self) -> set[int]:
        """The keys of the organizations that the user administers."""
        return set(Organization.objects.administered_by(self.user).values_list("pk", flat=True))


def first(links: list[Link]) -> str:
    """The first of the links, as a list shows it."""
    return format_html('<a href="{}">{}</a>', links[0].url, links[0].label) if links else "–"


def of_request(request: WebhookRequest, reach: Reach) -> list[Link]:
    """Where the cause of a request's verdict is repaired; nothing for requests that were processed."""
    whose = request.organization_id or request.about_id
    if request.verdict == Verdict.UNMATCHED and request.template_id in reach.templates:
        return [_editor(request.template_id)]
    if request.verdict == Verdict.UNKNOWN_NUMBER:
        page = reverse("admin:messaging_number_changelist")
        if whose in reach.organizations:
            page += "?" + urlencode({"organization": whose})
        return [Link(_("Open the numbers"), page)]
    if request.verdict in (Verdict.DISABLED, Verdict.UNVERIFIED):
        if whose in reach.organizations:
            return [_set_up(whose, request.template_id)]
        if request.account_id in reach.user.administered_accounts or reach.user.is_operator:
            args = [request.account_id, request.template_id]
            page = reverse("admin:integrations_account_values", args=args)
            return [Link(_("Open the account's values"), page)]
    return []


def of_message(message: Message, reach: Reach) -> list[Link]:
    """Where the cause of a message's failure is repaired, by its last attempt."""
    if message.is_inbound or message.arrived or message.status == Status.CANCELED:
        return []
    last = message.delivery_attempts.select_related("integration").order_by("-pk").first()
    return of_attempt(last, reach) if last is not None else _of_integration(message.integration, reach)


def of_attempt(attempt: DeliveryAttempt, reach: Reach) -> list[Link]:
    """Where the cause of a refusal is repaired: credentials, or how the template reads the answer."""
    if attempt.result == "sent" or attempt.integration is None:
        return []
    found = _of_integration(attempt.integration, reach)
    if attempt.result != "unauthorized" and attempt.integration.template_id in reach.templates:
        found.append(_editor(attempt.integration.template_id))
    return found


def _of_integration(integration: Integration | None, reach: Reach) -> list[Link]:
    if integration is None or integration.organization_id not in reach.organizations:
        return []
    return [_set_up(integration.organization_id, integration.template_id)]


def _set_up(organization: int | None, template: int) -> Link:
    return Link(_("Open the credentials"), reverse("admin:integrations_setup", args=[organization, template]))


def _editor(template: int) -> Link:
    return Link(_("Open the template"), reverse("admin:integrations_studio_document", args=[template]))
