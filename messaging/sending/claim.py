"""Claiming: which of the due messages go next, fair between organizations and within all limits."""

from __future__ import annotations

import itertools
import zlib
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection, transaction

from integrations import prepared
from integrations.prepared import PreparedIntegration
from messaging.database import sql
from messaging.sending import breaker, lanes, outcomes, pace, queue
from messaging.sending.lanes import Candidate, Lane
from messaging.sending.pace import Limiter
from messaging.sending.queue import CLAIMED, WAITING, Claim
from messaging.statuses import Status

# What a lane may have of the slots that the others leave.
SHARE = 0.75
# Seconds until another look, where nobody can tell when it will find something.
SOON = 0.05
_LOCK = zlib.crc32(b"messaging.claim")

# When each organization last had its turn in this process.
_turns: dict[int, int] = {}
_clock = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Taken:
    """Claimed messages, and in how many seconds more may go (None: no limit holds anything back).

    `known` are the services that were looked up on the way.
    """

    claims: list[Claim]
    wait: float | None = None
    known: Mapping[int, PreparedIntegration] = field(default_factory=dict)


def take(free: int, held: Mapping[int, int] | None = None) -> Taken:
    """Claims at most `free` due messages, where `held` says how many each lane has in flight already.

    Organizations take turns, each with its oldest message. A lane gets at most three quarters of the slots
    that the others leave, so that services that hang never hold them all. One message of a conversation is in
    flight at a time.
    """
    if free < 1:
        return Taken([])
    # Asked before the lock, so that a look that finds nothing costs one statement and holds up nobody.
    due, unrouted = lanes.due()
    if unrouted:
        queue.refuse_unrouted(outcomes.unrouted())
    rooms = _rooms(due, free, held or {})
    if not rooms:
        return Taken([])
    with transaction.atomic():
        _alone()
        return _take(rooms, free)


def _take(rooms: dict[Lane, int], free: int) -> Taken:
    turn = sorted(rooms, key=lambda lane: _turns.get(lane.organization, 0))[: max(free, 8)]
    known = prepared.prepare(lane.id for lane in turn)
    credentials = pace.of_credentials(_rates(known.values()))
    limiters = {key: credentials[service.credentials] for key, service in known.items()}
    queue.expire([lane.id for lane in turn if lane.probing], outcomes.expired())
    running = {lane.id: lane for lane in turn if lane.id not in limiters or not limiters[lane.id].wait()}
    each = max(8, min(free, 2 * free // max(1, len(running))))
    found = lanes.candidates(running.values(), each) if running else []
    paced = {
        key: rate for key, service in known.items() if (rate := service.compiled.limits.per_number_per_second)
    }
    numbers = pace.of_numbers({item.number: paced[item.lane] for item in found if item.lane in paced})
    picked = _pick(found, free, running, _Rules(running, rooms, limiters, numbers))
    pace.keep(credentials, numbers)
    probing = {item.lane for item in picked if running[item.lane].probing}
    breaker.probe(probing)
    waits = [wait for limiter in credentials.values() if (wait := limiter.wait())]
    waits += pace.waits_of_numbers(paced)
    seen = Counter(item.lane for item in found)
    more = len(turn) < len(rooms) or any(seen[key] == each and rooms[running[key]] for key in seen)
    if more and len(picked) < free:
        waits.append(0 if picked else SOON)
    return Taken(_claim(picked, probing), min(waits, default=None), known)


def _alone() -> None:
    """Lets one process choose at a time: two would each take a message of the same conversation."""
    if sql.is_postgres():
        with connection.cursor() as cursor:
            # A process that is halted right here must not hold up the others; and the plans cost more to
            # compile than to run.
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', '5s', true), "
                "set_config('jit', 'off', true), pg_advisory_xact_lock(%s)",
                [_LOCK],
            )


def _rooms(due: Iterable[Lane], free: int, held: Mapping[int, int]) -> dict[Lane, int]:
    """How many more each lane may have in flight; those that may have none are left out."""
    rooms = {}
    for lane in due:
        own = held.get(lane.id, 0)
        left_by_others = free + own
        room = max(1, int(left_by_others * SHARE)) - own
        if room > 0:
            rooms[lane] = 1 if lane.probing else room
    return rooms


def _rates(known: Iterable[PreparedIntegration]) -> dict[int, float]:
    """The limit of each row of credentials; where revisions disagree, the strictest."""
    rates: dict[int, float] = {}
    for service in known:
        rate, before = service.compiled.limits.per_second, rates.get(service.credentials, 0)
        rates[service.credentials] = min(rate, before) if rate and before else rate or before
    return rates


@dataclass
class _Rules:
    """What decides whether one more message may go."""

    running: Mapping[int, Lane]
    rooms: dict[Lane, int]
    of_lanes: Mapping[int, Limiter]
    of_numbers: Mapping[int, Limiter]
    conversations: set[int] = field(default_factory=set)

    def allow(self, item: Candidate) -> bool:
        room = self.rooms[self.running[item.lane]]
        return (
            room > 0
            and item.conversation not in self.conversations
            and not any(limiter.wait() for limiter in self._limiters(item))
        )

    def take(self, item: Candidate) -> None:
        self.rooms[self.running[item.lane]] -= 1
        self.conversations.add(item.conversation)
        for limiter in self._limiters(item):
            limiter.take()

    def _limiters(self, item: Candidate) -> list[Limiter]:
        found = self.of_lanes.get(item.lane), self.of_numbers.get(item.number)
        return [limiter for limiter in found if limiter is not None]


def _pick(
    found: Sequence[Candidate], free: int, running: Mapping[int, Lane], rules: _Rules
) -> list[Candidate]:
    """Round after round one message of each organization, whoever waited longest for its turn first."""
    waiting: dict[int, deque[Candidate]] = {lane.organization: deque() for lane in running.values()}
    for item in found:
        waiting[running[item.lane].organization].append(item)
    in_turn = sorted(waiting, key=lambda organization: _turns.get(organization, 0))
    for organization in in_turn:
        if not waiting[organization]:
            _turns[organization] = next(_clock)  # all of it is on its way, or held back by its numbers
    picked: list[Candidate] = []
    while in_turn and len(picked) < free:
        for organization in list(in_turn):
            own = waiting[organization]
            while own and not rules.allow(own[0]):
                own.popleft()
            if own and len(picked) < free:
                rules.take(own[0])
                picked.append(own.popleft())
                _turns[organization] = next(_clock)
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
    return [Claim(key, fences[key], of[key].lane, of[key].lane in probing) for key in of if key in fences]
