"""Patchbay as its users start it: real processes, real ports, a data folder of their own."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


# Below those that the system lends to clients, of which one may be taken before a server listens on it; each
# process that runs tests has a thousand of its own.
_FIRST = 10_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
_ports = itertools.cycle(range(_FIRST, _FIRST + 1_000))


def free_port() -> int:
    """A port that nobody listens on, and that nobody else is given."""
    while True:
        with suppress(OSError), socket.create_server(("127.0.0.1", port := next(_ports))):
            return port


def wait_for(what: Callable[[], Any], seconds: float = 10, why: Callable[[], str] = str) -> Any:
    """The first true value; fails after so many seconds, saying why."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(f"Waited {seconds} s in vain. {why()}")


class Process:
    """A command of Patchbay's, with its output in a file."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PATCHBAY_", "PYTHONUNBUFFERED", "DATABASE_URL", "REDIS_URL", "DJANGO_"))
        }
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env=inherited | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @classmethod
    def manage(cls, *arguments: str, environment: dict[str, str], log: Path) -> Process:
        """`python manage.py …`"""
        return cls([sys.executable, "manage.py", *arguments], environment, log)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until_ready(self, url: str, seconds: float = 120) -> None:
        """Until /readyz answers; fails with the output if the process ends before."""

        def ready() -> bool:
            if self.popen.poll() is not None:
                raise AssertionError(f"It ended with {self.popen.returncode}:\n{self.output}")
            try:
                with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, OSError):
                return False

        wait_for(ready, seconds, lambda: self.output)

    def finish(self, seconds: float = 180) -> str:
        """The output of a command that must succeed."""
        assert self.popen.wait(seconds) == 0, self.output
        return self.output

    def halt(self) -> None:
        """Halts it until it is killed or continued; returns once it stands still."""
        self.popen.send_signal(signal.SIGSTOP)
        status = Path(f"/proc/{self.popen.pid}/stat")
        wait_for(lambda: status.read_text().rpartition(")")[2].split()[0] == "T")

    def kill(self) -> None:
        """kill -9, of its children too."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)

    def stop(self, seconds: float = 20) -> int:
        """SIGTERM, and the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"It did not stop:\n{self.output}") from None
