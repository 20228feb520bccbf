"""How a waitress server in a thread is stopped."""

from __future__ import annotations

from typing import Any

from waitress import wasyncore


def shut_down(server: Any, seconds: float = 5) -> None:
    """Waits up to `seconds` for the requests under way, then closes every connection: `server.run` returns.

    `server` is what `waitress.server.create_server` made; it may run in another thread.
    """
    # The workers go first: one that ends its answer later would wake a server that is closed.
    server.task_dispatcher.shutdown(cancel_pending=True, timeout=seconds)
    # Only the server's own thread may touch its sockets; with none left its loop ends. It may be awake
    # already, and would then close the pipe before the wake-up is written, hence the lock over both.
    trigger = server.trigger
    with trigger.lock:
        trigger.thunks.append(lambda: wasyncore.close_all(server._map))
        trigger._physical_pull()
