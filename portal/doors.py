"""The doors of services and programs: their requests pass Django's, which with its middleware takes longer.

A door is a module that says which paths it leads to and how much it reads, and answers. It is asked on an
event loop or in a thread (`portal.asgi`): what it awaits suits both.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Protocol, TypeVar

# The answer to what could not be stored.
PLAIN, NOT_KEPT = {"content-type": "text/plain"}, b"This could not be kept. Please send it again.\n"
NAMES = ("messaging.receiving.door",)

Given = TypeVar("Given")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: `mount` is what a server puts before `path`; `query` is raw, header names are lower-case.

    `body` is None if it is larger than the door reads.
    """

    method: str
    path: str
    mount: str
    query: str
    headers: Mapping[str, str]
    ip: str
    body: bytes | None


class Answer(Protocol):
    """What goes back; header names are lower-case."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Door(Protocol):
    """What `NAMES` name; MAX_BODY is in bytes.

    It asks the database for what it needs before it stores anything: on an event loop, where that cannot be,
    it is asked once more in a thread.
    """

    MAX_BODY: int
    leads: Callable[[str], bool]
    answer: Callable[[Asked], Coroutine[Any, Any, Answer]]


def of(path: str) -> Door | None:
    """The door that a path leads to; None for Django's pages."""
    return next((door for door in _all() if door.leads(path)), None)


@cache
def _all() -> list[Any]:
    return [import_module(name) for name in NAMES]


def at_once(coroutine: Coroutine[Any, Any, Given]) -> Given:
    """What a coroutine gives in a thread without an event loop, where all that it awaits blocks instead."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    coroutine.close()
    raise RuntimeError("This coroutine needs an event loop.")
