"""Group commit: what many threads write at one moment shares one transaction, as in LevelDB's write queue."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
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

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Seat(Generic[Item, Result]):
    """A thread's place in the queue: it is woken when its item is settled, or to take the lead."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.sleep = threading.Lock()  # an Event takes several times as long
        self.sleep.acquire()
        self.settled = False
        self.result: Result
        self.error: Exception | None = RuntimeError("The thread that wrote the batch was stopped.")


class GroupCommit(Generic[Item, Result]):
    """Commits items of many threads together, at most `most` at once.

    Who finds no leader leads: it writes what has come by then, hands each its result, and passes the lead on.
    So a lone item waits for nobody, and no thread has to be started, watched or stopped. Within one process
    the queue is the only writer, which is all the locking that SQLite needs.

    All batches go through one connection, lent to who leads: PostgreSQL keeps the plans of the statements for
    each connection, and what it has used a moment ago is at hand.

    `write` gets a batch inside a transaction and returns a result for each item. If it raises, each item is
    tried alone; `write` may therefore see an item twice. `afterwards` gets the batch once it is over, when
    the others have their results already.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Sequence[Result]],
        afterwards: Callable[[Sequence[Item]], None] = lambda batch: None,
        *,
        most: int = 200,
    ) -> None:
        self._write, self._afterwards, self._most = write, afterwards, most
        self._lock = threading.Lock()
        self._queue: deque[_Seat[Item, Result]] = deque()
        self._led = False
        self._connection: BaseDatabaseWrapper | None = None

    def put(self, item: Item) -> Result:
        """The item's result, once it is committed; inside a transaction, once it is written.

        Raises what `write` raises for this item alone.
        """
        if connection.in_atomic_block:
            (result,) = self._commit([item])
            transaction.on_commit(lambda: self._afterwards([item]))
            return result
        seat: _Seat[Item, Result] = _Seat(item)
        with self._lock:
            self._queue.append(seat)
            leads, self._led = not self._led, True
        if not leads:
            seat.sleep.acquire()
        if not seat.settled:
            self._afterwards(self._lead())
        if seat.error is not None:
            raise seat.error
        return seat.result

    def close(self) -> None:
        """Closes the connection, while nobody leads; the next batch opens another."""
        if self._connection is not None:
            self._connection.close()

    def _lead(self) -> list[Item]:
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]
        try:
            self._settle(batch)
        finally:
            with self._lock:
                heir = self._queue[0] if self._queue else None
                self._led = heir is not None
            if heir is not None:
                heir.sleep.release()
            for seat in batch:
                seat.settled = True
                seat.sleep.release()
        return [seat.item for seat in batch]

    def _settle(self, batch: Sequence[_Seat[Item, Result]]) -> None:
        try:
            with self._lent_connection():
                results = self._commit([seat.item for seat in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0].error = error
            else:
                self._settle_alone(batch)
        else:
            for seat, result in zip(batch, results, strict=True):
                seat.result, seat.error = result, None

    def _settle_alone(self, batch: Sequence[_Seat[Item, Result]]) -> None:
        away: Exception | None = None
        for seat in batch:
            if away is None:
                self._settle([seat])
                # What fails alone for the database's sake would fail for the others as well, after a wait.
                away = seat.error if isinstance(seat.error, OperationalError | InterfaceError) else None
            else:
                seat.error = type(away)(*away.args)  # one of its own: raising adds to an error's traceback

    def _commit(self, items: Sequence[Item]) -> Sequence[Result]:
        with transaction.atomic():
            return self._write(items)

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
