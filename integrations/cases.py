"""Cases are a template's own tests: each says what is sent or received, and what the result must be."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from integrations import case_http, responses, token_requests, webhooks
from integrations.case_differences import body_differences, differs, request_differences
from integrations.case_events import shown_events
from integrations.case_schema import OAUTH2, check_case
from integrations.events import Fault, HttpResponse, Outcome, RenderedRequest
from integrations.language.api_methods import METHODS, RECEIVE_MESSAGES, SEND_MESSAGE
from integrations.language.dates import parse_date
from integrations.language.document import Template, compile_document
from integrations.language.errors import DocumentError, RenderError, child, json_problem
from integrations.language.source import line_and_column, placed, places
from integrations.language.values import Number, Value, load, text
from integrations.received import Received
from integrations.receiving import as_request, is_nothing
from integrations.redact import Redactor
from integrations.requests import Part, build, plan

# The id of the message where a case does not say it.
MESSAGE_UUID = "00000000-0000-4000-8000-000000000000"
_FAULTS = {
    "connect": Fault("connect", "The provider could not be reached."),
    "timeout": Fault("unanswered", "The provider did not respond in time."),
    "tls": Fault("tls", "The provider's certificate was rejected."),
}


# A request of a case, with its response and what that means, or None for both.
Exchange = tuple[Part, HttpResponse | Fault | None, Outcome | None]


@dataclass(frozen=True)
class CaseResult:
    """The result of a case, which begins at a line of a file; `difference` is empty if it passed."""

    file: str
    name: str
    difference: str
    line: int = 1

    @property
    def passed(self) -> bool:
        """Whether the result is what the case expects."""
        return not self.difference


def template_folders(path: Path) -> list[Path]:
    """The folders that contain a template: the path itself, or those directly in it."""
    if (path / "template.json").is_file():
        return [path]
    return sorted(found.parent for found in path.glob("*/template.json"))


def run_folder(folder: Path) -> Iterator[CaseResult]:
    """The results of all cases in a template's folder; a folder without cases is a failure."""
    try:
        template = compile_document((folder / "template.json").read_text())
    except (DocumentError, OSError, UnicodeDecodeError) as error:
        yield CaseResult(str(folder / "template.json"), "the template", str(error))
        return
    files = sorted((folder / "cases").glob("*.json"))
    for file in files:
        yield from _run_file(template, file)
    if not files:
        yield CaseResult(str(folder / "cases"), "no cases", "Nothing is tested. Write cases in cases/*.json.")


def _run_file(template: Template, file: Path) -> Iterator[CaseResult]:
    try:
        source = file.read_text()
        found = load(source)
    except json.JSONDecodeError as error:
        yield CaseResult(str(file), file.stem, str(json_problem(error)), error.lineno)
        return
    except (ValueError, RecursionError, OSError) as error:
        yield CaseResult(str(file), file.stem, f"The file cannot be read: {error}")
        return
    offsets = places(source)
    many = isinstance(found, list)
    for index, case in enumerate(found if many else [found]):
        place = child("", index) if many else ""
        name = text(case.get("name")) if isinstance(case, dict) else ""
        problems = placed(check_case(template, case, place), source, offsets)
        difference = "\n".join(map(str, problems)) or run(template, case)
        line, _ = line_and_column(source, offsets.at(place)[0].value)
        yield CaseResult(str(file), name or f"{file.stem} {index + 1}", difference, line)


def run(template: Template, case: Value) -> str:
    """How the result differs from what the case expects, in lines for a person; "" if it does not."""
    if problems := check_case(template, case):
        return "\n".join(map(str, problems))
    try:
        check = _KINDS[case["kind"]]
        found = list(check(template, completed(template, case)))
        # What a case does not fix is not compared with: it may also expect that there is nothing.
        return "\n".join(found if found and list(check(template, case)) else [])
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return f"The case cannot be run: {reason}"


def completed(template: Template, case: Mapping[str, Value]) -> dict[str, Value]:
    """The case with values for what every message has, where it does not fix them."""
    if case["kind"] == "receive":
        return {"message_uuid": MESSAGE_UUID, **case}
    url = f"https://sms.example.com/services/{template.id}/a1"
    message = {"attempt_no": Number("1"), **(case.get("message") or {})}
    return {"message_uuid": MESSAGE_UUID, "webhook_url": url, **case, "message": message}


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


def _values(template: Template, case: Mapping[str, Value]) -> dict[str, Value]:
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
    message, values = message_of(case), _values(template, case)
    method = METHODS.get(text(case.get("method")), SEND_MESSAGE)
    given = map(_response, case.get("responses", []))
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


