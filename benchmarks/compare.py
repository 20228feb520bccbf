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
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import checkout, contestants, report
from benchmarks.contestants import ALWAYS, FORMS, Entry
from benchmarks.results import Results
from benchmarks.runner import MEASUREMENTS, Runner


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # and clean up
    with tempfile.TemporaryDirectory() as folder:
        entries = _entries(options, Path(folder))
        chosen = {
            key: (entry, Path(folder) / key) for key, entry in entries.items() if _can_take_part(key, entry)
        }
        results, failures = _measure(chosen, options)
    shown = report.whole(results, entries, options.messages, options.rounds)
    print(shown, report.each_round(results), sep="\n")
    if options.write:
        report.write(options.write, shown)
    if failures:
        sys.exit(f"Failures: {failures}. The reasons are printed above.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "contestants", nargs="*", metavar="contestant", help=f"{', '.join(ALWAYS)} (all of them by default)"
    )
    parser.add_argument(
        "--figures",
        nargs="+",
        choices=MEASUREMENTS,
        default=list(MEASUREMENTS),
        help="what is measured (all by default)",
    )
    parser.add_argument(
        "--against", metavar="COMMIT", help="Patchbay as it was there takes part, too, in the same forms"
    )
    parser.add_argument(
        "--large", action="store_true", help="Patchbay with a million stored messages takes part, too"
    )
    parser.add_argument(
        "--senders",
        type=int,
        default=1,
        help="how many organizations of --large send, up to 1000 (%(default)s)",
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
    """The chosen contestants, each form of Patchbay followed by the variants it is compared with."""
    others = contestants.large(options.senders) if options.large else {}
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
    """All figures of all contestants, and the number of failures."""
    results, failures = Results(), 0
    names = [name for name in MEASUREMENTS if name in options.figures]
    with ExitStack() as stack:
        runners = []
        for key, (entry, folder) in chosen.items():
            runner = Runner(key, entry, folder, options.messages, options.seconds)
            stack.callback(runner.close)
            with _attempt(f"preparing {key}") as attempt:
                runner.contestant.prepare()
                runners.append(runner)
            failures += attempt.failed
        for number in range(options.rounds):
            for runner in runners:
                with (
                    _attempt(f"round {number + 1} of {options.rounds}: {runner.key}") as attempt,
                    runner.turn(),
                ):
                    for name in names:
                        attempt.step = name
                        results.add(runner.key, number, MEASUREMENTS[name](runner))
                failures += attempt.failed
    return results, failures


@dataclass
class _Attempt:
    step: str = "start"
    failed: bool = False


@contextmanager
def _attempt(what: str) -> Iterator[_Attempt]:
    """Announces what is done; prints the reason if it fails, so that the run can go on."""
    attempt = _Attempt()
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
    try:
        yield attempt
    except Exception as error:
        attempt.failed = True
        reason = str(error) or type(error).__name__
        print(f"Failed at {attempt.step}: {reason}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
