"""Claiming: which of the due messages are sent next, fairly between organizations and within all limits."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection, transaction

from integrations import holds, prepared
from integrations.prepared import PreparedIntegration
from messaging import errors
from messaging.engine import circuit_breaker, due, queue, rate_limit
from messaging.engine.due import Candidate, DueIntegration
from messaging.engine.queue import CLAIMED, WAITING, Claim
from messaging.engine.rate_limit import Limiter
from messaging.statuses import Status
from portal import process
from portal.database import locks, sql

# The share of the slots left by the others that one integration may hold.
SHARE = 0.75
# Seconds until another look, where nothing says when it will find something.
SOON = 0.05
_LOCK = locks.key_of("messaging.claim")


@dataclass(frozen=True, slots=True)
class Claimed:
    """Claimed messages, and in how many seconds more may be sent (None: no limit holds any back).

    `known` are the integrations that were read on the way.
    """

    claims: list[Claim]
    wait: float | None = None
    known: Mapping[int, PreparedIntegration] = field(default_factory=dict)


class Turns:
    """When each organization last had its turn in this process; the one that waited longest is next."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        self._count = itertools.count(1)

    def last(self, organization: int) -> int:
        """A number that grows with each turn; 0 for an organization that never had one."""
        return self._last.get(organization, 0)

    def take(self, organization: int) -> None:
        """It is the organization's turn now."""
        self._last[organization] = next(self._count)


def claim(free: int, held: Mapping[int, int] | None = None) -> Claimed:
    """Claims up to `free` due messages, where `held` counts each integration's messages in flight.

    Organizations take turns, each with its oldest message. An integration gets at most three quarters of the
    slots that the others leave, so that providers that hang never hold them all. At most one message of a
    conversation is in flight.
    """
    if free < 1:
        return Claimed([])
    # Asked before the lock: a look that finds nothing costs one statement and blocks nobody.
    found, without_integration = due.integrations()
    if without_integration:
        queue.fail_without_integration(errors.no_integration())
    rooms = _rooms(found, free, held or {})
    if not rooms:
        return Claimed([])
    with transaction.atomic():
        # Two processes that choose at once would each take a message of the same conversation.
        locks.hold_alone(_LOCK)
        return _choose(rooms, free)


