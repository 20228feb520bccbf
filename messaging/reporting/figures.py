"""The metrics that are read when Prometheus asks, by a few indexed queries, and whether Redis answers."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import Error
from django.db.models import Count
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from integrations.models import Integration, state_now
from messaging import wakeups
from messaging.engine import due
from messaging.engine import figures as engine
from portal.database import connections

# From when on it is said that no worker takes what is due. A restart takes less.
OVERDUE_SECONDS = 60


def registry() -> CollectorRegistry:
    """The gauges of this moment."""
    found = CollectorRegistry(auto_describe=False)
    found.register(_Gauges())
    return found


class _Gauges(Collector):
    def collect(self) -> Iterable[GaugeMetricFamily]:
        broker = GaugeMetricFamily("patchbay_broker_up", "Whether Redis answered: 1, or 0.")
        broker.add_metric([], not wakeups.broker_problem())
        up = GaugeMetricFamily("patchbay_database_up", "Whether the database answered: 1, or 0.")
        try:
            gauges = [*_queues(), _integrations(), *_database()]
        except Error:
            up.add_metric([], 0)
            return [up, broker]
        up.add_metric([], 1)
        return [up, broker, *gauges]


def _queues() -> Iterable[GaugeMetricFamily]:
    found = engine.read()
    depth = GaugeMetricFamily(
        "patchbay_queue_depth",
        f"How much waits in each queue; counting stops at {engine.MOST}.",
        labels=["queue"],
    )
    for name, number in found.depths.items():
        depth.add_metric([name], number)
    age = GaugeMetricFamily(
        "patchbay_queue_age_seconds", "How long what waits longest has been due.", labels=["queue"]
    )
    for name, seconds in found.ages.items():
        age.add_metric([name], seconds)
    untaken = GaugeMetricFamily(
        "patchbay_queue_untaken",
        f"Whether no worker takes what has been due for {OVERDUE_SECONDS} seconds: 1, or 0.",
        labels=["queue"],
    )
    for name, waits in zip(("messages", "events"), due.nobody_takes(OVERDUE_SECONDS), strict=True):
        untaken.add_metric([name], waits)
    return depth, age, untaken


def _integrations() -> GaugeMetricFamily:
    """Held integrations wait for an administrator; paused ones have an open circuit breaker."""
    gauge = GaugeMetricFamily(
        "patchbay_integrations",
        "Integrations by service and state: on, off, held until an administrator confirms where secrets go, "
        "paused by the circuit breaker, or in trouble.",
        labels=["service", "state"],
    )
    rows = Integration.objects.order_by().annotate(state_now=state_now())
    for service, name, number in rows.values_list("template__service_id", "state_now").annotate(
        number=Count("pk")
    ):
        gauge.add_metric([service, name], number)
    return gauge


def _database() -> Iterable[GaugeMetricFamily]:
    states, most = connections.counted()
    used = GaugeMetricFamily(
        "patchbay_database_connections", "Connections to the database by their state.", labels=["state"]
    )
    for state, number in states.items():
        used.add_metric([state], number)
    limit = GaugeMetricFamily(
        "patchbay_database_connections_limit", "How many connections the database allows; 0: no limit."
    )
    limit.add_metric([], most)
    return used, limit
