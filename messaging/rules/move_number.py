"""A number moves to another organization of its account."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from integrations.models import Integration
from messaging.errors import Refused
from messaging.models import Message, Number
from messaging.statuses import Direction, QueueState, Status
from portal.models import Organization


def move(number: Number, organization: Organization, integration: Integration | None = None) -> Number:
    """The number as the organization has it from now on, sending through its integration (or none yet).

    The old ownership is closed; its conversations, auto-replies and opt-outs stay where they were, and what
    waited to be sent from it is failed in words. Of two who move it at once, one is refused. Raises Refused.
    """
    if organization.pk == number.organization_id:
        raise Refused(_("The number is there already."))
    if organization.account_id != number.account_id:
        raise Refused(_("A number moves within its account only."))
    if integration is not None and integration.organization_id != organization.pk:
        raise Refused(_("This service is set up for another organization."))
    try:
        return _moved(number, organization, integration)
    except IntegrityError:
        raise Refused(_("Somebody else has just added this number. Reload the page.")) from None


def _moved(number: Number, organization: Organization, integration: Integration | None) -> Number:
    with transaction.atomic():
        if not Number.objects.filter(pk=number.pk, active=True).update(active=False):
            raise Refused(_("The number has moved away already. Reload the page."))
        _fail_waiting(number)
        return Number.objects.create(
            organization=organization,
            integration=integration,
            number=number.number,
            country=number.country,
            inbound_format=number.inbound_format,
            outbound_format=number.outbound_format,
        )


def _fail_waiting(number: Number) -> None:
    """What is on its way already ends by itself; `plans` refuses what is written at this very moment."""
    waiting = Message.objects.filter(
        conversation__number=number, direction=Direction.OUT, queue_state=QueueState.WAITING
    )
    waiting.filter(status__lt=Status.FAILED).update(
        queue_state=QueueState.DONE,
        status=Status.FAILED,
        status_text=_("Not sent: the number moved to another organization."),
        changed_at=Now(),
    )
