"""All of Patchbay in one process: web server, worker and scheduler, with one data folder."""

from __future__ import annotations

import ctypes
import fcntl
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from celery.signals import worker_shutting_down
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from portal import environment
from portal.celery import app
from portal.environment import prepare_data_folder
from portal.handlers import Handler
from portal.models import User
from portal.server import WebServer

logger = logging.getLogger(__name__)

THREADS = 24
LARGE_THREADS = 6
# Of glibc's malloc.h.
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
LARGE_BLOCK = 128 * 1024


@dataclass(frozen=True)
class Options:
    """Where to serve, and the operator to create on the first start; an empty password is generated."""

    host: str = "127.0.0.1"
    port: int = 8000
    admin_email: str = "operator@patchbay.localhost"
    admin_password: str = ""


def run(
    options: Options,
    *,
    prepare: Callable[[], None] = lambda: None,
    ready: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = print,
) -> None:
    """Serves until SIGTERM or SIGINT. Raises CommandError with a sentence if it cannot start.

    `prepare` is called when the database is up to date, `ready` when requests are being served.
    """
    _return_memory()
    with locked(prepare_data_folder()), listening(options) as listener:
        if not environment.read("PATCHBAY_PUBLIC_URL"):
            settings.PUBLIC_URL = f"http://localhost:{options.port}"
            settings.CSRF_TRUSTED_ORIGINS = [settings.PUBLIC_URL]
        call_command("install", verbosity=0)
        _first_operator(options, say)
        prepare()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os._exit(1) if stop.is_set() else stop.set())
        worker = _Worker()
        server = WebServer(
            Handler(),
            listener,
            threads=THREADS,
            large_threads=LARGE_THREADS,
            max_body=settings.MAX_BODY_BYTES,
            told_of_large_bodies=("/api/",),
        )
        server.start()
        ready()
        say(f"Patchbay is ready at {settings.PUBLIC_URL}/ (press Ctrl-C to stop).")
        stop.wait()
        say("Stopping when the requests in progress have finished.")
        server.stop()
        worker.stop()


def _return_memory() -> None:
    """Has the C library give large blocks back at once, instead of keeping them for each thread.

    The Dockerfile and the systemd units do the same by MALLOC_ARENA_MAX and MALLOC_MMAP_THRESHOLD_.
    """
    with suppress(OSError, AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(M_ARENA_MAX, 2)
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Locks the data folder for this process. Raises CommandError, which names the process that has it."""
    path = folder / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise CommandError(
                f"The data folder {folder} is in use by process {file.read().strip() or 'unknown'}. "
                "Stop that process, or choose another folder with --data."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def listening(options: Options) -> Iterator[socket.socket]:
    """A socket bound to the address. Raises CommandError if it cannot be bound."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        listener = socket.create_server((options.host, options.port), family=family, backlog=1024)
    except OSError as error:
        raise CommandError(
            f"Port {options.port} on {options.host} cannot be used: {error.strerror}. "
            "Choose another with --port."
        ) from None
    with listener:
        yield listener


def _first_operator(options: Options, say: Callable[[str], None]) -> None:
    if User.objects.filter(is_operator=True).exists():
        return
    password = options.admin_password or secrets.token_urlsafe(16)
    User.objects.create_superuser(options.admin_email, password, name="Operator")
    if options.admin_password:
        say(f"The operator signs in as {options.admin_email} with the password from --admin-password.")
    else:
        say(
            f"The operator signs in as {options.admin_email} with the password {password}. "
            "It is not shown again."
        )


class _Worker:
    """A Celery worker and its scheduler, in threads of this process."""

    def __init__(self) -> None:
        from celery.beat import Scheduler, Service

        self._worker = app.WorkController(
            pool="threads",
            concurrency=settings.CELERY_WORKER_CONCURRENCY,
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
            quiet=True,
        )
        self._thread = threading.Thread(target=self._worker.start, name="worker", daemon=True)
        self._thread.start()
        self._beat = Service(app, scheduler_cls=Scheduler)
        threading.Thread(target=self._beat.start, name="beat", daemon=True).start()

    def stop(self) -> None:
        worker_shutting_down.send(sender="serve", sig="SIGTERM", how="Warm", exitcode=0)
        self._beat.stop()
        threading.Thread(target=self._worker.stop, name="stop-worker", daemon=True).start()
        self._thread.join(settings.STOP_SECONDS + 4)
