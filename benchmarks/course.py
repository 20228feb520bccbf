"""What each contestant is taken through, beside a provider of its own; each part gives named figures."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import load
from benchmarks.contestants import Entry
from benchmarks.provider_process import ProviderProcess

CONNECTIONS = 64
BATCH, BATCH_CONNECTIONS = 100, 4
WARM_UP = 500
SLOW = 50  # milliseconds that the provider takes
Figures = dict[str, float]


class Course:
    """One contestant. Each figure takes so many messages; latency and idling take so many seconds."""

    def __init__(self, key: str, entry: Entry, folder: Path, messages: int, seconds: float) -> None:
        self.key, self.messages, self.seconds, self._next = key, messages, seconds, 0
        folder.mkdir()
        self.provider = ProviderProcess(folder / "provider.log")
        self.contestant = entry.make(folder, self.provider, key)

    def end(self) -> None:
        """Removes everything."""
        self.contestant.remove()
        self.provider.stop()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """While it lasts the contestant is up, and warm."""
        try:
            self.contestant.start()
            self._warm_up()
            yield
        finally:
            self.provider.take(0)
            self.contestant.stop()

    def _warm_up(self) -> None:
        """Has everything been asked for by every connection, and the tables known to PostgreSQL's planner."""
        for _ in range(2):
            self._send(WARM_UP)
            self._receive(WARM_UP)
            self.contestant.analyze()  # as autovacuum does every minute

    def _numbers(self, count: int) -> range:
        """Texts that were not sent yet, the first of them a multiple of a batch's size."""
        first = -(-self._next // BATCH) * BATCH
        self._next = first + count
        return range(first, self._next)

    # --- The parts ---

    def idle(self) -> Figures:
        """The share of a core while nothing happens, and MiB."""
        time.sleep(3)
        cpu, began = self.contestant.cpu(), time.monotonic()
        time.sleep(self.seconds)
        share = (self.contestant.cpu() - cpu) / (time.monotonic() - began)
        return {"idle": share, "memory": self.contestant.memory()}

    def latency(self) -> Figures:
        """Milliseconds from submission to provider at 50 a second: median and 99th percentile."""
        numbers = self._numbers(int(50 * self.seconds))
        requests = [self.contestant.submission(number) for number in numbers]
        sent = asyncio.run(load.steady(self.contestant.port, requests, 50))
        arrived = self.provider.wait_for(numbers)
        took = sorted((there - here) * 1000 for here, there in zip(sent, arrived, strict=True))
        return {"p50": statistics.median(took), "p99": took[int(len(took) * 0.99)]}

    def out(self) -> Figures:
        """Messages a second, CPU seconds per 1,000, and commits per message."""
        rate, cpu, commits = self._send(self.messages)
        return {"out": rate, "cpu_out": cpu} | ({"commits": commits} if commits else {})

    def batches(self) -> Figures:
        """The same messages in requests of 100 each."""
        numbers = self._numbers(self.messages // BATCH * BATCH)
        first = self.contestant.batch(self._numbers(1))
        if first is None or asyncio.run(load.status(self.contestant.port, first)) in (404, 405):
            return {}
        requests = [
            request
            for start in range(numbers.start, numbers.stop, BATCH)
            if (request := self.contestant.batch(range(start, start + BATCH)))
        ]
        rate, cpu, _ = self._submit(requests, numbers, BATCH_CONNECTIONS)
        return {"batches": rate, "cpu_batches": cpu}

    def received(self) -> Figures:
        """Webhooks filed a second, and CPU seconds per 1,000."""
        rate, cpu = self._receive(self.messages)
        return {"in": rate, "cpu_in": cpu}

    def reports(self) -> Figures:
        """Delivery reports recorded a second, and CPU seconds per 1,000, of messages that were just sent."""
        self.contestant.mark()
        numbers = self._numbers(self.messages)
        requests = [self.contestant.submission(number, report=True) for number in numbers]
        self._submit(requests, numbers)
        reports = [self.contestant.report(number) for number in numbers]
        rate, cpu = self._bring(reports, self.contestant.delivered)
        return {"reports": rate, "cpu_reports": cpu}

    def backlog(self) -> Figures:
        """Messages a second from a queue to the provider, from the first to the last."""
        rate = self._drain()
        return {"backlog": rate} if rate else {}

    def slow_out(self) -> Figures:
        """As `out`, while the provider takes its time."""
        with self._slow():
            rate, _cpu, _commits = self._send(self.contestant.most_when_slow or self.messages)
        return {"slow_out": rate}

    def slow_backlog(self) -> Figures:
        """As `backlog`, while the provider takes its time."""
        with self._slow():
            rate = self._drain()
        return {"slow_backlog": rate} if rate else {}

    # --- What they are made of ---

    @contextmanager
    def _slow(self) -> Iterator[None]:
        self.provider.take(SLOW)
        try:
            yield
        finally:
            self.provider.take(0)

    def _send(self, count: int) -> tuple[float, float, float]:
        numbers = self._numbers(count)
        return self._submit([self.contestant.submission(number) for number in numbers], numbers)

    def _submit(
        self, requests: Sequence[bytes], numbers: range, connections: int = CONNECTIONS
    ) -> tuple[float, float, float]:
        """Messages a second until the provider has all, CPU seconds per 1,000 and commits per message."""
        contestant, count = self.contestant, len(numbers)
        cpu, commits = contestant.cpu(), contestant.transactions()
        began = asyncio.run(load.burst(contestant.port, requests, connections))
        last = max(self.provider.wait_for(numbers))
        time.sleep(1.2)  # what the answers bring is written, and PostgreSQL has counted it
        used = (contestant.cpu() - cpu) * 1000 / count
        return count / (last - began), used, (contestant.transactions() - commits) / count

    def _receive(self, count: int) -> tuple[float, float]:
        self.contestant.mark()
        webhooks = [self.contestant.webhook(number) for number in self._numbers(count)]
        return self._bring(webhooks, self.contestant.filed)

    def _bring(self, requests: Sequence[bytes], stored: Callable[[], int]) -> tuple[float, float]:
        """Requests of the provider's stored a second, and CPU seconds per 1,000."""
        contestant, count = self.contestant, len(requests)
        cpu = contestant.cpu()
        began = asyncio.run(load.burst(contestant.webhook_port, requests, CONNECTIONS))
        while (so_far := stored()) < count:
            assert time.monotonic() < began + 120, f"Only {so_far} of {count} were stored."
            time.sleep(0.02)
        took = time.monotonic() - began
        return count / took, (contestant.cpu() - cpu) * 1000 / count

    def _drain(self) -> float:
        """Messages a second out of a queue; 0 where there is none."""
        numbers = self._numbers(self.messages)
        if not self.contestant.queue(numbers):
            return 0
        arrived = self.provider.wait_for(numbers)
        time.sleep(1.2)
        return (len(numbers) - 1) / (max(arrived) - min(arrived))


# In the order in which they are played; by what they are called on the command line.
PARTS: dict[str, Callable[[Course], Figures]] = {
    "idle": Course.idle,
    "latency": Course.latency,
    "out": Course.out,
    "batches": Course.batches,
    "in": Course.received,
    "reports": Course.reports,
    "slow-out": Course.slow_out,
    "backlog": Course.backlog,  # what sends is started anew from here on
    "slow-backlog": Course.slow_backlog,
}
