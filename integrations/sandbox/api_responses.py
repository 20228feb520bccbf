"""The provider's API responses: those of the cases, with new ids."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from integrations import case_http, responses
from integrations.cases import message_of
from integrations.events import HttpResponse
from integrations.language.data_filters import iso_text
from integrations.language.values import text
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


def accepted(hosted: HostedEntry, sent: ApiRequest) -> tuple[HttpResponse, str]:
    """The response to an accepted request, and the message's id in it, or "" if it has none."""
    case = next(
        (
            case
            for case in hosted.entry.cases
            if case.get("method") == sent.method
            and case.get("outcome", {}).get("result") == "sent"
            and case.get("responses")
        ),
        None,
    )
    if case is None:
        return HttpResponse(200, {"content-type": "application/json"}, b"{}"), ""
    shown = case_http.response(case["responses"][0])
    message = message_of(case)
    outcome = responses.read(hosted.entry.template, sent.method, case.get("properties", {}), message, shown)
    new = {outcome.messageid: new_id(outcome.messageid)} if outcome.messageid else {}
    if token := text(outcome.bound.get("access_token")):
        new[token] = secrets.token_urlsafe(24)
    if date := text(outcome.bound.get("expires_at")):
        new[date] = iso_text(datetime.now(UTC).replace(microsecond=0) + LIFETIME)
    numbers = {text(message.get("from")): sent.sender, text(message.get("to")): sent.to}
    substitution = Substitution({**{old: value for old, value in numbers.items() if value}, **new})
    body, _ = substitution.body(shown.body, shown.headers.get("content-type", ""))
    headers = {name: substitution.text(value) for name, value in shown.headers.items()}
    return replace(shown, headers=headers, body=body), new.get(outcome.messageid, "")


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
