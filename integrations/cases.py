"""Templates carry their own tests: a case says what is sent or received, and what must come of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from integrations import bodies, exchanges, responses, webhooks
from integrations.case_forms import check_case
from integrations.events import Fault, HttpRequest, HttpResponse, Outcome
from integrations.language.data_filters import parse_date
from integrations.language.document import Template, compile_document
from integrations.language.errors import DocumentError, RenderError, child, json_problem
from integrations.language.source import line_and_column, placed, positions
from integrations.language.values import Value, dump, load, text
from integrations.language.xml import parse_xml
from integrations.requests import Part, build, plan
from integrations.shown_events import shown_events

_FAULTS = {
    "connect": Fault("connect", "The service could not be reached."),
    "timeout": Fault("unanswered", "The service did not answer in time."),
    "tls": Fault("tls", "The service's certificate was refused."),
}


@dataclass(frozen=True)
class Result:
    """What became of one case, which begins at a line of a file; `difference` is empty if it passed."""

    file: str
    name: str
    difference: str
    line: int = 1

    @property
    def passed(self) -> bool:
        """Whether everything was as the case says."""
        return not self.difference


def entries(path: Path) -> list[Path]:
    """The folders that hold a template: the path itself, or those right below it."""
    if (path / "template.json").is_file():
        return [path]
    return sorted(found.parent for found in path.glob("*/template.json"))


def run_folder(folder: Path) -> Iterator[Result]:
    """The results of all cases of a template's folder; a folder without cases is a failure."""
    try:
        template = compile_document((folder / "template.json").read_text())
    except (DocumentError, OSError, UnicodeDecodeError) as error:
        yield Result(str(folder / "template.json"), "the template", str(error))
        return
    files = sorted((folder / "cases").glob("*.json"))
    for file in files:
        yield from _run_file(template, file)
    if not files:
        yield Result(str(folder / "cases"), "no cases", "Nothing is tested: write cases to cases/*.json.")


def _run_file(template: Template, file: Path) -> Iterator[Result]:
    try:
        source = file.read_text()
        found = load(source)
    except json.JSONDecodeError as error:
        yield Result(str(file), file.stem, str(json_problem(error)), error.lineno)
        return
    except (ValueError, RecursionError, OSError) as error:
        yield Result(str(file), file.stem, f"The file cannot be read: {error}")
        return
    offsets = positions(source)
    many = isinstance(found, list)
    for index, case in enumerate(found if many else [found]):
        place = child("", index) if many else ""
        name = text(case.get("name")) if isinstance(case, dict) else ""
        problems = placed(check_case(template, case, place), source, offsets)
        difference = "\n".join(map(str, problems)) or run(template, case)
        line, _ = line_and_column(source, offsets[place])
        yield Result(str(file), name or f"{file.stem} {index + 1}", difference, line)


def run(template: Template, case: Value) -> str:
    """How what happens differs from what the case says, in lines for a person; nothing if it does not."""
    if problems := check_case(template, case):
        return "\n".join(map(str, problems))
    try:
        return "\n".join(_KINDS[case["kind"]](template, case))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return f"The case cannot be run: {reason}"


def message_of(case: Mapping[str, Value]) -> dict[str, Value]:
    """The variables of a case's message, files with their bytes."""
    message = dict(case.get("message", {}))
    for name in ("now", "message_uuid", "webhook_url", "country"):
        if name in case:
            message.setdefault(name, case[name])
    if "access_token" in case.get("properties", {}):
        message["access_token"] = case["properties"]["access_token"]
    if "media" in message:
        message["media"] = [
            {**{key: value for key, value in item.items() if key != "base64"}}
            | ({"content": base64.b64decode(text(item["base64"]))} if "base64" in item else {})
            for item in message["media"]
        ]
    return message


def requests_of(template: Template, case: Mapping[str, Value]) -> list[Part]:
    """The requests that the case's message makes. Raises RenderError."""
    message = message_of(case)
    values = {key: value for key, value in case.get("properties", {}).items() if key != "access_token"}
    if case.get("method") == "CheckCredentials":
        return [Part(1, "CheckCredentials", build(template, "CheckCredentials", values, message), message)]
    return plan(template, values, message)


def _send(template: Template, case: Mapping[str, Value]) -> Iterator[str]:
    try:
        parts, refusal = requests_of(template, case), ""
    except RenderError as error:
        parts, refusal = [], str(error)
    expected = case.get("expect", [])
    given = [_answer(item) for item in case.get("responses", [])]
    made, outcome = _exchange(template, case, parts, given)
    if refusal:
        outcome = Outcome("failed", text=refusal)
    if "expect" in case and len(made) != len(expected):
        yield f"{len(expected)} requests were expected, {len(made)} made. {refusal}".rstrip()
    for number, (request, wanted) in enumerate(zip(made, expected, strict=False), 1):
        for line in _request_differences(request, wanted):
            yield f"request {number}: {line}"
    if "outcome" in case and outcome is None:
        yield "outcome: no answer was read; add the service's in 'responses'."
        return
    for key, value in case.get("outcome", {}).items():
        yield from _differs(f"outcome {key}", value, getattr(outcome, key, None))


