"""The door of programs, past Django's request: from what the web server hands over to the answer.

A token says who asks, JSON goes in and out, and refusals are problem+json.
"""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError

from integrations.events import HttpResponse
from messaging.api import messages, problems
from messaging.api.problems import Problem
from portal import tokens
from portal.doors import Asked
from portal.middleware import SAFE
from portal.models import User

PLACE = "/api/"
MESSAGES = "/api/v1/messages"
DESCRIPTION = "/api/v1/openapi.json"
MAX_BODY = 64 * 1024
JSON = "application/json"

_MESSAGE = re.compile(f"{MESSAGES}/([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})")

log = logging.getLogger(__name__)


def leads(path: str) -> bool:
    """Whether it is the API's."""
    return path.startswith(PLACE)


async def answer(asked: Asked) -> HttpResponse:
    """Does what a program asks for."""
    try:
        found = await _found(asked)
    except Problem as problem:
        found = _told(problem)
    except (OperationalError, InterfaceError) as error:
        log.warning("The API answers 503: %s", error)
        found = _told(
            Problem(
                problems.UNAVAILABLE,
                "Try again in a few seconds, with the same Idempotency-Key.",
                headers={"retry-after": "5"},
            )
        )
    if asked.method == "HEAD":
        return HttpResponse(found.status, found.headers)
    return found


async def _found(asked: Asked) -> HttpResponse:
    if asked.path == MESSAGES:
        _allow(asked, "POST")
        return await _send(asked)
    if found := _MESSAGE.fullmatch(asked.path):
        _allow(asked, "GET", "HEAD")
        return _see(asked, UUID(found[1]))
    if asked.path == DESCRIPTION:
        _allow(asked, "GET", "HEAD")
        return _answer(200, _description())
    raise Problem(problems.NOT_FOUND, f"{DESCRIPTION} tells what there is.")


async def _send(asked: Asked) -> HttpResponse:
    """Takes a message: 202 once it is committed."""
    user = _user(asked)
    taken = await messages.send(user, _body(asked), asked.headers.get("idempotency-key"))
    headers = {"location": f"{MESSAGES}/{taken.uuid}"}
    if taken.replayed:
        headers["idempotency-replayed"] = "true"
    return _answer(202, _dumped(taken.as_json()), headers)


def _see(asked: Asked, uuid: UUID) -> HttpResponse:
    """What has become of a message."""
    found = messages.told(_user(asked), uuid)
    if found is None:
        raise Problem(problems.NOT_FOUND, "No message of yours has this id.")
    return _answer(200, _dumped(found))


def _allow(asked: Asked, *methods: str) -> None:
    if asked.method not in methods:
        allowed = ", ".join(methods)
        raise Problem(problems.METHOD, f"Use {allowed}.", headers={"allow": allowed})


def _user(asked: Asked) -> User:
    scheme, _, token = asked.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise _unauthorized("Send the header “Authorization: Bearer” with a token.", "")
    user = tokens.user_of(token.strip())
    if user is None:
        raise _unauthorized("The token is not valid (any more).", ', error="invalid_token"')
    return user


def _unauthorized(detail: str, more: str) -> Problem:
    return Problem(
        problems.UNAUTHORIZED, detail, headers={"www-authenticate": f'Bearer realm="Patchbay"{more}'}
    )


def _body(asked: Asked) -> bytes:
    """The body, which is said to be JSON and not too large."""
    kind = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON or asked.headers.get("content-encoding", "identity") != "identity":
        raise Problem(problems.MEDIA_TYPE, "Send JSON, with the header “Content-Type: application/json”.")
    if asked.body is None:
        raise Problem(problems.TOO_LARGE, f"The body is larger than {MAX_BODY // 1024} KiB.")
    return asked.body


def _told(problem: Problem) -> HttpResponse:
    return _answer(
        problem.kind.status,
        json.dumps(problem.as_json()).encode(),
        {**problem.headers, "content-type": "application/problem+json"},
    )


def _answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return HttpResponse(status, {"content-type": JSON, **SAFE, **(headers or {})}, body)


def _dumped(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


@functools.cache
def _description() -> bytes:
    return Path(__file__).with_name("openapi.json").read_bytes()
