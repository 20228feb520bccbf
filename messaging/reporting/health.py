"""The health of integrations over the last day, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber, TruncHour
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import NOT_WORKING, State
from messaging import wakeups
from messaging.engine import circuit_breaker, queue
from messaging.models import DeliveryAttempt, Message, ServiceHealth, WebhookRequest
from messaging.reporting.charts import Hour
from messaging.statuses import QueueState
from messaging.wakeups import Task
from portal import audit

HOURS = 24
# The results that count as failures; rate limits and opt-outs do not.
FAILURES = ("failed", "retry", "unauthorized", "unknown")


@dataclass
class Health:
    """An integration with its figures for the last 24 hours and the last hour."""

    integration: ServiceHealth
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
        """Whether the integration is known to have sent or received anything."""
        row = self.integration
        return bool(row.last_sent_at or vars(row)["last_received_at"] or self.attempts)

    @property
    def failing(self) -> bool:
        """Whether all attempts of the last hour have failed; of the last 24 hours, if it had none."""
        if self.attempts_of_hour:
            return self.failures_of_hour == self.attempts_of_hour
        return bool(self.attempts) and self.failures == self.attempts

    @property
    def label(self) -> str:
        """The state in words."""
        state = self.integration.state
        if state == State.OFF:
            return _("switched off")
        if state == State.HELD:
            return _("waits for your confirmation")
        if state == State.PAUSED:
            failures = self.integration.failures
            text = ngettext(
                "paused after %(number)d failure", "paused after %(number)d consecutive failures", failures
            )
            return text % {"number": failures}
        if state == State.TROUBLE:
            return _("not working")
        if self.failing:
            return _("all attempts fail")
        return _("working") if self.used else _("not used yet")

    @property
    def tone(self) -> str:
        """Whether the state is good, bad, or plain."""
        if self.integration.state in NOT_WORKING or (self.integration.state == State.ON and self.failing):
            return "bad"
        return "good" if self.integration.state == State.ON and self.used else "plain"

    @property
    def rate(self) -> str:
        """The percentage of failures in the last 24 hours."""
        return _percent(self.failures, self.attempts)

    @property
    def rate_of_hour(self) -> str:
        """The percentage of failures in the last hour."""
        return _percent(self.failures_of_hour, self.attempts_of_hour)


def of(rows: QuerySet[ServiceHealth]) -> list[Health]:
    """The health of some integrations (one page of them), in their order, with five queries."""
    last = WebhookRequest.objects.filter(integration=OuterRef("pk")).order_by("-pk").values("received_at")
    found = {
        row.pk: Health(row)
        for row in rows.select_related("organization", "template").annotate(
            last_received_at=Subquery(last[:1])
        )
    }
    _count_queue(found)
    _count_attempts(found)
    _medians(found)
    return list(found.values())


def retry_now(keys: Sequence[int]) -> None:
    """Probes paused integrations at once with one message each; if it is accepted, the others follow."""
    with transaction.atomic():
        circuit_breaker.probe_again(keys)
        queue.retry_now(keys)
        for row in ServiceHealth.objects.select_related("organization", "template").filter(pk__in=keys):
            audit.record(audit.Action.RETRIED, row)
    wakeups.after_commit(Task.DISPATCH_DUE)


def _count_queue(found: dict[int, Health]) -> None:
    """Counts waiting and claimed messages, with one query for each, by their partial indexes."""
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
    """Finds the median response times of the last 24 hours."""
    since = timezone.now() - timedelta(hours=HOURS)
    responses = _recent(found, since).filter(answer_status__isnull=False)
    ranked = responses.annotate(
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
