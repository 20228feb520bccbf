"""Moving a number to another organization of its account."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from integrations.models import Integration
from messaging.errors import Refused
from messaging.models import Message, Number
from messaging.receivers import outbox
from messaging.statuses import Direction, QueueState, Status
from portal import audit
from portal.models import Organization


def move(number: Number, organization: Organization, integration: Integration | None = None) -> Number:
    """Moves a number; returns it as the new organization has it, with its integration or without any yet.

    The old number becomes inactive and keeps its conversations, auto-replies and opt-outs; messages that were
    waiting to be sent from it fail. Of two simultaneous moves, one is refused. Raises Refused.
    """
    if organization.pk == number.organization_id:
        raise Refused(_("The number already belongs to this organization."))
    if organization.account_id != number.account_id:
        raise Refused(_("A number can only be moved within its account."))
    if integration is not None and integration.organization_id != organization.pk:
        raise Refused(_("This provider is set up for another organization."))
    try:
        return _moved(number, organization, integration)
    except IntegrityError:
        raise Refused(_("The number has just been added elsewhere. Reload the page.")) from None


def _moved(number: Number, organization: Organization, integration: Integration | None) -> Number:
    with transaction.atomic(), audit.covered():
        if not Number.objects.filter(pk=number.pk, active=True).update(active=False):
            raise Refused(_("The number has already been moved. Reload the page."))
        _fail_waiting(number)
        moved = Number.objects.create(
            organization=organization,
            integration=integration,
            number=number.number,
            country=number.country,
            inbound_format=number.inbound_format,
            outbound_format=number.outbound_format,
        )
        # An entry for each of the two organizations, which do not learn each other's name.
        label = str(Number._meta.get_field("organization").verbose_name)
        audit.record(audit.Action.MOVED, number, {label: (str(number.organization), "")})
        audit.record(audit.Action.MOVED, moved, {label: ("", str(organization))})
        return moved


def _fail_waiting(number: Number) -> None:
    """Fails waiting messages; rendering refuses those that are submitted at the same time."""
    waiting = Message.objects.filter(
        conversation__number=number, direction=Direction.OUT, queue_state=QueueState.WAITING
    )
    keys = list(waiting.filter(status__lt=Status.FAILED).select_for_update().values_list("pk", flat=True))
    Message.objects.filter(pk__in=keys).update(
        queue_state=QueueState.DONE,
        status=Status.FAILED,
        status_text=_("Not sent, because the number was moved to another organization."),
        changed_at=Now(),
    )
    outbox.note_statuses(keys)
