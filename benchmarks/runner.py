"""Runs one contestant beside a provider of its own; each measurement returns named figures."""

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
# Times the messages of other figures: a few hundred of a backlog leave at once.
BACKLOG = 3
SLOW = 50  # milliseconds until the provider answers
Figures = dict[str, float]


class Runner:
    """Measures one contestant: rates with `messages` each, latency and idling for `seconds` each."""

    def __init__(self, key: str, entry: Entry, folder: Path, messages: int, seconds: float) -> None:
        self.key, self.messages, self.seconds, self._next = key, messages, seconds, 0
        folder.mkdir()
        self.provider = ProviderProcess(folder / "provider.log")
        self.contestant = entry.make(folder, self.provider, key)

    def close(self) -> None:
        """Removes what the contestant keeps, and ends the provider."""
        self.contestant.remove()
        self.provider.stop()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keeps the contestant running, and warm, while it lasts."""
        try:
            self.contestant.start()
            self._warm_up()
            yield
        finally:
            self.contestant.stop()

    def _warm_up(self) -> None:
        """Uses every connection often enough for its plans to be cached, with fresh table statistics."""
        for _ in range(2):
            self._send(WARM_UP)
            self._receive(WARM_UP)
            self.contestant.analyze()  # as autovacuum does every minute

    def _numbers(self, count: int) -> range:
        """New texts; the first is a multiple of the batch size."""
        first = -(-self._next // BATCH) * BATCH
        self._next = first + count
        return range(first, self._next)

    # --- Measurements ---

    def idle(self) -> Figures:
        """Share of a core while nothing happens, and MiB."""
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
        """Messages a second in batches of 100, and CPU seconds per 1,000."""
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
        """Delivery reports recorded a second, and CPU seconds per 1,000. The messages are sent first."""
        self.contestant.mark()
        numbers = self._numbers(self.messages)
        requests = [self.contestant.submission(number, report=True) for number in numbers]
        self._submit(requests, numbers)
        reports = [self.contestant.report(number) for number in numbers]
        rate, cpu = self._deliver(reports, self.contestant.delivered)
        return {"reports": rate, "cpu_reports": cpu}

    def backlog(self) -> Figures:
        """Queued messages sent a second, from the first that arrives to the last."""
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

    # --- Steps ---

    @contextmanager
    def _slow(self) -> Iterator[None]:
        self.provider.set_delay(SLOW)
        try:
            yield
        finally:
            self.provider.set_delay(0)

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
        time.sleep(1.2)  # until the answers are recorded and PostgreSQL has counted the commits
        used = (contestant.cpu() - cpu) * 1000 / count
        return count / (last - began), used, (contestant.transactions() - commits) / count

    def _receive(self, count: int) -> tuple[float, float]:
        self.contestant.mark()
        webhooks = [self.contestant.webhook(number) for number in self._numbers(count)]
        return self._deliver(webhooks, self.contestant.filed)

    def _deliver(self, requests: Sequence[bytes], stored: Callable[[], int]) -> tuple[float, float]:
        """Requests of the provider stored a second, and CPU seconds per 1,000."""
        contestant, count = self.contestant, len(requests)
        cpu = contestant.cpu()
        began = asyncio.run(load.burst(contestant.webhook_port, requests, CONNECTIONS))
        while (so_far := stored()) < count:
            assert time.monotonic() < began + load.PATIENCE, f"Only {so_far} of {count} were stored."
            time.sleep(0.02)
        took = time.monotonic() - began
        return count / took, (contestant.cpu() - cpu) * 1000 / count

    def _drain(self) -> float:
        """Queued messages sent a second; 0 if nothing can be queued."""
        numbers = self._numbers(BACKLOG * self.messages)
        if not self.contestant.queue(numbers):
            return 0
        arrived = self.provider.wait_for(numbers)
        time.sleep(1.2)
        return (len(numbers) - 1) / (max(arrived) - min(arrived))


# By their names on the command line, in the order in which they run.
MEASUREMENTS: dict[str, Callable[[Runner], Figures]] = {
    "idle": Runner.idle,
    "latency": Runner.latency,
    "out": Runner.out,
    "batches": Runner.batches,
    "in": Runner.received,
    "reports": Runner.reports,
    "slow-out": Runner.slow_out,
    "backlog": Runner.backlog,  # restarts what sends
    "slow-backlog": Runner.slow_backlog,
}
