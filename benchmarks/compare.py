"""Patchbay beside what one would write instead, on this machine, in one run.

Out: users' submissions over HTTP until the provider has all of them. In: the provider's webhooks until all
are filed. Latency: from the submission to the provider, at a steady rate. CPU: seconds of the contestant's
own processes for 1,000 messages. Everything shares this machine: database, broker, provider, load generator.

The contestants take turns, round after round, since a machine changes its pace; each figure is the median of
the rounds. Only one is up at a time.
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
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from benchmarks import load
from benchmarks.contestants import ALL, new_database, servers
from tests.processes import Process, free_port, wait_for

CONNECTIONS = 64
MARKS = ("<!-- measured -->", "<!-- end -->")

# Of one contestant: each figure in each round.
Figures = dict[str, list[float]]

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
    """Runs one contestant, beside a provider of its own, through everything."""

    def __init__(self, name: str, delay: int, messages: int, folder: Path) -> None:
        server, redis = servers()
        self.name, self.messages, self.next = name, messages, 0
        folder.mkdir()
        self.provider = Provider(delay, folder / "provider.log")
        database = new_database(server, f"patchbay_bench_{name}") if server and name != "embedded" else ""
        self.contestant = ALL[name](folder, database, redis, self.provider.url)
        self.contestant.prepare()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """While it lasts the contestant is up, and warm."""
        try:
            self.contestant.start()
            self.warm_up()
            yield
        finally:
            self.contestant.stop()

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


def measure(names: list[str], messages: int, seconds: float, rounds: int) -> dict[str, Figures]:
    """All figures of all contestants."""
    found: dict[str, Figures] = {name: defaultdict(list) for name in names}
    for delay, play in ((0, quick_round), (50, slow_round)):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            courses = [Course(name, delay, messages, Path(folder) / name) for name in names]
            for course in courses:
                stack.callback(course.provider.process.kill)
            for number in range(rounds):
                for course in courses:
                    print(f"provider takes {delay} ms, round {number + 1}: {course.name}", file=sys.stderr)
                    with course.turn():
                        play(course, found[course.name], seconds)
    return found


def quick_round(course: Course, found: Figures, seconds: float) -> None:
    """With a provider that answers at once."""
    add(found, ("idle", "memory"), course.idle(seconds))
    add(found, ("p50", "p99"), course.latency(50, seconds))
    add(found, ("out", "cpu_out", "commits"), course.out(course.messages))
    add(found, ("in", "cpu_in"), course.received(course.messages))
    add(found, ("backlog",), (course.backlog(course.messages),))


def slow_round(course: Course, found: Figures, _seconds: float) -> None:
    """With a provider that takes its time."""
    add(found, ("out_slow",), course.out(course.messages)[:1])
    add(found, ("backlog_slow",), (course.backlog(course.messages),))


def add(found: Figures, names: tuple[str, ...], figures: tuple[float, ...]) -> None:
    """Adds what a round has given."""
    for name, figure in zip(names, figures, strict=True):
        found[name].append(figure)


def row(name: str, found: Figures) -> list[str]:
    """The cells of the table."""
    mid = {figure: statistics.median(values) for figure, values in found.items()}
    commits = f"{mid['commits']:.1f}" if mid["commits"] else "–"
    backlog = f"{mid['backlog']:,.0f} / {mid['backlog_slow']:,.0f}" if mid["backlog"] else "–"
    return [
        ALL[name].name, f"{mid['out']:,.0f} / {mid['out_slow']:,.0f}", backlog, f"{mid['in']:,.0f}",
        f"{mid['cpu_out']:.2f} / {mid['cpu_in']:.2f}", f"{mid['p50']:.1f} / {mid['p99']:.1f} ms", commits,
        f"{mid['idle']:.1%}", f"{mid['memory']:.0f} MiB",
    ]  # fmt: skip


def ratios(found: Mapping[str, Figures]) -> list[str]:
    """How many times as fast as each yardstick Patchbay was: the median of the rounds, and their range."""
    lines = []
    for yardstick in ("glue", "naive"):
        if "patchbay" in found and yardstick in found:
            told = []
            for figure, words in (("out", "out"), ("out_slow", "out at 50 ms"), ("in", "in")):
                times = [
                    mine / theirs
                    for mine, theirs in zip(found["patchbay"][figure], found[yardstick][figure], strict=True)
                ]
                told.append(
                    f"{words} {statistics.median(times):.1f} × ({min(times):.1f} to {max(times):.1f})"
                )
            lines.append(f"- Patchbay beside {ALL[yardstick].name}: {', '.join(told)}.")
    return lines


def machine() -> str:
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "unknown")
    names = ("django", "celery", "aiohttp", "granian", "psycopg")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}; Python {platform.python_version()}, {packages}"


def table(found: Mapping[str, Figures], messages: int, rounds: int) -> str:
    """The figures as Markdown."""
    rows = [HEAD, ["---"] * len(HEAD), *(row(name, figures) for name, figures in found.items())]
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    told = f"Medians of {rounds} rounds of {messages:,} messages. {machine()}."
    return "\n".join([*lines, "", *ratios(found), "", told, ""])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("contestants", nargs="*", choices=[[], *ALL], help="all of them by default")
    parser.add_argument("--messages", type=int, default=1500, help="for each figure (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of everything (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=6, help="of steady load, and of idling (%(default)s)"
    )
    parser.add_argument("--write", type=Path, help="a page whose table, between two marks, is replaced")
    options = parser.parse_args()
    chosen = options.contestants or [name for name in ALL if name == "embedded" or all(servers())]
    found = measure(chosen, options.messages, options.seconds, options.rounds)
    shown = table(found, options.messages, options.rounds)
    print(shown)
    if options.write:
        before, _, rest = options.write.read_text().partition(MARKS[0])
        options.write.write_text(f"{before}{MARKS[0]}\n\n{shown}\n{MARKS[1]}{rest.partition(MARKS[1])[2]}")


if __name__ == "__main__":
    main()
