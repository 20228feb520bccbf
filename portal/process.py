"""The state that a process keeps in memory between requests and tasks: one object, rebuilt for each test."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

State = TypeVar("State")


class Process:
    """Holds one instance of each class of state, built at its first use."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._states: dict[type[Any], Any] = {}

    def get(self, kind: type[State]) -> State:
        """The instance of a class, whose constructor takes no arguments."""
        state = self._states.get(kind)
        if state is None:
            with self._lock:
                state = self._states.get(kind)
                if state is None:
                    state = self._states[kind] = kind()
        return state

    def close(self) -> None:
        """Drops all state, and closes each instance that has a `close` method."""
        with self._lock:
            states, self._states = self._states, {}
        for state in states.values():
            if hasattr(state, "close"):
                state.close()


_process = Process()
get = _process.get
close = _process.close
