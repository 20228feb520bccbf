"""A drain whose requests are under way at the same time, and are settled as they are answered."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

from integrations import http
from integrations.events import Fault, HttpRequest, HttpResponse
from messaging.drain import Drain

Row = TypeVar("Row")
Answer = HttpResponse | Fault


class Sending(Drain, Generic[Row]):
    """Sends what rows of a table stand for; who answers slowly, or not at all, delays nobody else.

    `in_flight` counts what is under way, by the key of whom it is for.
    """

    def __init__(self) -> None:
        super().__init__()
        self._reset()

    def _reset(self) -> None:
        self.in_flight: Counter[int] = Counter()
        # Answers as they arrive; None: look at the table again. One to a drain that failed is dropped: the
        # row is sent again when its lease ends.
        self._answers: SimpleQueue[tuple[Row, Answer] | None] = SimpleQueue()

    def interrupt(self) -> None:
        self._answers.put(None)

    def work(self) -> None:
        self._reset()
        while True:
            self.look()
            if not self.stopped:
                self.begin()
            if not self.in_flight:
                return
            if answered := self._next_answers():
                self.in_flight.subtract(self.party(row) for row, _answer in answered)
                self.in_flight = +self.in_flight
                self.settle(answered)

    def send(self, requests: Iterable[tuple[Row, HttpRequest]]) -> None:
        """Sends these, and does not wait for answers."""
        ready = list(requests)
        self.in_flight.update(self.party(row) for row, _request in ready)
        http.send_all((request, partial(_answered, self._answers, row)) for row, request in ready)

    @abstractmethod
    def party(self, row: Row) -> int:
        """The key of whom a row is for."""

    @abstractmethod
    def begin(self) -> None:
        """Claims what can be sent now, and sends it."""

    @abstractmethod
    def settle(self, answered: Sequence[tuple[Row, Answer]]) -> None:
        """Records what has become of these."""

    def _next_answers(self) -> list[tuple[Row, Answer]]:
        """What has been answered, once something is; nothing, to look again."""
        found = [self._answers.get()]
        while not self._answers.empty():
            found.append(self._answers.get())
        return [answer for answer in found if answer is not None]


def _answered(answers: SimpleQueue[tuple[Row, Answer] | None], row: Row, answer: Answer) -> None:
    """Called by the thread that sends."""
    answers.put((row, answer))
