"""How services fare: what they sent and received of late, in as many queries for one as for a hundred."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber, TruncHour
from django.utils import timezone
from django.utils.translation import gettext as _

from messaging import wakeups
from messaging.engine import circuit_breaker, queue
from messaging.models import DeliveryAttempt, Message, ServiceHealth, WebhookRequest
from messaging.reporting.charts import Hour
from messaging.statuses import QueueState
from messaging.wakeups import Task

HOURS = 24
# Results that speak against the service; that it asks to wait, or knows of an opt-out, does not.
FAILURES = ("failed", "retry", "unauthorized", "unknown")


@dataclass
class Health:
    """One integration, with what is known of its last 24 hours (and of the last hour)."""

    integration: ServiceHealth
    state: str  # off, paused, trouble, on
    waiting: int = 0
    in_flight: int = 0
    attempts: int = 0
    failures: int = 0
    attempts_of_hour: int = 0
    failures_of_hour: int = 0
    median: int | None = None  # ms
    hours: list[Hour] = field(default_factory=list)

    @property
    def used(self) -> bool:
        """Whether anything is known to have gone through it."""
        row = self.integration
        return bool(row.last_sent_at or vars(row)["came_at"] or self.attempts)

    @property
    def words(self) -> str:
        """The state for people."""
        row = self.integration
        if self.state == "off":
            return _("switched off")
        if self.state == "paused":
            return _("paused: it failed %(failures)d times in a row") % {"failures": row.failures}
        if self.state == "trouble":
            return _("in trouble")
        return _("works") if self.used else _("switched on, not used yet")

    @property
    def rate(self) -> str:
        """The share of failures in 24 hours, as people read it."""
        return _percent(self.failures, self.attempts)

    @property
    def rate_of_hour(self) -> str:
        """The share of failures in the last hour."""
        return _percent(self.failures_of_hour, self.attempts_of_hour)


def of(rows: QuerySet[ServiceHealth]) -> list[Health]:
    """The health of these integrations (one page of them), in their order; four queries."""
    last = WebhookRequest.objects.filter(integration=OuterRef("pk")).order_by("-pk").values("received_at")
    found = {
        row.pk: Health(row, state_of(row))
        for row in rows.select_related("organization", "template").annotate(came_at=Subquery(last[:1]))
    }
    _count_queue(found)
    _count_attempts(found)
    _medians(found)
    return list(found.values())


def state_of(row: ServiceHealth) -> str:
    """`off`, `paused` (by the breaker), `trouble`, or `on`."""
    if not row.enabled:
        return "off"
    if row.paused_until is not None:
        return "paused"
    return "trouble" if row.trouble else "on"


def try_again(keys: Sequence[int]) -> None:
    """Has paused services tried at once, each by one message; the others follow if that one goes."""
    circuit_breaker.probe_again(keys)
    queue.retry_now(keys)
    wakeups.after_commit(Task.DISPATCH_DUE)


def _count_queue(found: dict[int, Health]) -> None:
    """Two queries, each by a partial index that holds only what is not done."""
    for state in (QueueState.WAITING, QueueState.CLAIMED):
        rows = Message.objects.filter(integration__in=found, queue_state=state).order_by()
        for key, number in rows.values_list("integration").annotate(number=Count("pk")):
            if state == QueueState.WAITING:
                found[key].waiting = number
            else:
                found[key].in_flight = number


def _count_attempts(found: dict[int, Health]) -> None:
    now = timezone.now()
    this = now.replace(minute=0, second=0, microsecond=0)
    starts = [this - timedelta(hours=HOURS - 1 - index) for index in range(HOURS)]
    by_hour: dict[tuple[int, datetime], Hour] = {}
    rows = _recent(found, starts[0]).values_list("integration", TruncHour("started_at", tzinfo=UTC))
    counted = rows.annotate(
        sent=Count("pk", filter=Q(result="sent", part=F("parts"))),
        failed=Count("pk", filter=Q(result__in=FAILURES)),
        all=Count("pk"),
        sent_of_hour=Count("pk", filter=Q(started_at__gte=now - timedelta(hours=1))),
        failed_of_hour=Count("pk", filter=Q(result__in=FAILURES, started_at__gte=now - timedelta(hours=1))),
    )
    for key, start, sent, failed, number, number_of_hour, failed_of_hour in counted:
        health = found[key]
        health.attempts += number
        health.failures += failed
        health.attempts_of_hour += number_of_hour
        health.failures_of_hour += failed_of_hour
        by_hour[key, start] = Hour(start, sent, failed)
    for key, health in found.items():
        health.hours = [by_hour.get((key, start), Hour(start)) for start in starts]


def _medians(found: dict[int, Health]) -> None:
    """How long the service takes to answer, of the last 24 hours."""
    since = timezone.now() - timedelta(hours=HOURS)
    answered = _recent(found, since).filter(answer_status__isnull=False)
    ranked = answered.annotate(
        rank=Window(RowNumber(), partition_by="integration", order_by="milliseconds"),
        number=Window(Count("pk"), partition_by="integration"),
    )
    for key, milliseconds in ranked.filter(rank=(F("number") + 1) / 2).values_list(
        "integration", "milliseconds"
    ):
        found[key].median = milliseconds


def _recent(keys: Collection[int], since: datetime) -> QuerySet[DeliveryAttempt]:
    return DeliveryAttempt.objects.filter(integration__in=keys, started_at__gte=since).order_by()


def _percent(part: int, whole: int) -> str:
    if not whole:
        return "–"
    share = 100 * part / whole
    return f"{share:.0f} %" if share >= 10 or share in (0, 100) else f"{share:.1f} %"
