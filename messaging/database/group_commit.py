"""Group commit: what many threads write at one moment shares one transaction, as in LevelDB's write queue."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
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

# After a batch of so many the next one is waited for a little: those who got their answers come again, and
# statements for a batch cost much the same for few items and for many.
CROWD, GATHER_SECONDS = 8, 0.003

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Seat(Generic[Item, Result]):
    """The place of an item in the queue."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.settled = False
        self.result: Result
        self.error: Exception | None = RuntimeError("The thread that wrote the batch was stopped.")

    def outcome(self) -> Result:
        """What has come of the item. Raises what it raised."""
        if self.error is not None:
            raise self.error
        return self.result


class _OfThread(_Seat[Item, Result]):
    """The place of a thread, which sleeps until its item is settled or it is to take the lead."""

    def __init__(self, item: Item) -> None:
        super().__init__(item)
        self.sleep = threading.Lock()  # an Event takes several times as long
        self.sleep.acquire()


class _OfTask(_Seat[Item, Result]):
    """The place of a coroutine, which waits while a thread leads for it."""

    def __init__(self, item: Item, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(item)
        self.loop, self.over = loop, loop.create_future()


class GroupCommit(Generic[Item, Result]):
    """Commits items of many threads together, at most `most` at once.

    Who finds no leader leads: it writes what has come by then, hands each its result, and passes the lead on.
    So a lone item waits for nobody. For a coroutine, which must not block, a thread leads. Within one process
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
        self._crowd = False
        # They lead for coroutines, two: while one does what comes afterwards, the other leads.
        self._leaders = ThreadPoolExecutor(2, "group commit")
        self._connection: BaseDatabaseWrapper | None = None

    def put(self, item: Item) -> Result:
        """The item's result, once it is committed; inside a transaction, once it is written.

        Raises what `write` raises for this item alone.
        """
        if connection.in_atomic_block:
            (result,) = self._commit([item])
            transaction.on_commit(lambda: self._afterwards([item]))
            return result
        seat = _OfThread[Item, Result](item)
        if not self._take_places([seat]):
            seat.sleep.acquire()
        if not seat.settled:
            self._lead()
        return seat.outcome()

    def put_all(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        """`put` for several items, which share batches: the result of each, or what `write` raises for it."""
        if not items:
            return []  # whoever takes no place must not take the lead
        if connection.in_atomic_block:
            return self._put_all_inside(items)
        seats = [_OfThread[Item, Result](item) for item in items]
        leads = self._take_places(seats)
        stopped: BaseException | None = None
        for seat in seats:
            if not leads:
                seat.sleep.acquire()
            leads = False
            if not seat.settled:
                try:
                    self._lead()
                except BaseException as error:  # the lead may come to a later seat, and others wait for it
                    stopped = error
        if stopped is not None:
            raise stopped
        return [seat.result if seat.error is None else seat.error for seat in seats]

    def _put_all_inside(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        try:
            results = self._commit(items)
        except Exception as error:
            if len(items) == 1:
                return [error]
            return [result for item in items for result in self._put_all_inside([item])]
        transaction.on_commit(lambda: self._afterwards(items))
        return results

    async def soon(self, item: Item) -> Result:
        """`put` for a coroutine: an event loop goes on meanwhile. In a thread without one it blocks."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self.put(item)
        seat = _OfTask[Item, Result](item, loop)
        if self._take_places([seat]):
            self._leaders.submit(self._lead)
        await seat.over
        return seat.outcome()

    def close(self) -> None:
        """Closes the connection, while nobody leads; the next batch opens another."""
        if self._connection is not None:
            self._connection.close()

    def _take_places(self, seats: Sequence[_Seat[Item, Result]]) -> bool:
        """Queues; whether there is no leader yet, so that the first one has the lead."""
        with self._lock:
            self._queue.extend(seats)
            leads, self._led = not self._led, True
        return leads

    def _lead(self) -> None:
        if self._crowd:
            time.sleep(GATHER_SECONDS)
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]
        self._crowd = len(batch) >= CROWD
        try:
            self._settle(batch)
        finally:
            with self._lock:
                heir = self._queue[0] if self._queue else None
                self._led = heir is not None
            if isinstance(heir, _OfThread):
                heir.sleep.release()
            elif heir is not None:
                self._leaders.submit(self._lead)
            _tell(batch)
        self._afterwards([seat.item for seat in batch])

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


def _tell(batch: Sequence[_Seat[Item, Result]]) -> None:
    """Wakes those whose items are settled, all of an event loop at once."""
    waiting = defaultdict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]](list)
    for seat in batch:
        seat.settled = True
        if isinstance(seat, _OfThread):
            seat.sleep.release()
        elif isinstance(seat, _OfTask):
            waiting[seat.loop].append(seat.over)
    for loop, over in waiting.items():
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_end, over)


def _end(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():  # who waited may have been cancelled
            future.set_result(None)
