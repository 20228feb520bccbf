"""Stops a waitress server that runs in a thread."""

from __future__ import annotations

from typing import Any

from waitress import wasyncore


def shut_down(server: Any, seconds: float = 5) -> None:
    """Waits up to `seconds` for current requests, then closes every connection, so that `server.run` returns.

    `server` comes from `waitress.server.create_server`, and may run in another thread.
    """
    # The workers stop first: one that finishes a response later would wake a closed server.
    server.task_dispatcher.shutdown(cancel_pending=True, timeout=seconds)
    # Only the server's own thread may touch its sockets; with none left, its loop ends. It may be awake
    # already and then close the pipe before the wake-up is written, so the lock covers both.
    trigger = server.trigger
    with trigger.lock:
        trigger.thunks.append(lambda: wasyncore.close_all(server._map))
        trigger._physical_pull()
