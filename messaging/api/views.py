"""Doors for programs: a token says who asks, JSON goes in and out, and refusals are problem+json."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from messaging.api import messages, problems
from messaging.api.problems import Problem
from messaging.receiving.door import read_body
from portal import tokens
from portal.models import User

MAX_BODY = 64 * 1024
JSON = "application/json"
DESCRIPTION = Path(__file__).with_name("openapi.json")

log = logging.getLogger(__name__)

View = Callable[..., HttpResponse]


def _door(*methods: str) -> Callable[[View], View]:
    """Lets these methods through, and turns what stops a request into an answer."""

    def around(view: View) -> View:
        @functools.wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                if request.method not in methods:
                    allowed = ", ".join(methods)
                    raise Problem(problems.METHOD, f"Use {allowed}.", headers={"Allow": allowed})
                return view(request, *args, **kwargs)
            except Problem as problem:
                found = problem
            except (OperationalError, InterfaceError) as error:
                log.warning("The API answers 503: %s", error)
                found = Problem(
                    problems.UNAVAILABLE,
                    "Try again in a few seconds, with the same Idempotency-Key.",
                    headers={"Retry-After": "5"},
                )
            return _logged(found.response())

        return answer

    return around


@_door("POST")
def send(request: HttpRequest) -> HttpResponse:
    """Takes a message: 202 once it is committed."""
    user = _user(request)
    taken = messages.send(user, _json(request), request.META.get("HTTP_IDEMPOTENCY_KEY"))
    headers = {"Location": f"/api/v1/messages/{taken.uuid}"}
    if taken.replayed:
        headers["Idempotency-Replayed"] = "true"
    return _answer(taken.as_json(), status=202, headers=headers)


@_door("GET", "HEAD")
def message(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """What has become of a message."""
    found = messages.told(_user(request), uuid)
    if found is None:
        raise Problem(problems.NOT_FOUND, "No message of yours has this id.")
    return _answer(found)


@_door("GET", "HEAD")
def description(request: HttpRequest) -> HttpResponse:
    """The OpenAPI description of all this, for everybody."""
    return HttpResponse(_description(), content_type=JSON)


def nothing(request: HttpRequest) -> HttpResponse:
    """What else is asked for below /api/."""
    return _logged(Problem(problems.NOT_FOUND, "See /api/v1/openapi.json for what there is.").response())


def _user(request: HttpRequest) -> User:
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        raise _unauthorized("Send the header “Authorization: Bearer” with a token.", "")
    user = tokens.user_of(token.strip())
    if user is None:
        raise _unauthorized("The token is not valid (any more).", ', error="invalid_token"')
    return user


def _unauthorized(detail: str, more: str) -> Problem:
    return Problem(
        problems.UNAUTHORIZED, detail, headers={"WWW-Authenticate": f'Bearer realm="Patchbay"{more}'}
    )


def _json(request: HttpRequest) -> bytes:
    """The body, which is said to be JSON and not too large."""
    kind = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != JSON or request.META.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
        raise Problem(problems.MEDIA_TYPE, "Send JSON, with the header “Content-Type: application/json”.")
    body = read_body(request.META, MAX_BODY)
    if body is None:
        raise Problem(problems.TOO_LARGE, f"The body is larger than {MAX_BODY // 1024} KiB.")
    return body


def _answer(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(
        json.dumps(body, ensure_ascii=False), content_type=JSON, status=status, headers=headers
    )


def _logged(response: HttpResponse) -> HttpResponse:
    """Spares Django a line in the log for each."""
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


@functools.cache
def _description() -> bytes:
    return DESCRIPTION.read_bytes()
