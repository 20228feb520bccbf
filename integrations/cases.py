"""Cases are a template's own tests: each says what is sent or received, and what the result must be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from integrations import case_http, responses, webhooks
from integrations.case_differences import body_differences, differs, request_differences
from integrations.case_events import shown_events
from integrations.case_exchanges import exchanges, message_of, values_of
from integrations.case_schema import check_case
from integrations.events import Outcome, RenderedRequest
from integrations.language.api_methods import RECEIVE_MESSAGES
from integrations.language.dates import parse_date
from integrations.language.document import Template, compile_document
from integrations.language.errors import DocumentError, RenderError, child, json_problem
from integrations.language.source import line_and_column, placed, places
from integrations.language.values import Number, Value, load, text
from integrations.polled import as_request, is_nothing
from integrations.received import Received
from integrations.requests import build

# The id of the message where a case does not say it.
MESSAGE_UUID = "00000000-0000-4000-8000-000000000000"


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


def _receive(template: Template, case: Mapping[str, Value]) -> Iterator[str]:
    if case.get("method") == RECEIVE_MESSAGES.name:
        yield from _poll(template, case)
        return
    received = webhooks.read(
        template,
        case_http.inbound(case["request"], text(case.get("webhook_url"))),
        values_of(template, case),
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
    values, cursor = values_of(template, case), text(case.get("cursor"))
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
