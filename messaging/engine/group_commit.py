"""Group commit: what many threads write at one moment shares one transaction, as in LevelDB's write queue."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from django.db import (
    DEFAULT_DB_ALIAS,
    InterfaceError,
    OperationalError,
    connection,
    connections,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper

# After a batch of CROWD or more the leader waits a little: those that are answered soon come again, and a
# statement costs much the same for few items and for many.
CROWD, GATHER_SECONDS = 8, 0.003

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Place(Generic[Item, Result]):
    """An item in the queue. Its thread sleeps until the item is settled, or until it is to lead."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.settled = False
        self.result: Result
        self.error: Exception | None = RuntimeError("The thread that wrote the batch was stopped.")
        self.sleep = threading.Lock()  # an Event takes several times as long
        self.sleep.acquire()


class GroupCommit(Generic[Item, Result]):
    """Commits the items of many threads together, up to 200 in one transaction.

    A thread that finds no leader leads: it writes what has been queued by then, hands each thread its result,
    and passes the lead on. So a lone item waits for nobody.

    All batches go through one connection, lent to the leader: PostgreSQL keeps the plans of statements for
    each connection, and what it has used a moment ago is in memory.
    """

    most = 200

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[_Place[Item, Result]] = deque()
        self._led = False
        self._crowd = False
        self._connection: BaseDatabaseWrapper | None = None

    def write(self, batch: Sequence[Item]) -> Sequence[Result]:
        """Writes a batch inside a transaction, and returns a result for each item.

        If it raises, each item is tried alone: `write` may see an item twice.
        """
        raise NotImplementedError

    def after(self, batch: Sequence[Item], results: Sequence[Result]) -> None:
        """Called once a batch is over, when the other threads have their results already.

        `results` are those that have been committed, in the order of their items.
        """

    @property
    def queued(self) -> int:
        """How many items wait for the next batch."""
        return len(self._queue)

    def put(self, item: Item) -> Result:
        """The item's result, once it is committed; inside a transaction, once it is written.

        Raises what `write` raises for this item alone.
        """
        if connection.in_atomic_block:
            (written,) = self._commit([item])
            transaction.on_commit(lambda: self.after([item], [written]))
            return written
        (result,) = self._wait_for([item])
        if isinstance(result, Exception):
            raise result
        return result

    def put_all(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        """`put` for several items, which share batches: the result of each, or what `write` raises for it."""
        if not items:
            return []
        return self._put_all_inside(items) if connection.in_atomic_block else self._wait_for(items)

    def close(self) -> None:
        """Closes the connection, while nobody leads; the next batch opens another."""
        if self._connection is not None:
            self._connection.close()

    def _put_all_inside(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        try:
            results = self._commit(items)
        except Exception as error:
            if len(items) == 1:
                return [error]
            return [result for item in items for result in self._put_all_inside([item])]
        transaction.on_commit(lambda: self.after(items, results))
        return results

    def _wait_for(self, items: Sequence[Item]) -> list[Result | Exception]:
        places = [_Place[Item, Result](item) for item in items]
        with self._lock:
            self._queue.extend(places)
            leads, self._led = not self._led, True
        stopped: BaseException | None = None
        for place in places:
            if not leads:
                place.sleep.acquire()
            leads = False
            if not place.settled:
                try:
                    self._lead()
                except BaseException as error:  # the lead may come to a later place, and others wait for it
                    stopped = error
        if stopped is not None:
            raise stopped
        return [place.result if place.error is None else place.error for place in places]

    def _lead(self) -> None:
        if self._crowd:
            time.sleep(GATHER_SECONDS)
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(self.most, len(self._queue)))]
        self._crowd = len(batch) >= CROWD
        try:
            self._settle(batch)
        finally:
            with self._lock:
                heir = self._queue[0] if self._queue else None
                self._led = heir is not None
            if heir is not None:
                heir.sleep.release()
            for place in batch:
                place.settled = True
                place.sleep.release()
        results = [place.result for place in batch if place.error is None]
        self.after([place.item for place in batch], results)

    def _settle(self, batch: Sequence[_Place[Item, Result]]) -> None:
        try:
            with self._lent_connection():
                results = self._commit([place.item for place in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
            else:
                self._settle_alone(batch)
        else:
            for place, result in zip(batch, results, strict=True):
                place.result, place.error = result, None

    def _settle_alone(self, batch: Sequence[_Place[Item, Result]]) -> None:
        away: Exception | None = None
        for place in batch:
            if away is None:
                self._settle([place])
                # What fails alone because the database is away would fail for the others too, after a wait.
                away = place.error if isinstance(place.error, OperationalError | InterfaceError) else None
            else:
                place.error = type(away)(*away.args)  # one of its own: raising adds to an error's traceback

    def _commit(self, items: Sequence[Item]) -> Sequence[Result]:
        with transaction.atomic():
            return self.write(items)

    @contextmanager
    def _lent_connection(self) -> Iterator[None]:
        own = connections[DEFAULT_DB_ALIAS]
        if self._connection is None:
            self._connection = connections.create_connection(DEFAULT_DB_ALIAS)
            self._connection.inc_thread_sharing()
        connections[DEFAULT_DB_ALIAS] = self._connection
        try:
            yield
        finally:
            connections[DEFAULT_DB_ALIAS] = own
            self._connection.close_if_unusable_or_obsolete()
