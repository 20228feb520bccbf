"""Starts the provider as a process of its own, and asks it what has arrived."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.processes import Process, free_port, wait_for


class ProviderProcess:
    """A running provider; it answers at once until a delay is set."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/messages"
        self._process = Process([sys.executable, "-m", "benchmarks.provider", str(self.port)], {}, log)
        self._seen: defaultdict[str, dict[int, float]] = defaultdict(dict)
        wait_for(self._answers, 10)

    def _answers(self) -> bool:
        try:
            self.arrived()
        except OSError:
            return False
        return True

    def arrived(self, path: str = "/messages") -> dict[int, float]:
        """When each text arrived at this path, so far."""
        for where, texts in self._ask("/arrived").items():
            self._seen[where] |= {int(number): moment for number, moment in texts.items()}
        return self._seen[path]

    def wait_for(self, numbers: range, seconds: float = 120) -> list[float]:
        """When these texts arrived, once they all have."""
        wanted = set(numbers)
        end = time.monotonic() + seconds
        while lacking := wanted - self.arrived().keys():
            assert time.monotonic() < end, f"{len(lacking)} of {len(wanted)} messages never came."
            time.sleep(0.1)
        return [self._seen["/messages"][number] for number in numbers]

    def set_delay(self, milliseconds: int) -> None:
        """Has it answer each message after this time."""
        self._ask(f"/delay/{milliseconds}")

    def stop(self) -> None:
        self._process.kill()

    def _ask(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.origin + path) as answer:
            found: dict[str, Any] = json.load(answer)
        return found