def _choose(rooms: dict[DueIntegration, int], free: int) -> Claimed:
    turns = process.get(Turns)
    turn = sorted(rooms, key=lambda item: turns.last(item.organization))[: max(free, 8)]
    known = prepared.prepare(item.id for item in turn)
    if waiting := {key for key, service in known.items() if service.asks}:
        holds.review(waiting)  # from now on, they are not due
        turn = [item for item in turn if item.id not in waiting]
        known = {key: service for key, service in known.items() if key not in waiting}
    credentials = rate_limit.of_credentials(_rates(known.values()))
    limiters = {key: credentials[service.credentials] for key, service in known.items()}
    queue.expire([item.id for item in turn if item.probing], errors.expired())
    running = {item.id: item for item in turn if item.id not in limiters or not limiters[item.id].wait()}
    each = max(8, min(free, 2 * free // max(1, len(running))))
    found = due.candidates(running.values(), each) if running else []
    per_number = {
        key: rate for key, service in known.items() if (rate := service.compiled.limits.per_number_per_second)
    }
    numbers = rate_limit.of_numbers(
        {item.number: per_number[item.integration] for item in found if item.integration in per_number}
    )
    picked = _pick(found, free, running, _Limits(running, rooms, limiters, numbers), turns)
    rate_limit.keep(credentials, numbers)
    probing = {item.integration for item in picked if running[item.integration].probing}
    circuit_breaker.probe(probing)
    waits = [wait for limiter in credentials.values() if (wait := limiter.wait())]
    waits += rate_limit.waits_of_numbers(per_number)
    seen = Counter(item.integration for item in found)
    more = len(turn) < len(rooms) or any(seen[key] == each and rooms[running[key]] for key in seen)
    if more and len(picked) < free:
        waits.append(0 if picked else SOON)
    return Claimed(_claim(picked, probing), min(waits, default=None), known)


def _rooms(found: Iterable[DueIntegration], free: int, held: Mapping[int, int]) -> dict[DueIntegration, int]:
    """How many more messages each integration may have in flight, without those that may have none."""
    rooms = {}
    for item in found:
        own = held.get(item.id, 0)
        room = max(1, int((free + own) * SHARE)) - own
        if room > 0:
            rooms[item] = 1 if item.probing else room
    return rooms


def _rates(known: Iterable[PreparedIntegration]) -> dict[int, float]:
    """The rate limit of each row of credentials; where revisions disagree, the strictest."""
    rates: dict[int, float] = {}
    for service in known:
        rate, before = service.compiled.limits.per_second, rates.get(service.credentials, 0)
        rates[service.credentials] = min(rate, before) if rate and before else rate or before
    return rates


@dataclass
class _Limits:
    """All limits that one more message must be within."""

    running: Mapping[int, DueIntegration]
    rooms: dict[DueIntegration, int]
    of_integrations: Mapping[int, Limiter]
    of_numbers: Mapping[int, Limiter]
    conversations: set[int] = field(default_factory=set)

    def allow(self, item: Candidate) -> bool:
        return (
            self.rooms[self.running[item.integration]] > 0
            and item.conversation not in self.conversations
            and not any(limiter.wait() for limiter in self._limiters(item))
        )

    def take(self, item: Candidate) -> None:
        self.rooms[self.running[item.integration]] -= 1
        self.conversations.add(item.conversation)
        for limiter in self._limiters(item):
            limiter.take()

    def _limiters(self, item: Candidate) -> list[Limiter]:
        found = self.of_integrations.get(item.integration), self.of_numbers.get(item.number)
        return [limiter for limiter in found if limiter is not None]


def _pick(
    found: Sequence[Candidate],
    free: int,
    running: Mapping[int, DueIntegration],
    limits: _Limits,
    turns: Turns,
) -> list[Candidate]:
    """Round after round one message of each organization, the one that waited longest for its turn first."""
    waiting: dict[int, deque[Candidate]] = {item.organization: deque() for item in running.values()}
    for candidate in found:
        waiting[running[candidate.integration].organization].append(candidate)
    in_turn = sorted(waiting, key=turns.last)
    for organization in in_turn:
        if not waiting[organization]:
            turns.take(organization)  # all that it has is in flight, or held back by its numbers
    picked: list[Candidate] = []
    while in_turn and len(picked) < free:
        for organization in list(in_turn):
            own = waiting[organization]
            while own and not limits.allow(own[0]):
                own.popleft()
            if own and len(picked) < free:
                limits.take(own[0])
                picked.append(own.popleft())
                turns.take(organization)
            elif not own:
                in_turn.remove(organization)
    return picked


def _claim(picked: Sequence[Candidate], probing: Collection[int]) -> list[Claim]:
    if not picked:
        return []
    of = {item.id: item for item in picked}
    statement = f"""
        UPDATE messaging_message
        SET queue_state = {CLAIMED}, lease_until = {sql.later("%s")},
            fence = fence + 1, attempts = attempts + 1,
            status = CASE WHEN status < {Status.SENDING:d} THEN {Status.SENDING:d} ELSE status END,
            changed_at = {sql.now()}
        WHERE queue_state = {WAITING} AND {sql.among("id")}
        RETURNING id, fence
    """  # noqa: S608 (constants)
    with connection.cursor() as cursor:
        cursor.execute(statement, [settings.LEASE_SECONDS, sql.array(of)])
        fences = dict(cursor.fetchall())
    return [
        Claim(key, fences[key], item.integration, item.integration in probing)
        for key, item in of.items()
        if key in fences
    ]
