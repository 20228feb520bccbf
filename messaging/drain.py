"""A task that works until nothing is due, once in each process."""

from __future__ import annotations

import threading
from typing import ClassVar

from messaging import wakeups
from messaging.wakeups import Task
from portal import process


class _Stop:
    """Whether the drains of this process begin nothing more."""

    def __init__(self) -> None:
        self.event = threading.Event()


def start() -> None:
    """Lets drains work again after `stop`."""
    process.get(_Stop).event.clear()


def stop() -> None:
    """Has the drains of this process begin nothing more."""
    process.get(_Stop).event.set()


class Drain:
    """Works off what is due in one thread of the process; a call while it does makes that thread look again.

    So a wake-up that comes while it works is not lost, and a slot of the worker is free for other tasks.
    """

    task: ClassVar[Task]

    def __init__(self) -> None:
        self._running = threading.Lock()
        self._again = threading.Event()

    def run(self) -> None:
        """Works, unless another thread does; then has it look again."""
        self._again.set()
        while self._again.is_set() and not self.stopped:
            if not self._running.acquire(blocking=False):
                self.interrupt()
                return
            try:
                self.work()
            finally:
                self._running.release()
        if self.stopped:
            wakeups.taken(self.task)  # another process can be woken

    @property
    def stopped(self) -> bool:
        """Whether it is to begin nothing more."""
        return process.get(_Stop).event.is_set()

    def look(self) -> None:
        """To be called by `work` before each look: what is committed from now on needs another wake-up."""
        if self._again.is_set():
            self._again.clear()
            wakeups.taken(self.task)

    def work(self) -> None:
        """Calls `look`, and works off what it finds, until there is nothing more or it is stopped."""
        raise NotImplementedError

    def interrupt(self) -> None:
        """Called by another thread than the one that works, to have that one look again soon."""
