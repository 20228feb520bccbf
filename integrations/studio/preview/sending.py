"""What a template makes of a message and of the answers to its requests, beside the parts that make it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from integrations import as_text, bodies, in_words, responses
from integrations.as_text import shortened
from integrations.case_exchanges import requests_of, response_of, values_of
from integrations.events import Fault, HttpResponse, Outcome, RenderedRequest
from integrations.language.api_methods import SEND_FILE, SEND_GROUP, UPLOAD_FILE
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.language.methods import Method
from integrations.language.values import Value
from integrations.redact import Redactor
from integrations.requests import Part
from integrations.responses import GAVE_UP
from integrations.studio.preview.excerpts import object_around, part_of

SHOWN_REQUESTS = 10


@dataclass(frozen=True)
class Row:
    """A part of a request, and the part of the template that made it."""

    label: str
    sent: str
    template: str


@dataclass(frozen=True)
class AnswerPreview:
    """What an answer means: `decided` says by what, `template` is that part of it."""

    shown: str
    outcome: Outcome
    meaning: str
    decided: str
    template: str


@dataclass(frozen=True)
class RequestPreview:
    """A request of a message, in words and in rows."""

    title: str
    method: str
    why: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class MessagePreview:
    """The requests of a message, of which the page shows the first 10 of `count`.

    `problem` says why there are no more, and `pointer` where in the template.
    """

    steps: tuple[RequestPreview, ...]
    count: int
    problem: str = ""
    pointer: str = ""
    template: str = ""


def preview_message(template: Template, case: Mapping[str, Value], hide: Redactor) -> MessagePreview:
    """The requests that a case of kind "send" makes if each succeeds, without what `hide` hides."""
    files = len((case.get("message") or {}).get("media") or [])
    try:
        parts = requests_of(template, case)
    except RenderError as error:
        place = object_around(template, error.pointer)
        return MessagePreview((), 0, hide.text(error.reason), error.pointer, place)
    steps = (_step(template, part, hide, files=files) for part in parts[:SHOWN_REQUESTS])
    return MessagePreview(tuple(steps), len(parts))


def preview_answer(
    template: Template, case: Mapping[str, Value], answer: Mapping[str, Value], hide: Redactor
) -> AnswerPreview | None:
    """What an answer, as cases write it, means to the first request that sends the message."""
    try:
        part = next((part for part in requests_of(template, case) if part.file is None), None)
    except RenderError:
        return None
    if part is None:
        return None
    response = response_of(answer)
    outcome = responses.read(template, part.method, values_of(template, case), part.variables, response)
    return _answer(template, part, response, outcome, hide)


def _step(template: Template, part: Part, hide: Redactor, *, files: int) -> RequestPreview:
    number = {"number": part.number, "total": part.total}
    title = _("Request %(number)d of %(total)d") % number if part.total > 1 else _("The request")
    if part.file is not None:
        title = _("Upload of file %(number)d") % {"number": part.file + 1}
    rows = _rows(template, template.methods[part.method], part.shown, hide)
    return RequestPreview(title, part.method, _why(template, part, files=files), tuple(rows))


def _why(template: Template, part: Part, *, files: int) -> str:
    """Why it is this method that is called."""
    method = template.methods[part.method]
    if part.method == UPLOAD_FILE.name:
        return _("The message reads the file from $media$, so it is uploaded first.")
    why = _("The message has no file.")
    if part.method == SEND_GROUP.name:
        why = _("The message is for a group.")
    elif part.method == SEND_FILE.name:
        why = _("The message has a file.")
        if method.per_file and files > 1:
            why = _("Each file has a request of its own.")
    elif files and SEND_FILE.name not in template.methods:
        why = _("There is no SendFile, so the URL of the file follows the text.")
    elif files and part.variables.get("media"):
        why = _("SendFile does not take this message ('when' does not hold): the URL follows the text.")
    elif files:
        why = _("SendFile cannot carry this part of the text.")
    if method.split is not None and len(part.variables.get("parts") or []) > 1:
        size = {"max": method.split.max, "unit": method.split.unit}
        why += " " + _("The text is longer than %(max)d %(unit)s, so it is split.") % size
    return why


def _rows(template: Template, method: Method, request: RenderedRequest, hide: Redactor) -> Iterator[Row]:
    url, _mark, query = request.url.partition("?")
    own, is_get = method.pointer, method.request_method == "GET"
    keys = ["request_method", "request_url", "variables", "when", "for_each", "split"]
    yield Row(_("URL"), f"{request.method} {hide.text(url)}", part_of(template, own, keys))
    if query:
        fields = as_text.fields(bodies.pairs(query), hide)
        keys = ["request_query", *(["request_parameters"] if is_get else [])]
        yield Row(_("Query"), shortened(fields), part_of(template, own, keys))
    headers = as_text.headers(request.headers, hide)
    shared = part_of(template, "", ["auth", "OAuth2", "request_headers"] if method.name != "Login" else [])
    written = part_of(template, own, ["request_content_type", "request_headers"])
    yield Row(_("Headers"), shortened(headers), "\n".join(filter(None, [shared, written])))
    if request.body is not None:
        written = part_of(template, own, ["request_parameters"])
        body = as_text.body(request.body, request.headers, hide)
        yield Row(_("Body"), shortened(body), written)


def _answer(
    template: Template, part: Part, response: HttpResponse | Fault, outcome: Outcome, hide: Redactor
) -> AnswerPreview:
    shown = response.text if isinstance(response, Fault) else as_text.response(response, hide)
    method = template.methods[part.method]
    written = part_of(template, outcome.rule)
    if not outcome.rule:
        keys = ["response_format", "response_headers", "response_map", "response_success"]
        written = part_of(template, method.pointer, keys) if outcome.result == "sent" else ""
    return AnswerPreview(shown, outcome, in_words.outcome(outcome), _decided(response, outcome), written)


def _decided(response: HttpResponse | Fault, outcome: Outcome) -> str:
    if isinstance(response, Fault):
        return _("There is no answer, so no rule is asked.")
    if "/response_errors" in outcome.rule:
        return _("The rule at %(place)s holds.") % {"place": outcome.rule}
    if outcome.rule:
        return _("The answer does not fit %(place)s.") % {"place": outcome.rule}
    if outcome.result == "sent":
        return _("No rule of response_errors holds, the status is 2xx, and the answer fits.")
    if response.status == 429:
        return _("The status 429 always means that there were too many requests.")
    if response.status in GAVE_UP:
        said = _("No rule holds. With status %(status)d somebody on the way gave up waiting.")
        return said % {"status": response.status}
    if outcome.result == "unknown":
        return _("No rule holds, and the answer cannot be read.")
    return _("No rule of response_errors holds, so the status %(status)d decides.") % {
        "status": response.status
    }
