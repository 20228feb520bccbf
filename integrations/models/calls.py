"""Calls that Patchbay makes by itself: it polls providers, and subscribes to their webhooks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self, TypeVar

from django.db import models, transaction
from django.db.models import F, ProtectedError, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from integrations.models.integrations import Integration

LEASE = timedelta(seconds=150)  # longer than any request may take, with what is done before and after it

Row = TypeVar("Row", bound="ScheduledCall")


def in_seconds(seconds: float) -> Combinable:
    """The time that many seconds from now; with zero it is due at once."""
    # On SQLite a sum has more digits than Now(), and would be later than it for the rest of the millisecond.
    return Now() + timedelta(seconds=seconds) if seconds else Now()


class ScheduledCallQuerySet(models.QuerySet[Row]):
    def due(self) -> Self:
        """The calls whose time has come, and which no process is making."""
        free = Q(lease_until=None) | Q(lease_until__lt=Now())
        return self.filter(free, due_at__lte=Now())

    def claim(self, most: int) -> list[Row]:
        """Takes up to `most` of these calls, the longest due first; none that another process takes now."""
        found = list(self.order_by("due_at").values_list("pk", flat=True)[:most])
        if not found:
            return []
        every = self.model._default_manager
        with transaction.atomic():
            # Asked again under the lock: meanwhile, another process may have taken some.
            free = self.filter(pk__in=found).select_for_update(skip_locked=True, of=("self",))
            taken = list(free.values_list("pk", flat=True))
            every.filter(pk__in=taken).update(fence=F("fence") + 1, lease_until=Now() + LEASE)
        return list(every.filter(pk__in=taken).select_related("integration").order_by("due_at"))


class PollQuerySet(ScheduledCallQuerySet["Poll"]):
    def due(self) -> Self:
        """Those of integrations that are switched on, not held, and not paused.

        When a pause ends, polls probe, too: nothing else may be sent that would end it.
        """
        runs = Q(integration__paused_until=None) | Q(integration__paused_until__lte=Now())
        return super().due().filter(runs, integration__enabled=True, integration__holds_messages=False)


class SubscriptionQuerySet(ScheduledCallQuerySet["Subscription"]):
    def due(self) -> Self:
        """Those of integrations that are not held; those that are switched off end their subscription."""
        return super().due().filter(Q(integration__enabled=False) | Q(integration__holds_messages=False))


class ScheduledCall(models.Model):
    """When a method is called next, made under a lease with the number `fence`; null: not at all.

    `failures` counts those since the last success, of which `problem` is the last, in a sentence.
    """

    integration = models.OneToOneField(Integration, models.CASCADE, related_name="%(class)s")
    due_at = models.DateTimeField(null=True, db_index=True, db_default=Now())
    lease_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    problem = models.CharField(max_length=500, blank=True)

    class Meta:
        abstract = True

    def locked(self: Row) -> Row:
        """The row as it is now, locked for the current transaction."""
        return type(self)._default_manager.select_for_update().get(pk=self.pk)

    def settle(self, now: ScheduledCall, seconds: float | None, **fields: Any) -> None:
        """Ends the call if it is still ours; the next one is in `seconds`, or never.

        `now` is the locked row: what became due while the call was made stays due.
        """
        if now.fence != self.fence:
            return
        if now.due_at == self.due_at:
            fields["due_at"] = None if seconds is None else in_seconds(seconds)
        rows = type(self)._default_manager.filter(pk=self.pk)
        rows.update(lease_until=None, **fields)

    def finish(self, seconds: float | None, **fields: Any) -> None:
        """The same as `settle`, in a transaction of its own."""
        with transaction.atomic():
            self.settle(self.locked(), seconds, **fields)


class Poll(ScheduledCall):
    """When an integration's provider is asked next for what has arrived, and from where on.

    `seen` are digests of what the last answer held, and `digest` is one of the last answer that was stored:
    so nothing is filed again that a provider repeats. `pages` counts full answers in a row.
    """

    cursor = models.TextField(blank=True)
    seen = models.JSONField(default=list)
    digest = models.CharField(max_length=64, blank=True)
    pages = models.PositiveSmallIntegerField(default=0)
    polled_at = models.DateTimeField(null=True)

    objects = PollQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Poll of {self.integration}"


def unless_subscribed(collector: Any, field: Any, rows: Any, using: str) -> None:
    """Protects what is still subscribed: nobody could end it then, and the provider would go on calling.

    An integration that is switched off is unsubscribed.
    """
    live = {row for row in rows if row.subscribed_at is not None or row.lease_until is not None}
    if live:
        raise ProtectedError("The provider still has a subscription.", live)
    models.CASCADE(collector, field, rows, using)


class Subscription(ScheduledCall):
    """An integration's subscription to its provider's webhooks, since `subscribed_at`; null: there is none.

    `stamp` tells with which webhook URL and values it was made; empty: the provider may have ended it.
    `replaced` is the id of a former one that is to be ended. Of one that cannot be ended, `subscription_id`
    and `problem` remain. Until it is ended or given up, its integration cannot be deleted.
    """

    subscription_id = models.CharField(max_length=500, blank=True)
    replaced = models.CharField(max_length=500, blank=True)
    stamp = models.CharField(max_length=64, blank=True)
    subscribed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    integration = models.OneToOneField(Integration, unless_subscribed, related_name="subscription")

    objects = SubscriptionQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Subscription of {self.integration}"
