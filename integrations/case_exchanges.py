"""What a case says is sent: its requests, one after the other, and what the provider's responses mean."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

from integrations import case_http, responses, token_requests
from integrations.case_schema import OAUTH2
from integrations.events import Fault, HttpResponse, Outcome
from integrations.language.api_methods import METHODS, SEND_MESSAGE
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.language.values import Number, Value, text
from integrations.redact import Redactor
from integrations.requests import Part, build, plan

_FAULTS = {
    "connect": Fault("connect", "The provider could not be reached."),
    "timeout": Fault("unanswered", "The provider did not respond in time."),
    "tls": Fault("tls", "The provider's certificate was rejected."),
}

# A request of a case, with its response and what that means, or None for both.
Exchange = tuple[Part, HttpResponse | Fault | None, Outcome | None]


def message_of(case: Mapping[str, Value]) -> dict[str, Value]:
    """The variables of a case's message, with the bytes of its files."""
    message = dict(case.get("message") or {})
    for name in ("now", "nonce", "message_uuid", "webhook_url", "country"):
        if name in case:
            message.setdefault(name, case[name])
    if "access_token" in (case.get("properties") or {}):
        message["access_token"] = case["properties"]["access_token"]
    if "media" in message:
        message["media"] = [_file(item) for item in message["media"]]
    return message


def _file(written: Mapping[str, Value]) -> dict[str, Value]:
    file = {key: value for key, value in written.items() if key != "base64"}
    if "base64" in written:
        content = base64.b64decode(text(written["base64"]))
        file = {"size": len(content), **file, "content": content}
    return file


def values_of(template: Template, case: Mapping[str, Value]) -> dict[str, Value]:
    """The property values of a case, or else the defaults; as everywhere, a blank value is unset."""
    defaults = {item.label: item.default for item in template.properties if item.default is not None}
    given = {key: value for key, value in (case.get("properties") or {}).items() if not _is_blank(value)}
    return {key: value for key, value in (defaults | given).items() if key != "access_token"}


def _is_blank(value: Value) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def requests_of(template: Template, case: Mapping[str, Value]) -> list[Part]:
    """The requests that the case makes, as if each succeeded. Raises RenderError."""
    return [part for part, _, _ in exchanges(template, {**case, "responses": []})]


def exchanges(template: Template, case: Mapping[str, Value]) -> Iterator[Exchange]:
    """The requests that are made, up to the first whose response does not mean sent. Raises RenderError.

    Without a response to an upload, its results stand for themselves: the first `$media_id$` is "media_id-1".
    """
    message, values = message_of(case), values_of(template, case)
    method = METHODS.get(text(case.get("method")), SEND_MESSAGE)
    given = map(response_of, case.get("responses", []))
    uploaded: dict[int, Mapping[str, Value]] = {}
    if case.get("method") == OAUTH2:
        if template.oauth is None:
            raise RenderError("The template does not describe OAuth2.")
        asked = token_requests.render(template, values, message, case.get("grant") or {})
        parts = [Part(1, 1, OAUTH2, asked.request, asked.variables)]
    elif method.sends_message:
        parts = plan(template, values, message)
    else:
        parts = [Part(1, 1, method.name, build(template, method.name, values, message), message)]
    while parts:
        for part in parts:
            answer = next(given, None)
            outcome = None
            if answer is not None:
                outcome = _outcome(template, values, part, answer)
            yield part, answer, outcome
            if outcome is not None and outcome.result != "sent":
                return
            if part.file is not None:
                names = template.methods[part.method].response.binds
                named = {name: f"{name}-{part.file + 1}" for name in names}
                uploaded[part.file] = outcome.bound if outcome else named
        parts = plan(template, values, message, uploaded) if parts[-1].file is not None else []


def _outcome(
    template: Template, values: Mapping[str, Value], part: Part, response: HttpResponse | Fault
) -> Outcome:
    if part.method != OAUTH2:
        return responses.read(template, part.method, values, part.variables, response)
    token = token_requests.read(template, values, part.variables, response, Redactor(()))
    if not token.access_token:
        return Outcome("retry" if token.temporary else "failed", text=token.problem)
    bound = {"access_token": token.access_token, "refresh_token": token.refresh_token}
    if token.lifetime is not None:
        bound["expires_in"] = Number(round(token.lifetime.total_seconds()))
    return Outcome("sent", bound=bound)


def response_of(written: Mapping[str, Value]) -> HttpResponse | Fault:
    """The provider's response that a case writes, or why there is none."""
    return _FAULTS[written["error"]] if "error" in written else case_http.response(written)