def _send(template: Template, case: Mapping[str, Value]) -> Iterator[str]:
    expected = case.get("expect", [])
    made: list[RenderedRequest] = []
    outcome: Outcome | None = None
    refusal = ""
    try:
        for part, _, found in exchanges(template, case):
            made.append(part.request)
            outcome = found or outcome
    except RenderError as error:
        refusal = str(error)
        outcome = Outcome("failed", text=refusal)
    if "expect" in case and len(made) != len(expected):
        yield f"Expected {len(expected)} requests, got {len(made)}. {refusal}".rstrip()
    for number, (request, wanted) in enumerate(zip(made, expected, strict=False), 1):
        for line in request_differences(request, wanted):
            yield f"request {number}: {line}"
    if case.get("outcome") and outcome is None:
        yield "outcome: there is no response to read; add the provider's to 'responses'."
        return
    for key, value in (case.get("outcome") or {}).items():
        found = getattr(outcome, key, None) or (outcome.bound.get(key) if outcome else None)
        lines = list(differs(f"outcome {key}", value or None, found or None))
        yield from lines
        if lines and key == "result" and outcome is not None and outcome.text:
            yield f"outcome text: {outcome.text}"


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


def _response(written: Mapping[str, Value]) -> HttpResponse | Fault:
    return _FAULTS[written["error"]] if "error" in written else case_http.response(written)


def _receive(template: Template, case: Mapping[str, Value]) -> Iterator[str]:
    if case.get("method") == RECEIVE_MESSAGES.name:
        yield from _poll(template, case)
        return
    received = webhooks.read(
        template,
        case_http.inbound(case["request"], text(case.get("webhook_url"))),
        _values(template, case),
        message_uuid=text(case.get("message_uuid")),
        now=parse_date(text(case.get("now"))),
    )
    expected = case.get("expect") or {}
    wanted = expected.get("response") or {}
    if "status" in wanted:
        yield from differs("response status", wanted["status"], received.answer.status)
    for name, value in (wanted.get("headers") or {}).items():
        wanted_text = None if value is None else str(text(value))
        yield from differs(f"response header {name}", wanted_text, received.answer.headers.get(name.lower()))
    kind = received.answer.headers.get("content-type", "")
    for way in case_http.BODIES:
        if way in wanted:
            yield from body_differences(
                way, wanted[way], RenderedRequest("", "", body=received.answer.body), kind
            )
    yield from _events([received], case)


def _poll(template: Template, case: Mapping[str, Value]) -> Iterator[str]:
    """One request for each response, with the cursor of the answer before it."""
    method = template.methods.get(RECEIVE_MESSAGES.name)
    if method is None or method.receiving is None:
        yield f"{template.name} has no method {RECEIVE_MESSAGES.name}."
        return
    expected, made, read = case.get("expect") or {}, [], []
    values, cursor = _values(template, case), text(case.get("cursor"))
    for written in case["responses"]:
        variables = {**message_of(case), **({"cursor": cursor} if cursor else {})}
        made.append(build(template, method.name, values, variables))
        response = case_http.response(written)
        outcome = responses.read(template, method.name, values, variables, response)
        if outcome.result != "sent":
            yield f"response {len(made)}: {outcome.text}"
            return
        received = webhooks.read(
            template, as_request(method, response), values, now=parse_date(text(case.get("now")))
        )
        if received.events or not is_nothing(method.receiving, response):
            read.append(received)
        cursor = received.cursor or cursor
    if "requests" in expected and len(made) != len(expected["requests"]):
        yield f"Expected {len(expected['requests'])} requests, got {len(made)}."
    for number, (request, wanted) in enumerate(zip(made, expected.get("requests", []), strict=False), 1):
        for line in request_differences(request, wanted):
            yield f"request {number}: {line}"
    if "cursor" in expected:
        yield from differs("cursor", expected["cursor"] or None, cursor or None)
    yield from _events(read, case)


def _events(read: list[Received], case: Mapping[str, Value]) -> Iterator[str]:
    expected, country = case.get("expect") or {}, text(case.get("country")) or None
    events = [event for received in read for event in shown_events(received, country)]
    if "events" in expected:
        lines = list(differs("events", expected["events"], events))
        yield from lines
        for received in read if lines else ():
            yield from (f"{place} fits no event: {reason}" for place, reason in received.unfit)
        if expected["events"] and not events:
            for received in read:
                yield from (f"{pointer} did not match: {reason}" for pointer, reason in received.tried)
                if received.reason:
                    yield received.reason
    if "unmatched" in expected:
        unmatched = any(received.verdict in ("unmatched", "unparsable") for received in read)
        yield from differs("unmatched", expected["unmatched"], unmatched)


_KINDS = {"send": _send, "receive": _receive}
