"""What the API answers when it does not do as asked: always `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import (
    AuthenticationFailed,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    ParseError,
    Throttled,
    UnsupportedMediaType,
    ValidationError,
)
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings

from messaging.errors import LimitReached, Refused

MEDIA_TYPE = "application/problem+json"
DESCRIPTION = "/api/v1/openapi.json"
UNAVAILABLE_SECONDS, LIMIT_SECONDS = 5, 60

log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """A problem that programs tell apart by its type; `meaning` describes it in the documentation."""

    name: str
    status: int
    title: str | Promise
    meaning: str

    @property
    def type(self) -> str:
        return f"urn:patchbay:problem:{self.name}"


MALFORMED = Kind(
    "malformed",
    400,
    gettext_lazy("The request is not as described"),
    "The body is not JSON, or a member is missing, unknown, there twice or of the wrong type; "
    "or the Idempotency-Key is empty, too long, or not printable ASCII.",
)
UNAUTHORIZED = Kind(
    "unauthorized",
    401,
    gettext_lazy("A valid token is needed"),
    "There is no token, or it is not valid, or not valid any more.",
)
NOT_FOUND = Kind(
    "not-found",
    404,
    gettext_lazy("There is nothing here"),
    "There is nothing at this address that the user may see.",
)
METHOD = Kind(
    "method-not-allowed",
    405,
    gettext_lazy("This method is not offered here"),
    "`Allow` lists the methods that are offered.",
)
TOO_LATE = Kind(
    "too-late",
    409,
    gettext_lazy("It is too late to cancel this"),
    "The message is being sent, or was sent.",
)
TOO_LARGE = Kind("too-large", 413, gettext_lazy("The body is too large"), "The body is too large.")
UNSUPPORTED = Kind(
    "unsupported-media-type",
    415,
    gettext_lazy("The body is not JSON"),
    "The Content-Type is not `application/json`.",
)
REFUSED = Kind(
    "refused",
    422,
    gettext_lazy("The message was not taken"),
    "The message was not taken; `detail` says why.",
)
KEY_REUSED = Kind(
    "idempotency-key-reused",
    422,
    gettext_lazy("The Idempotency-Key was used for another message"),
    "The Idempotency-Key was used for another message.",
)
LIMIT = Kind(
    "limit-reached",
    429,
    gettext_lazy("A limit against mass sending is reached"),
    "A limit against mass sending is reached; `detail` says which. The message may be taken later.",
)
TOO_MANY = Kind(
    "too-many-requests",
    429,
    gettext_lazy("Too many requests"),
    "The user has made too many requests within a minute.",
)
INTERNAL = Kind(
    "internal-error",
    500,
    gettext_lazy("Something went wrong in Patchbay"),
    "Something went wrong in Patchbay; its log says what.",
)
UNAVAILABLE = Kind(
    "unavailable",
    503,
    gettext_lazy("The database does not answer"),
    "The database does not answer. Whether anything was stored is not known: "
    "repeat the request with the same Idempotency-Key.",
)

KINDS = (
    MALFORMED, UNAUTHORIZED, NOT_FOUND, METHOD, TOO_LATE, TOO_LARGE, UNSUPPORTED,
    REFUSED, KEY_REUSED, LIMIT, TOO_MANY, INTERNAL, UNAVAILABLE,
)  # fmt: skip


@dataclass(eq=False)
class Problem(Exception):
    """Ends a request, or the part of a batch: `pointer` is a JSON pointer to the member that is meant."""

    kind: Kind
    detail: str
    pointer: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_json(self, base: str = "") -> dict[str, Any]:
        """The members of RFC 9457; `base` points to the part of the body that `pointer` begins at."""
        told = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
        pointer = base + self.pointer
        return {**told, "pointer": pointer} if pointer else told


def handle(error: Exception, context: Mapping[str, Any]) -> Response:
    """REST_FRAMEWORK's EXCEPTION_HANDLER: the answer to what ended a request."""
    problem = problem_of(error)
    request = context["request"]  # of a page, too, which has a renderer of its own
    request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
    return Response(problem.as_json(), problem.kind.status, headers=problem.headers, content_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """What an error means for the caller; one that nobody expects is logged."""
    match error:
        case Problem():
            return error
        case LimitReached():
            return Problem(LIMIT, str(error), headers=_after(LIMIT_SECONDS))
        case Refused():
            return Problem(REFUSED, str(error), f"/{error.member}" if error.member else "")
        case ParseError():
            return Problem(MALFORMED, str(error.detail))
        case BadRequest() | SuspiciousOperation() | UnreadablePostError():
            return Problem(MALFORMED, _("The request could not be read."))
        case ValidationError():
            pointer, detail = _first(error.detail)
            return Problem(MALFORMED, detail, pointer)
        case NotAuthenticated():
            detail = _("Send the header “Authorization: Bearer” with a token.")
            return Problem(UNAUTHORIZED, detail, headers=_challenge(error))
        case AuthenticationFailed():
            headers = _challenge(error, ', error="invalid_token"')
            return Problem(UNAUTHORIZED, str(error.detail), headers=headers)
        case NotFound():
            return Problem(NOT_FOUND, str(error.detail))
        case Http404():
            return Problem(NOT_FOUND, _("%(url)s describes what there is.") % {"url": DESCRIPTION})
        case MethodNotAllowed():
            return Problem(METHOD, str(error.detail))
        case UnsupportedMediaType():
            return Problem(
                UNSUPPORTED, _("Send JSON, with the header “Content-Type: application/json”, not compressed.")
            )
        case Throttled():
            seconds: int = getattr(error, "wait", None) or 1
            detail = _("Wait %(seconds)d seconds before the next request.") % {"seconds": seconds}
            return Problem(TOO_MANY, detail, headers=_after(seconds))
        case OperationalError() | InterfaceError():
            log.warning("The API answers 503: %s", error)
            detail = _("Try again in a few seconds, with the same Idempotency-Key.")
            return Problem(UNAVAILABLE, detail, headers=_after(UNAVAILABLE_SECONDS))
        case _:
            log.error("The API answers 500.", exc_info=error)
            return Problem(INTERNAL, _("The log of Patchbay says what; tell its operator."))


def _after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def _challenge(error: Any, more: str = "") -> dict[str, str]:
    return {"WWW-Authenticate": error.auth_header + more}


def _first(detail: Any) -> tuple[str, str]:
    """Pointer and text of the first error that a serializer found."""
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        pointer, text = _first(inner)
        return ("" if name == api_settings.NON_FIELD_ERRORS_KEY else _step(str(name))) + pointer, text
    if isinstance(detail, list):
        return _first(detail[0])
    return "", str(detail)


def _step(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
