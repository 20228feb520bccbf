"""What all contestants have in common: real processes, the same requests, the same observations."""

from __future__ import annotations

import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from benchmarks.provider_process import ProviderProcess
from tests.processes import Process, free_port, wait_for

NUMBER = "+61855555501"
CONTACTS = 1000


def contact(number: int) -> str:
    """Who sends or receives the text `number`."""
    return f"+61412{number % CONTACTS:06d}"


class Contestant:
    """Something that sends and receives messages through a provider.

    Its files are in `folder`; `key` names it within a run.
    """

    # How many messages it gets while the provider is slow, if all of them would take minutes.
    most_when_slow: int | None = None

    def __init__(self, folder: Path, provider: ProviderProcess, key: str) -> None:
        self.folder, self.provider = folder, provider
        self.port = self.webhook_port = free_port()
        self.log = folder / "log"
        self.environment: dict[str, str] = {}
        self.processes: list[Process] = []

    # --- Lifecycle ---

    def prepare(self) -> None:
        """Creates everything that is there from the beginning."""

    def start(self) -> None:
        """Starts its processes and waits until they answer."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends its processes."""
        with ExitStack() as stack:  # whoever does not stop keeps none of the others alive
            for process in self.processes:
                stack.callback(process.stop)
        self.processes.clear()

    def remove(self) -> None:
        """Removes whatever it keeps outside its folder."""

    def run(self, *command: str) -> Process:
        """Starts one of its processes."""
        started = Process(command, self.environment, self.log)
        self.processes.append(started)
        return started

    def complete(self, *command: str, seconds: float = 60) -> str:
        """The output of a command that must succeed."""
        process = self.run(*command)
        try:
            return process.finish(seconds)
        finally:
            process.kill()
            self.processes.remove(process)

    def wait_until_listening(self, port: int) -> None:
        """Until one of its processes listens on the port."""
        wait_for(lambda: self._listens(port), 30, lambda: self.log.read_text(errors="replace"))

    def _listens(self, port: int) -> bool:
        connections = (found for item in self._tree() for found in item.net_connections())
        return any(found.status == "LISTEN" and found.laddr.port == port for found in connections)

    def serve_wsgi(self, application: str, threads: int = 32) -> None:
        """Starts the web server of Patchbay's container with the same options."""
        self.run(
            sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(self.port),
            "--workers", "2", "--blocking-threads", str(threads), application,
        )  # fmt: skip
        self.wait_until_listening(self.port)

    # --- Requests ---

    def submission(self, number: int, *, report: bool = False) -> bytes:
        """A user's request to send the text `number`; `report` asks for a delivery report."""
        raise NotImplementedError

    def batch(self, numbers: range) -> bytes | None:
        """A program's request to send all of these texts, or None if there is no such request."""
        return None

    def webhook(self, number: int) -> bytes:
        """The provider's webhook with the inbound text `number`."""
        raise NotImplementedError

    def report(self, number: int) -> bytes:
        """The provider's webhook that reports the text `number` as delivered."""
        raise NotImplementedError

    def queue(self, numbers: range) -> bool:
        """Queues these texts while nothing sends, then lets it send; False if it has no queue."""
        return False

    # --- Observations ---

    def mark(self) -> None:
        """Starts the counts of `filed` and `delivered`."""
        raise NotImplementedError

    def filed(self) -> int:
        """How many inbound texts have been filed since the mark."""
        raise NotImplementedError

    def delivered(self) -> int:
        """How many of the messages sent since the mark are recorded as delivered."""
        raise NotImplementedError

    def transactions(self) -> int:
        """Commits so far, or 0 if nobody counts them."""
        return 0

    def analyze(self) -> None:
        """Renews the statistics of the database."""

    def cpu(self) -> float:
        """CPU seconds that its processes have used, without the database."""
        return sum(item.cpu_times().user + item.cpu_times().system for item in self._tree())

    def memory(self) -> float:
        """MiB of its processes: their own memory and their share of what they have in common."""
        return float(sum(item.memory_full_info().pss for item in self._tree())) / 2**20

    def _tree(self) -> list[psutil.Process]:
        found = []
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.popen.pid)
                found += [parent, *parent.children(recursive=True)]
        return found
