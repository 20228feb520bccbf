"""Patchbay beside what one would write instead, on this machine, in one run.

Out: users' submissions over HTTP until the provider has all of them. In: the provider's webhooks until all
are filed. Latency: from the submission to the provider, at a steady rate. CPU: seconds of the contestant's
own processes for 1,000 messages. Everything shares this machine: database, broker, provider, load generator.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks import load
from benchmarks.contestants import ALL, Contestant, new_database, servers
from tests.processes import Process, free_port, wait_for

CONNECTIONS = 64  # as many as the web servers have threads
MARKS = ("<!-- measured -->", "<!-- end -->")


@dataclass
class Figures:
    """What was measured of one contestant."""

    name: str
    out: float = 0
    out_slow: float = 0
    backlog: float = 0
    backlog_slow: float = 0
    received: float = 0
    cpu_out: float = 0
    cpu_in: float = 0
    p50: float = 0
    p99: float = 0
    commits: float = 0
    idle: float = 0
    memory: float = 0

    def row(self) -> list[str]:
        """The cells of the table."""
        commits = f"{self.commits:.1f}" if self.commits else "–"
        backlog = f"{self.backlog:,.0f} / {self.backlog_slow:,.0f}" if self.backlog else "–"
        return [
            self.name, f"{self.out:,.0f} / {self.out_slow:,.0f}", backlog, f"{self.received:,.0f}",
            f"{self.cpu_out:.2f} / {self.cpu_in:.2f}", f"{self.p50:.1f} / {self.p99:.1f} ms", commits,
            f"{self.idle:.1%}", f"{self.memory:.0f} MiB",
        ]  # fmt: skip


HEAD = [
    "", "out /s, provider takes 0 / 50 ms", "queued → out /s, 0 / 50 ms", "in /s", "CPU s per 1,000 out / in",
    "latency p50 / p99 at 50/s", "commits per message out", "idle, of a core", "memory",
]  # fmt: skip


class Provider:
    """The provider as a process of its own."""

    def __init__(self, delay: int, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/messages"
        command = [sys.executable, "-m", "benchmarks.provider", str(self.port), str(delay)]
        self.process = Process(command, {}, log)
        self.seen: dict[int, float] = {}
        wait_for(self._answers, 10)

    def _answers(self) -> bool:
        try:
            self.arrived()
        except OSError:
            return False
        return True

    def arrived(self) -> dict[int, float]:
        """When each text arrived, so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/") as answer:
            self.seen |= {int(number): moment for number, moment in json.load(answer).items()}
        return self.seen

    def wait_for(self, numbers: range, seconds: float = 300) -> list[float]:
        """When these texts arrived, once they all have."""
        wanted = set(numbers)
        end = time.monotonic() + seconds
        while not wanted <= self.arrived().keys():
            assert time.monotonic() < end, f"{len(wanted - self.seen.keys())} of {len(wanted)} never came."
            time.sleep(0.1)
        return [self.seen[number] for number in numbers]


