"""The ASGI application: webhooks and programs are answered on the event loop, pages by Django in threads.

A request is read whole before anybody works on it, so that a slow caller holds no thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from tempfile import SpooledTemporaryFile
from typing import Any, cast
from urllib.parse import quote

import django
from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
THREADS = 24  # of pages: each keeps a connection to the database, which has a hundred for all processes
django.setup(set_prefix=False)

from portal import doors  # noqa: E402 (Django is ready now)
from portal.handlers import Handler  # noqa: E402

_pages: Any = WSGIMiddleware(cast(Any, Handler()), workers=THREADS)

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

SILENT_SECONDS = 60
# A longer body takes more time to be understood than it takes to tell a thread; the others need not wait.
SHORT = 32 * 1024
AT_ONCE = 64 * 1024
_LAST = {**doors.PLAIN, "connection": "close"}
_PRINTABLE = bytes(range(0x21, 0x7F)).decode()

logger = logging.getLogger(__name__)


class _TooLarge(Exception):
    """The body has more bytes than it may."""


class _TooSlow(Exception):
    """For SILENT_SECONDS nothing of the body came."""


async def application(scope: Event, receive: Receive, send: Send) -> None:
    """Answers a request; one that breaks off is none."""
    if scope["type"] != "http":
        await _pages(scope, receive, send)
        return
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    try:
        if (door := doors.of(path)) is not None:
            await _through(door, path, scope, receive, send)
        else:
            await _page(scope, receive, send)
    except ConnectionError:
        pass
    except _TooSlow:
        await _send(send, 408, _LAST, b"The rest of this request did not come.\n")


async def _through(door: doors.Door, path: str, scope: Event, receive: Receive, send: Send) -> None:
    try:
        body = b"".join([part async for part in _parts(scope, receive, door.MAX_BODY)])
    except _TooLarge:
        body = None
    asked = doors.Asked(
        method=scope["method"],
        path=path,
        mount=scope.get("root_path", ""),
        query=scope["query_string"].decode("latin-1"),
        headers=_headers(scope),
        ip=scope["client"][0] if scope.get("client") else "",
        body=body,
    )
    try:
        answer = await _answer(door, asked)
    except Exception:
        logger.exception("What came to %r could not be kept.", path)
        await _send(send, 500, doors.PLAIN, doors.NOT_KEPT)
    else:
        # What is left of a body is not read.
        headers = answer.headers if body is not None else {**answer.headers, **_LAST}
        await _send(send, answer.status, headers, answer.body)


async def _answer(door: doors.Door, asked: doors.Asked) -> doors.Answer:
    """On the loop, if the database need not be asked for anything: the loop must not wait for it."""
    if asked.body is None or len(asked.body) <= SHORT:
        try:
            return await door.answer(asked)
        except SynchronousOnlyOperation:
            pass  # and nothing was stored yet
    return await asyncio.to_thread(_answer_in_thread, door, asked)


def _answer_in_thread(door: doors.Door, asked: doors.Asked) -> doors.Answer:
    try:
        return doors.at_once(door.answer(asked))
    finally:
        connection.close_if_unusable_or_obsolete()


async def _page(scope: Event, receive: Receive, send: Send) -> None:
    with SpooledTemporaryFile(settings.FILE_UPLOAD_MAX_MEMORY_SIZE) as body:
        try:
            async for part in _parts(scope, receive, settings.MAX_UPLOAD_BYTES + 1024 * 1024):
                body.write(part)
        except _TooLarge:
            await _send(send, 413, _LAST, b"This is too large.\n")
            return
        except ConnectionError:
            raise
        except OSError as error:
            logger.error("A request to %r cannot be kept while it arrives: %s", scope["path"], error.strerror)
            await _send(send, 507, _LAST, b"There is no room for this now. Tell an administrator.\n")
            return
        size = body.tell()
        body.seek(0)

        async def again() -> Event:
            part = body.read(AT_ONCE)
            return {"type": "http.request", "body": part, "more_body": body.tell() < size}

        # The environment of threads takes ASCII only.
        query = quote(scope["query_string"], _PRINTABLE).encode()
        await _pages({**scope, "query_string": query}, again, send)


async def _parts(scope: Event, receive: Receive, most: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises _TooLarge, _TooSlow, and ConnectionError if it breaks off."""
    declared = dict(scope["headers"]).get(b"content-length", b"")
    if declared.isdigit() and int(declared) > most:
        raise _TooLarge
    more = True
    while more:
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                event = await receive()
        except TimeoutError:
            raise _TooSlow from None
        if event["type"] == "http.disconnect":
            raise ConnectionError("The caller hung up.")
        part = event.get("body", b"")
        most -= len(part)
        if most < 0:
            raise _TooLarge
        yield part
        more = event.get("more_body", False)


def _headers(scope: Event) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    fields.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})
