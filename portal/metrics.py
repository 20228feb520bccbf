"""The counters and histograms of all rooms, as Prometheus reads them at /metrics.

With PROMETHEUS_MULTIPROC_DIR each process writes its figures to files in that folder, and whichever answers
/metrics adds them up; without it there is one process. What can be read from the database is read when it is
asked for (`messaging/reporting/figures.py`). Labels are words of ours and service ids of templates, nothing
that grows with organizations, people or messages.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, values
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")

_places: dict[int, str] = {}  # by process id: a fork takes a place of its own


def _place_of_process() -> str:
    """Names the files of this process: it takes the first place that is free, and counts on from there.

    So processes that end soon, such as commands that file mails, do not fill the folder; nor do containers,
    each of which has another host name: they share the machine's locks with the folder.
    """
    if (pid := os.getpid()) not in _places:
        places = map(str, itertools.count())
        _places[pid] = next(place for place in places if _takes(f"{FOLDER}/{place}.lock"))
    return _places[pid]


def _takes(lock: str) -> bool:
    """Takes the lock until this process ends, unless another process has it or it is another user's."""
    try:
        held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError:
        if not Path(lock).exists():
            raise  # the whole folder is another user's: no place in it can be taken
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        return False
    return True


if FOLDER:
    Path(FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
    values.ValueClass = values.MultiProcessValue(_place_of_process)
disable_created_metrics()

_OURS = CollectorRegistry()
_QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600)

# Each has a label: so a process that counts nothing writes no file.
WEBHOOKS = Counter(
    "patchbay_webhooks",
    "Webhooks that were read, by the service of the URL and the verdict.",
    ["service", "verdict"],
    registry=_OURS,
)
WEBHOOKS_REFUSED = Counter(
    "patchbay_webhooks_refused",
    "Webhooks that were answered with an error, by the reason.",
    ["reason"],
    registry=_OURS,
)
POLLS = Counter(
    "patchbay_polls",
    "Requests that ask a provider for what has arrived, by their result.",
    ["service", "result"],
    registry=_OURS,
)
SUBMISSIONS = Counter(
    "patchbay_submissions", "Messages that were submitted: accepted or refused.", ["result"], registry=_OURS
)
SENDS = Counter(
    "patchbay_sends",
    "Requests that send a message, by their result; unsent: Patchbay refused the message without a request.",
    ["service", "result"],
    registry=_OURS,
)
PROVIDER_SECONDS = Histogram(
    "patchbay_provider_seconds",
    "From a request to a provider to its response or the lack of one.",
    ["service"],
    buckets=_QUICK,
    registry=_OURS,
)
ANSWER_SECONDS = Histogram(
    "patchbay_submission_to_answer_seconds",
    "From the submission of a message until its provider has accepted or refused it for good.",
    ["service"],
    buckets=_SLOW,
    registry=_OURS,
)
FILED_SECONDS = Histogram(
    "patchbay_webhook_to_filed_seconds",
    "From the arrival of a webhook until its events are filed, by the type of the event.",
    ["type"],
    buckets=_SLOW,
    registry=_OURS,
)
EVENTS_OUT = Counter(
    "patchbay_events_out",
    "Requests that tell a receiver of an event, by the type of the event and their result.",
    ["type", "result"],
    registry=_OURS,
)
TASK_LAG_SECONDS = Histogram(
    "patchbay_task_lag_seconds",
    "From a wake-up until a worker begins the task.",
    ["task"],
    buckets=_QUICK,
    registry=_OURS,
)


def registry() -> CollectorRegistry:
    """The counters and histograms of all processes, or of this one if it is the only one."""
    if not FOLDER:
        return _OURS
    everyone = CollectorRegistry()
    MultiProcessCollector(everyone, FOLDER)
    return everyone