class Course:
    """Runs one contestant through everything."""

    def __init__(self, contestant: Contestant, provider: Provider, messages: int) -> None:
        self.contestant, self.provider, self.messages = contestant, provider, messages
        self.next = 0

    def numbers(self, count: int) -> range:
        """Texts that were not sent yet."""
        first, self.next = self.next, self.next + count
        return range(first, self.next)

    def warm_up(self) -> None:
        """Has everything been asked for by every connection, and the tables known to PostgreSQL's planner."""
        for _round in range(2):
            self.out(500)
            self.received(500)
            self.contestant.analyze()  # as autovacuum does every minute

    def out(self, count: int) -> tuple[float, float, float]:
        """Messages a second, CPU seconds and commits per message."""
        numbers, contestant = self.numbers(count), self.contestant
        requests = [contestant.submission(number) for number in numbers]
        cpu, commits, began = contestant.cpu(), contestant.transactions(), time.monotonic()
        asyncio.run(load.burst(contestant.port, requests, CONNECTIONS))
        last = max(self.provider.wait_for(numbers))
        time.sleep(1.2)  # what the answers bring is written, and PostgreSQL has counted it
        used = (contestant.cpu() - cpu) * 1000 / count
        return count / (last - began), used, (contestant.transactions() - commits) / count

    def received(self, count: int) -> tuple[float, float]:
        """Webhooks filed a second, and CPU seconds per 1,000."""
        contestant = self.contestant
        requests = [contestant.webhook(number) for number in self.numbers(count)]
        before, cpu, began = contestant.filed(), contestant.cpu(), time.monotonic()
        asyncio.run(load.burst(contestant.port, requests, CONNECTIONS))
        while (filed := contestant.filed() - before) < count:
            assert time.monotonic() < began + 300, f"Only {filed} of {count} were filed."
            time.sleep(0.05)
        took = time.monotonic() - began
        return count / took, (contestant.cpu() - cpu) * 1000 / count

    def backlog(self, count: int) -> float:
        """Messages a second from a queue to the provider, from the first to the last; 0 without a queue."""
        numbers = self.numbers(count)
        if not self.contestant.queue(numbers):
            return 0
        arrived = self.provider.wait_for(numbers)
        return (count - 1) / (max(arrived) - min(arrived))

    def latency(self, per_second: float, seconds: float) -> tuple[float, float]:
        """Milliseconds from submission to provider: median and 99th percentile."""
        numbers = self.numbers(int(per_second * seconds))
        requests = [self.contestant.submission(number) for number in numbers]
        sent = asyncio.run(load.steady(self.contestant.port, requests, per_second))
        arrived = self.provider.wait_for(numbers)
        took = sorted((there - here) * 1000 for here, there in zip(sent, arrived, strict=True))
        return statistics.median(took), took[int(len(took) * 0.99)]

    def idle(self, seconds: float) -> tuple[float, float]:
        """The share of a core while nothing happens, and MiB."""
        time.sleep(3)
        cpu, began = self.contestant.cpu(), time.monotonic()
        time.sleep(seconds)
        return (self.contestant.cpu() - cpu) / (time.monotonic() - began), self.contestant.memory()


def measure(name: str, messages: int, seconds: float, folder: Path) -> Figures:
    """All figures of one contestant."""
    server, redis = servers()
    figures = Figures(ALL[name].name)
    for delay in (0, 50):
        place = folder / f"{name}-{delay}"
        place.mkdir()
        provider = Provider(delay, place / "provider.log")
        database = new_database(server, f"patchbay_bench_{name}") if server and name != "embedded" else ""
        contestant = ALL[name](place, database, redis, provider.url)
        try:
            contestant.start()
            course = Course(contestant, provider, messages)
            course.warm_up()
            if delay:
                figures.out_slow, _, _ = course.out(messages)
                figures.backlog_slow = course.backlog(messages)
                continue
            figures.idle, figures.memory = course.idle(seconds)
            figures.p50, figures.p99 = course.latency(50, seconds)
            figures.out, figures.cpu_out, figures.commits = course.out(messages)
            figures.received, figures.cpu_in = course.received(messages)
            figures.backlog = course.backlog(messages)
        finally:
            contestant.stop()
            provider.process.kill()
    return figures


def machine() -> str:
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "unknown")
    names = ("django", "celery", "aiohttp", "granian", "psycopg")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}; Python {platform.python_version()}, {packages}"


def table(found: list[Figures], messages: int) -> str:
    """The figures as Markdown."""
    rows = [HEAD, ["---"] * len(HEAD), *(item.row() for item in found)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", f"{messages:,} messages each. {machine()}.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("contestants", nargs="*", choices=[[], *ALL], help="all of them by default")
    parser.add_argument("--messages", type=int, default=3000, help="for each figure (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=10, help="of steady load, and of idling (%(default)s)"
    )
    parser.add_argument("--write", type=Path, help="a page whose table, between two marks, is replaced")
    options = parser.parse_args()
    chosen = options.contestants or [name for name in ALL if name == "embedded" or all(servers())]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            print(f"measuring {ALL[name].name} …", file=sys.stderr)
            found.append(measure(name, options.messages, options.seconds, Path(folder)))
    shown = table(found, options.messages)
    print(shown)
    if options.write:
        before, _, rest = options.write.read_text().partition(MARKS[0])
        options.write.write_text(f"{before}{MARKS[0]}\n\n{shown}\n{MARKS[1]}{rest.partition(MARKS[1])[2]}")


if __name__ == "__main__":
    main()
