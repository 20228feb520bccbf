"""The door of programs: from what the web server hands over to the answer, without Django's request.

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
from messaging.receiving.door import read_body
from portal import tokens
from portal.middleware import SAFE
from portal.models import User

PLACE = "/api/"
MESSAGES = "/api/v1/messages"
DESCRIPTION = "/api/v1/openapi.json"
MAX_BODY = 64 * 1024
JSON = "application/json"

_MESSAGE = re.compile(f"{MESSAGES}/([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})")

log = logging.getLogger(__name__)


def answer(environ: dict[str, Any]) -> HttpResponse | None:
    """Does what a program asks for; None for an address that is not the API's. `environ` is that of WSGI."""
    path = environ.get("PATH_INFO", "")
    if not path.startswith(PLACE):
        return None
    try:
        found = _found(environ, path)
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
    if environ["REQUEST_METHOD"] == "HEAD":
        return HttpResponse(found.status, found.headers)
    return found


def _found(environ: dict[str, Any], path: str) -> HttpResponse:
    if path == MESSAGES:
        _allow(environ, "POST")
        return _send(environ)
    if found := _MESSAGE.fullmatch(path):
        _allow(environ, "GET", "HEAD")
        return _see(environ, UUID(found[1]))
    if path == DESCRIPTION:
        _allow(environ, "GET", "HEAD")
        return _answer(200, _description())
    raise Problem(problems.NOT_FOUND, f"{DESCRIPTION} tells what there is.")


def _send(environ: dict[str, Any]) -> HttpResponse:
    """Takes a message: 202 once it is committed."""
    user = _user(environ)
    taken = messages.send(user, _body(environ), environ.get("HTTP_IDEMPOTENCY_KEY"))
    headers = {"location": f"{MESSAGES}/{taken.uuid}"}
    if taken.replayed:
        headers["idempotency-replayed"] = "true"
    return _answer(202, _dumped(taken.as_json()), headers)


def _see(environ: dict[str, Any], uuid: UUID) -> HttpResponse:
    """What has become of a message."""
    found = messages.told(_user(environ), uuid)
    if found is None:
        raise Problem(problems.NOT_FOUND, "No message of yours has this id.")
    return _answer(200, _dumped(found))


def _allow(environ: dict[str, Any], *methods: str) -> None:
    if environ["REQUEST_METHOD"] not in methods:
        allowed = ", ".join(methods)
        raise Problem(problems.METHOD, f"Use {allowed}.", headers={"allow": allowed})


def _user(environ: dict[str, Any]) -> User:
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
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


def _body(environ: dict[str, Any]) -> bytes:
    """The body, which is said to be JSON and not too large."""
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != JSON or environ.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
        raise Problem(problems.MEDIA_TYPE, "Send JSON, with the header “Content-Type: application/json”.")
    body = read_body(environ, MAX_BODY)
    if body is None:
        raise Problem(problems.TOO_LARGE, f"The body is larger than {MAX_BODY // 1024} KiB.")
    return body


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
