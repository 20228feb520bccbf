"""Run by a test: a command of Patchbay's whose clock jumps by so many seconds when it gets SIGUSR2.

All of Python is told the new time, as after a wrong correction by NTP; the database keeps its own.
"""

from __future__ import annotations

import runpy
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine


def jump(*_: Any) -> None:
    time_machine.travel(datetime.now(UTC) + SHIFT).start()
    print("The clock is", datetime.now(UTC), flush=True)


SHIFT = timedelta(seconds=float(sys.argv[1]))
signal.signal(signal.SIGUSR2, jump)
sys.argv = sys.argv[2:]
if sys.argv[0] == "-m":
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
else:
    runpy.run_path(sys.argv[0], run_name="__main__")
