"""The provider's API responses: those of the cases, with new ids."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from integrations import case_http
from integrations.case_exchanges import exchanges, message_of
from integrations.events import HttpResponse, Outcome
from integrations.language.dates import iso_text
from integrations.language.errors import RenderError
from integrations.language.values import Value, text
from integrations.sandbox.api_requests import ApiRequest
from integrations.sandbox.catalog_entry import HostedEntry
from integrations.sandbox.substitution import Substitution, new_id

LIFETIME = timedelta(hours=1)
ErrorMode = Literal["401", "429", "500", "refuse"]
_WORDS = {
    "401": (401, "The credentials are wrong."),
    "429": (429, "Too many messages. Try again in a second."),
    "500": (500, "The sandbox was asked to fail."),
    "refuse": (400, "The recipient cannot receive messages."),
}


def accepted(hosted: HostedEntry, sent: ApiRequest) -> tuple[HttpResponse, str, tuple[str, ...]]:
    """The response to an accepted request, the id of the message or subscription in it, and all ids in it."""
    found = next(_examples(hosted, sent.method), None)
    if found is None:
        return HttpResponse(200, {"content-type": "application/json"}, b"{}"), "", ()
    message, shown, outcome = found
    new = {text(value): _new(name, text(value), sent) for name, value in outcome.bound.items() if value}
    given = outcome.messageid or text(outcome.bound.get("subscription_id"))
    to = message.get("to")
    numbers = {text(message.get("from")): sent.sender}
    numbers |= (
        dict(zip(map(text, to), sent.recipients, strict=False))
        if isinstance(to, list)
        else {text(to): sent.to}
    )
    substitution = Substitution({**{old: value for old, value in numbers.items() if value}, **new})
    body, _ = substitution.body(shown.body, shown.headers.get("content-type", ""))
    headers = {name: substitution.text(value) for name, value in shown.headers.items()}
    return replace(shown, headers=headers, body=body), new.get(given, ""), tuple(new.values())


def _new(name: str, shown: str, sent: ApiRequest) -> str:
    """What a response has instead of what the example shows."""
    match name:
        case "access_token":
            return secrets.token_urlsafe(24)
        case "expires_at":
            return iso_text(datetime.now(UTC).replace(microsecond=0) + LIFETIME)
        case "subscription_id":
            return sent.subscription_id or new_id(shown)
        case "expires_in" | "subscription_expires_in":
            return shown
    return new_id(shown)


def _examples(hosted: HostedEntry, method: str) -> Iterator[tuple[dict[str, Value], HttpResponse, Outcome]]:
    """The responses of the cases to a method that mean success, each with the case's message."""
    for case in hosted.entry.cases:
        if case.get("kind") != "send" or not case.get("responses"):
            continue
        with suppress(RenderError):
            for part, answer, outcome in exchanges(hosted.entry.template, case):
                if part.method != method or outcome is None or outcome.result != "sent":
                    continue
                if isinstance(answer, HttpResponse):
                    yield message_of(case), answer, outcome


def error(hosted: HostedEntry, mode: str, method: str) -> HttpResponse:
    """An error as the provider writes it, or a plain one if no case shows it."""
    found = [
        (case, case_http.response(written))
        for case in hosted.entry.cases
        for written in case.get("responses", [])
        if "error" not in written and _is(mode, case, written)
    ]
    found.sort(key=lambda one: one[0].get("method") != method)
    if not found:
        status, words = _WORDS[mode]
        return plain(status, words, **({"retry-after": "1"} if mode == "429" else {}))
    shown = found[0][1]
    # The mode "500" means this status, whichever failure the case shows.
    return replace(shown, status=500) if mode == "500" else shown


def plain(status: int, words: str, **headers: str) -> HttpResponse:
    """An error response of the sandbox's own."""
    return case_http.response({"status": status, "json": {"error": {"message": words}}, "headers": headers})


def _is(mode: str, case: Mapping[str, Any], written: Mapping[str, Any]) -> bool:
    """Whether a response of a case is an error of this kind, by its status or the case's outcome."""
    status, result = int(text(written.get("status", "200"))), case.get("outcome", {}).get("result")
    found: dict[str, bool] = {
        "401": result == "unauthorized",
        "429": status == 429,
        "500": status >= 500 and result != "throttled",
        "refuse": result == "failed",
    }
    return found[mode]
