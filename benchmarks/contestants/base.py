"""What all contestants have in common: they are real processes, and are asked and watched in the same way."""

from __future__ import annotations

import sys
from contextlib import suppress
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

    What it keeps is in `folder`; `key` names it among the contestants of a run.
    """

    # How many messages it is given while the provider takes its time, where all of them would take minutes.
    most_when_slow: int | None = None

    def __init__(self, folder: Path, provider: ProviderProcess, key: str) -> None:
        self.folder, self.provider = folder, provider
        self.port = self.webhook_port = free_port()
        self.log = folder / "log"
        self.environment: dict[str, str] = {}
        self.processes: list[Process] = []

    # --- Its life ---

    def prepare(self) -> None:
        """Makes what is there from the beginning."""
        raise NotImplementedError

    def start(self) -> None:
        """Starts the processes, and returns once they answer."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends its processes."""
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()

    def remove(self) -> None:
        """Removes what it keeps outside its folder."""

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
        """Starts the web server that Patchbay's container uses, as it uses it."""
        self.run(
            sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(self.port),
            "--workers", "2", "--blocking-threads", str(threads), application,
        )  # fmt: skip
        self.wait_until_listening(self.port)

    # --- What is asked of it; None: it cannot do that ---

    def submission(self, number: int, *, report: bool = False) -> bytes:
        """The request of a user who sends the text `number`, and wants its delivery reported or not."""
        raise NotImplementedError

    def batch(self, numbers: range) -> bytes | None:
        """The request of a program that sends these texts at once."""
        return None

    def webhook(self, number: int) -> bytes:
        """The provider's request that brings the text `number`."""
        raise NotImplementedError

    def report(self, number: int) -> bytes:
        """The provider's request that tells that the text `number` was delivered."""
        raise NotImplementedError

    def queue(self, numbers: range) -> bool:
        """Has these texts wait while nobody sends, then lets them go; False where nothing can wait."""
        return False

    # --- How it is watched ---

    def mark(self) -> None:
        """From here on `filed` and `delivered` count."""
        raise NotImplementedError

    def filed(self) -> int:
        """How many of the provider's texts have arrived since the mark."""
        raise NotImplementedError

    def delivered(self) -> int:
        """How many of the messages sent since the mark are known to be delivered."""
        raise NotImplementedError

    def transactions(self) -> int:
        """Commits so far, where they are counted."""
        return 0

    def analyze(self) -> None:
        """Has the database look at how full its tables are."""

    def cpu(self) -> float:
        """CPU seconds that its processes have used; the database's are not among them."""
        return sum(item.cpu_times().user + item.cpu_times().system for item in self._tree())

    def memory(self) -> float:
        """MiB of its processes: memory of their own and their share of what they have in common."""
        return float(sum(item.memory_full_info().pss for item in self._tree())) / 2**20

    def _tree(self) -> list[psutil.Process]:
        found = []
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.popen.pid)
                found += [parent, *parent.children(recursive=True)]
        return found
