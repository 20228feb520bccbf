"""How Patchbay is started, by what its checkout holds. Keep this like docker-compose.yml."""

from __future__ import annotations

import sys
from pathlib import Path


def web(tree: Path, port: int) -> list[str]:
    """The web server, as in the container."""
    granian = [sys.executable, "-m", "granian", "--port", str(port), "--workers", "2"]
    if (tree / "portal" / "wsgi.py").exists():
        return [*granian, "--interface", "wsgi", "--blocking-threads", "32", "portal.wsgi:application"]
    return [*granian, "--interface", "asgi", "portal.asgi:application"]


def worker(_tree: Path) -> list[str]:
    """A worker, as in the container; there are two."""
    return [
        sys.executable, "-m", "celery", "-A", "portal", "worker", "--pool", "threads",
        "--without-heartbeat", "--without-gossip", "--without-mingle",
    ]  # fmt: skip


def serve(_tree: Path, port: int) -> list[str]:
    """The one process on SQLite."""
    return [sys.executable, "manage.py", "serve", "--port", str(port)]
