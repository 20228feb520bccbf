"""Rate limits of providers, per credentials and per number, across all processes.

The generic cell rate algorithm (ITU-T I.371): a row holds the time at which the next message may be sent, and
each message moves that time on by the interval between two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Coalesce, Greatest, Now

from integrations.models import PropertyValues
from messaging.models import Number
from portal.database import bulk, sql

Limited = type[PropertyValues] | type[Number]

# A whole second's worth at once would let twice the limit pass within the first second.
BURST_SECONDS = 0.1
# After a 429 the others with the same credentials wait too, but not for hours because of one message.
LONGEST_PAUSE = 60.0


@dataclass(slots=True)
class Limiter:
    """Says when the next message may be sent; `rate` is per second, 0 without a limit of its own."""

    rate: float
    now: datetime
    free_at: datetime
    taken: int = 0

    def wait(self) -> float:
        """Seconds until the next message may be sent; 0 if it may now."""
        ahead = (self.free_at - self.now).total_seconds()
        if self.rate:
            ahead -= max(0.0, BURST_SECONDS - 1 / self.rate)
        return max(0.0, ahead)

    def take(self) -> None:
        """Counts a message that is sent."""
        self.taken += 1
        if self.rate:
            self.free_at = max(self.free_at, self.now) + timedelta(seconds=1 / self.rate)


def of_credentials(rates: Mapping[int, float]) -> dict[int, Limiter]:
    """The limiters of rows of property values, which stay locked until the transaction ends."""
    return _locked(PropertyValues, rates)


def of_numbers(rates: Mapping[int, float]) -> dict[int, Limiter]:
    """The limiters of numbers, which stay locked until the transaction ends."""
    return _locked(Number, rates)


def keep(credentials: Mapping[int, Limiter], numbers: Mapping[int, Limiter]) -> None:
    """Stores what the limiters have counted, in the same transaction."""
    _keep(PropertyValues, credentials)
    _keep(Number, numbers)


def spend(credentials: Mapping[int, float], numbers: Mapping[int, float]) -> None:
    """Delays what follows by these seconds, for requests that no limiter has counted."""
    for model, found in ((PropertyValues, credentials), (Number, numbers)):
        for pk, seconds in sorted(found.items()):
            from_now = Greatest(Coalesce("free_at", Now()), Now())
            _rows(model).filter(pk=pk).update(free_at=from_now + timedelta(seconds=seconds))


def waits_of_numbers(integrations: Iterable[int]) -> list[float]:
    """In how many seconds the first number of these integrations that is held back may send again."""
    keys = list(integrations)
    if not keys:
        return []
    held_back = Number.objects.filter(integration__in=keys, free_at__gt=Now()).order_by("free_at")
    return [
        max(0.0, (free_at - now).total_seconds() - BURST_SECONDS)  # type: ignore[operator]
        for free_at, now in held_back.annotate(now=Now()).values_list("free_at", "now")[:1]
    ]


def pause(credentials: Mapping[int, float]) -> None:
    """Sends nothing for these seconds, at most 60: the provider has asked for it."""
    for pk, seconds in sorted(credentials.items()):
        until = Now() + timedelta(seconds=min(seconds, LONGEST_PAUSE))
        _rows(PropertyValues).filter(pk=pk).update(free_at=Greatest(Coalesce("free_at", Now()), until))


def _rows(model: Limited) -> QuerySet[Any]:
    rows: QuerySet[Any] = model._default_manager.order_by()
    return rows


def _locked(model: Limited, rates: Mapping[int, float]) -> dict[int, Limiter]:
    if not rates:
        return {}
    statement = f"""
        SELECT id, free_at, {sql.now()} FROM {model._meta.db_table}
        WHERE {sql.among("id")} ORDER BY id {sql.for_update()}
    """  # noqa: S608 (names)
    with connection.cursor() as cursor:
        cursor.execute(statement, [sql.array(rates)])
        return {
            pk: Limiter(rates[pk], sql.moment(now), sql.moment(free_at or now))
            for pk, free_at, now in cursor.fetchall()
        }


def _keep(model: Limited, limiters: Mapping[int, Limiter]) -> None:
    taken = [
        model(pk=pk, free_at=found.free_at) for pk, found in limiters.items() if found.taken and found.rate
    ]
    bulk.update(taken, "free_at")
