"""Patchbay beside what one would write instead, on this machine, in one run.

Out: users' submissions over HTTP, one by one or in batches, until the provider has all of them. In: the
provider's webhooks until all are filed. Reports: its delivery reports until all are recorded. Backlog:
messages that wait in the database, from the first that arrives to the last. Latency: from the submission
to the provider, at a steady rate. CPU: seconds of the contestant's own processes for 1,000 messages.
Everything shares this machine: database, broker, provider, load generator.

The contestants take turns, round after round, since a machine changes its pace; each figure is the median
of the rounds, and each ratio the median of the rounds' ratios. Only one contestant is up at a time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import checkout, contestants, report
from benchmarks.contestants import ALWAYS, FORMS, LARGE, Entry
from benchmarks.course import PARTS, Course
from benchmarks.results import Results


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        entries = _entries(options, Path(folder))
        courses = {
            key: (entry, Path(folder) / key) for key, entry in entries.items() if _can_take_part(key, entry)
        }
        results, failed = _measure(courses, options)
    shown = report.whole(results, entries, options.messages, options.rounds)
    print(shown, report.each_round(results), sep="\n")
    if options.write:
        report.write(options.write, shown)
    if failed:
        sys.exit(f"{failed} turns failed: the reasons stand above.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "contestants", nargs="*", metavar="contestant", help=f"{', '.join(ALWAYS)} (all of them by default)"
    )
    parser.add_argument(
        "--figures", nargs="+", choices=PARTS, default=list(PARTS), help="what is measured (all by default)"
    )
    parser.add_argument(
        "--against", metavar="COMMIT", help="Patchbay as it was there takes part, too, in the same forms"
    )
    parser.add_argument(
        "--large", action="store_true", help="Patchbay with a million stored messages takes part, too"
    )
    parser.add_argument("--messages", type=int, default=1200, help="for each figure (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of everything (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=6, help="of steady load, and of idling (%(default)s)"
    )
    parser.add_argument("--write", type=Path, help="a page whose tables, between two marks, are replaced")
    options = parser.parse_args()
    options.contestants = options.contestants or list(ALWAYS)
    if unknown := set(options.contestants) - ALWAYS.keys():
        parser.error(f"There is no contestant {', '.join(sorted(unknown))}.")
    if (options.against or options.large) and not set(FORMS) & set(options.contestants):
        parser.error("--against and --large compare Patchbay: choose patchbay, embedded or both.")
    if options.messages < 100:
        parser.error("A batch has 100 messages: --messages is 100 at least.")
    return options


def _entries(options: argparse.Namespace, folder: Path) -> dict[str, Entry]:
    """All who are to take part, each form of Patchbay followed by what it is compared with."""
    others: dict[str, Entry] = dict(LARGE) if options.large else {}
    if options.against:
        commit = checkout.short_name(options.against)
        others |= contestants.before(commit, checkout.unpack(commit, folder / "before"))
    found: dict[str, Entry] = {}
    for key in options.contestants:
        found[key] = ALWAYS[key]
        found |= {name: entry for name, entry in others.items() if name.endswith(f"-{key}")}
    return found


def _can_take_part(key: str, entry: Entry) -> bool:
    if missing := entry.missing():
        print(f"{key} does not take part: {missing}.", file=sys.stderr)
    return not missing


def _measure(chosen: Mapping[str, tuple[Entry, Path]], options: argparse.Namespace) -> tuple[Results, int]:
    """All figures of all contestants, and how often one of them failed."""
    results, failed = Results(), 0
    parts = [part for part in PARTS if part in options.figures]
    with ExitStack() as stack:
        courses = []
        for key, (entry, folder) in chosen.items():
            course = Course(key, entry, folder, options.messages, options.seconds)
            stack.callback(course.end)
            with _told(f"{key} is prepared") as told:
                course.contestant.prepare()
                courses.append(course)
            failed += told.failed
        for number in range(options.rounds):
            for course in courses:
                with _told(f"round {number + 1} of {options.rounds}: {course.key}") as told, course.turn():
                    for part in parts:
                        results.add(course.key, number, PARTS[part](course))
                failed += told.failed
    return results, failed


@dataclass
class _Told:
    failed: bool = False


@contextmanager
def _told(what: str) -> Iterator[_Told]:
    """Says what is done; if it fails, the reason, and the run goes on without it."""
    told = _Told()
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
    try:
        yield told
    except (AssertionError, OSError) as error:
        told.failed = True
        print(f"That failed: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