def _exchange(
    template: Template, case: Mapping[str, Value], parts: list[Part], given: list[HttpResponse | Fault]
) -> tuple[list[HttpRequest], Outcome | None]:
    """The requests that are made: all, or those up to the first that its answer does not make sent."""
    made: list[HttpRequest] = []
    outcome = None
    for index, part in enumerate(parts):
        made.append(part.request)
        if index < len(given):
            outcome = responses.read(
                template, part.method, case.get("properties", {}), part.variables, given[index]
            )
            if outcome.result != "sent":
                break
    return made, outcome


def _answer(written: Mapping[str, Value]) -> HttpResponse | Fault:
    return _FAULTS[written["error"]] if "error" in written else exchanges.response(written)


def _request_differences(request: HttpRequest, wanted: Mapping[str, Value]) -> Iterator[str]:
    if "method" in wanted:
        yield from _differs("method", wanted["method"], request.method)
    url, _, query = request.url.partition("?")
    if "url" in wanted:
        yield from _differs("url", wanted["url"], url if "query" in wanted else request.url)
    if "path" in wanted:
        yield from _differs("path", wanted["path"], urlsplit(request.url).path)
    if "query" in wanted:
        yield from _differs("query", wanted["query"] or {}, bodies.pairs(query))
    headers = {name.casefold(): value for name, value in request.headers.items()}
    for name, value in wanted.get("headers", {}).items():
        yield from _differs(f"header {name}", value, headers.get(name.casefold()))
    for way in exchanges.BODIES:
        if way in wanted:
            yield from _body_differences(way, wanted[way], request, headers.get("content-type", ""))


def _body_differences(way: str, wanted: Value, request: HttpRequest, kind: str) -> Iterator[str]:
    body = request.body or b""
    if wanted is None:
        return
    if way == "multipart":
        found = exchanges.shown_body(body, kind).get("multipart")
        if not isinstance(found, list) or len(found) != len(wanted):
            yield f"multipart: expected {len(wanted)} parts, got {_shown(found)}"
            return
        for number, (part, expected) in enumerate(zip(found, wanted, strict=True), 1):
            if "json" in expected:
                part = part | {"json": load(text(part.get("text")))}
            for key, value in expected.items():
                yield from _differs(f"part {number} {key}", value, part.get(key))
    elif way == "xml":
        tree = parse_xml(wanted.encode()) if isinstance(wanted, str) else wanted
        yield from _differs(way, tree, exchanges.shown_body(body, "text/xml").get("xml"))
    elif way == "base64":
        yield from _differs(way, wanted, base64.b64encode(body).decode())
    elif way == "text":
        yield from _differs(way, wanted, body.decode("utf-8", "replace"))
    else:
        media = {"json": "application/json", "form": "application/x-www-form-urlencoded"}[way]
        yield from _differs(way, wanted, exchanges.shown_body(body, media).get(way))


def _receive(template: Template, case: Mapping[str, Value]) -> Iterator[str]:
    properties = {item.label: item.default for item in template.properties if item.default is not None}
    received = webhooks.read(
        template,
        exchanges.inbound(case["request"], text(case.get("webhook_url"))),
        properties | case.get("properties", {}),
        message_uuid=text(case.get("message_uuid")),
        now=parse_date(text(case.get("now"))),
    )
    expected = case.get("expect", {})
    answer = expected.get("response", {})
    if "status" in answer:
        yield from _differs("response status", answer["status"], received.answer.status)
    for name, value in answer.get("headers", {}).items():
        yield from _differs(f"response header {name}", value, received.answer.headers.get(name.lower()))
    kind = received.answer.headers.get("content-type", "")
    for way in exchanges.BODIES:
        if way in answer:
            yield from _body_differences(
                way, answer[way], HttpRequest("", "", body=received.answer.body), kind
            )
    events = shown_events(received, text(case.get("country")) or None)
    if "events" in expected:
        yield from _differs("events", expected["events"], events)
        if expected["events"] and not events:
            yield from (f"{pointer} did not match: {reason}" for pointer, reason in received.tried)
            if received.reason:
                yield received.reason
    if "unmatched" in expected:
        unmatched = received.verdict in ("unmatched", "unparsable")
        yield from _differs("unmatched", expected["unmatched"], unmatched)


def _differs(what: str, expected: Value, found: Value) -> Iterator[str]:
    """Values are compared as JSON, so that a number is equal to itself however it came."""
    yield from _unlike(what, _plain(expected), _plain(found))


def _unlike(what: str, expected: Value, found: Value) -> Iterator[str]:
    """A line for each place that differs; lists of other lengths as a whole."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in expected | found:
            if key not in expected or key not in found:
                sides = (dump(side[key]) if key in side else "nothing" for side in (expected, found))
                yield "{}: expected {}, got {}".format(child(what, key), *sides)
            else:
                yield from _unlike(child(what, key), expected[key], found[key])
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, pair in enumerate(zip(expected, found, strict=True)):
            yield from _unlike(child(what, index), *pair)
    elif expected != found:
        yield f"{what}: expected {_shown(expected)}, got {_shown(found)}"


def _plain(value: Value) -> Any:
    try:
        return json.loads(dump(value))
    except ValueError:
        return value


def _shown(value: Value) -> str:
    return dump(value) if value is not None else "nothing"


_KINDS = {"send": _send, "receive": _receive}
