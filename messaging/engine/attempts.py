"""Delivery attempts: requests and responses, redacted, written for a whole batch in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from integrations.events import Fault, HttpResponse, Outcome
from integrations.redact import Redactor
from integrations.requests import Part
from messaging.statuses import OF_RESULT
from portal.database import sql

SHOWN_CHARACTERS = 16 * 1024

_COLUMNS = {
    "message_id": "bigint",
    "organization_id": "bigint",
    "integration_id": "bigint",
    "part": "smallint",
    "parts": "smallint",
    "fence": "integer",
    "started_at": "timestamptz",
    "milliseconds": "integer",
    "method": "text",
    "url": "text",
    "headers": "jsonb",
    "body": "text",
    "answer_status": "smallint",
    "answer_headers": "jsonb",
    "answer_body": "text",
    "result": "text",
    "code": "text",
    "text": "text",
    "provider_id": "text",
    "status": "smallint",
}


def row(part: Part, answer: HttpResponse | Fault, outcome: Outcome, hide: Redactor) -> dict[str, Any]:
    """The columns of one request and its response; the caller adds whose it is and when it was."""
    request = part.shown
    found: dict[str, Any] = {
        "part": part.number,
        "method": request.method,
        "url": storable(hide.text(request.url)),
        "headers": _headers(hide.headers(request.headers)),
        "body": storable(hide.body(request.body)),
        "answer_status": None,
        "answer_headers": {},
        "answer_body": "",
        "result": outcome.result,
        "code": outcome.code,
        "text": outcome.text,
        "provider_id": outcome.messageid,
        "status": int(OF_RESULT[outcome.result]),
    }
    if isinstance(answer, HttpResponse):
        found["answer_status"] = answer.status
        found["answer_headers"] = _headers(hide.headers(answer.headers))
        found["answer_body"] = storable(hide.body(answer.body))
    return found


def write(rows: Sequence[Mapping[str, Any]]) -> None:
    """Stores them in order; one that is stored already (by message, fence and part) stays as it is."""
    if not rows:
        return
    names = ", ".join(_COLUMNS)
    # "WHERE TRUE": without it SQLite reads ON CONFLICT as the condition of a join.
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO messaging_deliveryattempt ({names})
            SELECT {names} FROM {sql.rows(_COLUMNS)} WHERE TRUE
            ON CONFLICT (message_id, fence, part) DO NOTHING""",  # noqa: S608 (constants)
            [sql.dump(rows)],
        )


def storable(shown: str) -> str:
    """A text as it is stored: PostgreSQL refuses U+0000, and nobody reads more than 16 Ki characters."""
    return shown.replace("\0", "\ufffd")[:SHOWN_CHARACTERS]


def time_of(moment: datetime) -> str:
    """A time in UTC as both databases write it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _headers(found: Mapping[str, str]) -> dict[str, str]:
    return {storable(name): storable(value) for name, value in found.items()}
