"""Circuit breakers: an integration pauses after many failures in a row, and is probed by one message.

`trouble` is only about messages. A pause without it began because the credentials were refused to a poll.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models.functions import Coalesce, Now

from integrations.models import Integration
from portal.database import sql

# How often at most the time at which an integration worked is written.
NOTED_EVERY_SECONDS = 5
_MOST_FAILURES = 32_767


@dataclass(slots=True)
class Tally:
    """The results of a batch of requests through one integration, in the order in which they finished."""

    failures: int = 0  # since the last success
    sent: bool = False
    refused: bool = False  # the credentials were, and no new access token will help
    probed: bool = False  # what probed a paused integration is among the failures
    reason: str = ""

    def add(self, result: str, reason: str, *, probing: bool, renewing: bool) -> None:
        """Counts a result; while the access token is `renewing`, refused credentials are no failure."""
        if result == "sent":
            self.failures, self.sent, self.refused = 0, True, False
        elif result in ("retry", "unknown") or (result == "unauthorized" and not renewing):
            self.failures += 1
            self.refused = self.refused or result == "unauthorized"
            self.probed, self.reason = self.probed or probing, reason


def record(tallies: Mapping[int, Tally]) -> None:
    """Closes, opens and counts, for each integration, in the caller's transaction."""
    _works([key for key, tally in tallies.items() if tally.sent])
    failing = {key: tally for key, tally in tallies.items() if tally.failures}
    if failing:
        for row in Integration.objects.select_for_update().filter(pk__in=failing).order_by("pk"):
            _fails(row, failing[row.pk])


def probe(keys: Collection[int]) -> None:
    """Notes that a message probes these integrations, so that no other does before the next pause is over."""
    if keys:
        with connection.cursor() as cursor:
            cursor.execute(
                f"""UPDATE integrations_integration SET paused_until = {sql.later("pause_seconds")}
                WHERE {sql.among("id")}""",  # noqa: S608 (constants)
                [sql.array(keys)],
            )


def probe_again(keys: Collection[int]) -> None:
    """Lets the next message probe now."""
    if keys:
        Integration.objects.filter(pk__in=keys, paused_until__isnull=False).update(paused_until=Now())


def close(keys: Collection[int]) -> None:
    """Sends everything again, because the credentials have changed."""
    _close(keys, "failures > 0 OR paused_until IS NOT NULL")


def receives(key: int) -> None:
    """Sends everything again after a poll that has succeeded, unless it was messages that failed."""
    _close([key], "paused_until IS NOT NULL AND trouble = ''")


def _works(keys: Collection[int]) -> None:
    news = "failures > 0 OR paused_until IS NOT NULL OR trouble <> ''"
    late = f"last_sent_at IS NULL OR last_sent_at < {sql.later(f'-{NOTED_EVERY_SECONDS}')}"
    _close(keys, f"{news} OR {late}", f", last_sent_at = {sql.now()}")


def _close(keys: Collection[int], condition: str, also: str = "") -> None:
    if not keys:
        return
    statement = f"""
        UPDATE integrations_integration
        SET tell_at = CASE WHEN paused_until IS NULL AND trouble = '' THEN tell_at ELSE {sql.now()} END,
            failures = 0, paused_until = NULL, pause_seconds = 0, trouble = '',
            trouble_since = CASE WHEN arrival_trouble = '' THEN NULL ELSE trouble_since END{also}
        WHERE {sql.among("id")} AND ({condition})
    """  # noqa: S608 (constants)
    with connection.cursor() as cursor:
        cursor.execute(statement, [sql.array(keys)])  # the sweep sees `tell_at`


def _fails(row: Integration, tally: Tally) -> None:
    row.failures = min(row.failures + tally.failures, _MOST_FAILURES)
    opens = row.paused_until is None and (tally.refused or row.failures >= settings.BREAKER_FAILURES)
    if opens:
        row.pause_seconds = settings.BREAKER_SECONDS
        row.tell_at = Now()
    elif row.paused_until is not None and tally.probed:
        row.pause_seconds = min(2 * row.pause_seconds, settings.BREAKER_MOST_SECONDS)
    if opens or tally.probed:
        row.paused_until = Now() + timedelta(seconds=row.pause_seconds)
        if tally.reason:
            row.trouble, row.trouble_since = tally.reason[:500], Coalesce("trouble_since", Now())
    row.save(
        update_fields=["failures", "paused_until", "pause_seconds", "tell_at", "trouble", "trouble_since"]
    )
