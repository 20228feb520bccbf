"""The HTTP requests that send a message."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from integrations.events import RenderedRequest
from integrations.language.api_methods import SEND_FILE, SEND_GROUP, SEND_MESSAGE, UPLOAD_FILE
from integrations.language.budget import TooMuchWork, budget
from integrations.language.dates import iso_text
from integrations.language.document import Template
from integrations.language.errors import RenderError, child
from integrations.language.methods import Method
from integrations.language.segments import split_text
from integrations.language.values import Value, cleaned, text
from integrations.rendering import fresh, render_masked, render_request

MAX_REQUESTS = 255
# What rendering a message may cost, in units of the language's budget, besides half of its files' bytes.
MAX_WORK = 1_000_000

Step = tuple[Method, dict[str, Value]]  # and what it is rendered with


@dataclass(frozen=True)
class Part:
    """One request of a message, rendered with `variables`.

    Requests that send the message are counted from 1 to `total`. One that uploads a file, the one at the
    place `file` in `media`, has a number after these, so that they keep theirs through another provider.

    A request that contains something made of a secret, such as a digest, is `masked` as well: rendered
    without the secret, because what was made of it cannot be found by its value.
    """

    number: int
    total: int
    method: str
    request: RenderedRequest
    variables: Mapping[str, Any]
    masked: RenderedRequest | None = None
    file: int | None = None

    @property
    def is_last(self) -> bool:
        """Whether the message is sent once this request is."""
        return self.file is None and self.number == self.total

    @property
    def shown(self) -> RenderedRequest:
        """The request for traces, where its secrets are still masked by value."""
        return self.masked or self.request


def plan(
    template: Template,
    properties: Mapping[str, Any],
    message: Mapping[str, Any],
    uploaded: Mapping[int, Mapping[str, Any]] | None = None,
) -> list[Part]:
    """The requests that send a message, in order. Raises RenderError if the template cannot send it.

    `uploaded` is what the uploads of files bound, by the file's place in `media`. Files that are still to be
    uploaded come first: then these uploads are all that is returned, since the rest depends on them.

    `message` has `from`, `to` (for a group a list of its members), `text`, `media` (a list of objects with
    `url`, and with `content` in bytes if `Method.needs_content`) and any other variables that are known; the
    rest are derived. A request is at most 1 MiB, or 25 MiB with files, and there are at most 255; U+0000 and
    unpaired surrogates become U+FFFD.
    """
    with _bounded(message):
        known = _derived(cleaned(message))
        if uploaded:
            files = enumerate(known["media"])
            known["media"] = [{**item, **cleaned(uploaded.get(place, {}))} for place, item in files]
        return _planned(template, cleaned(properties), known, uploaded or {})


@contextmanager
def _bounded(message: Mapping[str, Any]) -> Iterator[None]:
    """Has what takes too much work raise RenderError."""
    files = [item.get("content") for item in message.get("media") or [] if isinstance(item, Mapping)]
    size = sum(len(content) for content in files if isinstance(content, str | bytes))
    try:
        with budget(MAX_WORK + size // 2):
            yield
    except (TooMuchWork, RecursionError):
        reason = "The request takes too much work: its shapes make too much of the values."
        raise RenderError(reason) from None


def _planned(
    template: Template,
    properties: Mapping[str, Value],
    variables: dict[str, Value],
    uploaded: Mapping[int, Mapping[str, Any]],
) -> list[Part]:
    sends = _steps(template, properties, variables)
    uploads = _uploads(template, properties, variables, sends)
    if (count := len(sends) + len(uploads)) > MAX_REQUESTS:
        raise RenderError(f"The message would take {count} requests; at most {MAX_REQUESTS} are sent.")
    steps: list[tuple[int | None, Method, dict[str, Value]]]
    steps = [(place, *step) for place, step in uploads.items() if place not in uploaded]
    steps = steps or [(None, *step) for step in sends]
    parts: list[Part] = []
    for place, method, own in steps:
        number = len(parts) + 1 if place is None else place + 1
        of = len(sends) if place is None else len(variables["media"])
        numbered = {
            "nonce": secrets.token_hex(16),
            **own,
            "part_no": number,
            "first_part": number == 1,
            "last_part": number == of,
        }
        masked = render_masked(template, method, properties, numbered) if method.derives else None
        request = render_request(method, properties, numbered)
        if place is not None:
            number += len(sends)
        parts.append(Part(number, len(sends), method.name, request, numbered, masked, place))
    return parts


def _uploads(
    template: Template, properties: Mapping[str, Value], variables: dict[str, Value], sends: list[Step]
) -> dict[int, Step]:
    """The uploads that the requests need, by the place of the file."""
    method = template.methods.get(UPLOAD_FILE.name)
    if method is None or not any("media" in send.uses and own["media"] for send, own in sends):
        return {}
    steps = {place: (method, _with_files(variables, [item])) for place, item in enumerate(variables["media"])}
    return {place: step for place, step in steps.items() if _applies(method, properties, step[1])}


def build(
    template: Template, method_name: str, properties: Mapping[str, Any], variables: Mapping[str, Any]
) -> RenderedRequest:
    """The request of one method, with these variables and those of `fresh`. Raises RenderError."""
    method = template.methods.get(method_name)
    if method is None:
        raise RenderError(f"{template.name} has no method {method_name}.", "/API")
    with _bounded(variables):
        known = {**fresh(), **cleaned(variables)}
        if method_name == UPLOAD_FILE.name:
            known = _with_files(_derived(known), (known.get("media") or [])[:1])
        return render_request(method, cleaned(properties), known)


def _derived(message: dict[str, Value]) -> dict[str, Value]:
    files = message.get("media")
    if files is None:
        urls = message.get("urls") or ([message["url"]] if message.get("url") else [])
        files = [{"url": url} for url in urls]
    urls = [item.get("url") for item in files]
    body = message.get("text")
    if body is None:
        body = "" if urls else message.get("content")
    body = text(body)
    return {
        "now": iso_text(datetime.now(UTC)),
        **message,
        "text": body,
        "content": body,
        "media": files,
        "urls": urls,
        "url": urls[0] if urls else None,
        "text_with_media": "\n".join([*([body] if body else []), *map(text, urls)]),
        "parts": [body],
    }


def _steps(template: Template, properties: Mapping[str, Value], variables: dict[str, Value]) -> list[Step]:
    send_group = template.methods.get(SEND_GROUP.name)
    if send_group is not None and isinstance(variables.get("to"), list):
        return _group_steps(template, send_group, properties, variables)
    send_file = template.methods.get(SEND_FILE.name)
    if variables["media"] and send_file is not None and _applies(send_file, properties, variables):
        rest = template.methods.get(SEND_MESSAGE.name)
        return _file_steps(template, send_file, rest, properties, variables)
    send = template.methods.get(SEND_MESSAGE.name)
    if send is None:
        raise RenderError(
            f"{template.name} cannot send texts: its template has no {SEND_MESSAGE.name}.", "/API"
        )
    if variables["media"]:
        variables = {**variables, "content": variables["text_with_media"]}
        at_once = _files_at_once(template, send, len(variables["media"]))
        if send.per_file or at_once < len(variables["media"]):
            body = variables["text"]
            return [
                step
                for _, own in _by_files(send, variables, body, [body], at_once)
                for step in _text_steps(send, properties, {**own, "content": own["text_with_media"]})
            ]
    return _text_steps(send, properties, variables)


def _group_steps(
    template: Template, send: Method, properties: Mapping[str, Value], variables: dict[str, Value]
) -> list[Step]:
    """The requests to a group: with the files if the method takes them, else with their URLs in the text."""
    if not variables["media"] or not send.uses & {"url", "urls", "media"}:
        return _text_steps(send, properties, {**variables, "content": variables["text_with_media"]})
    if not _applies(send, properties, variables):
        raise _not_accepted(send)
    steps = _file_steps(template, send, send, properties, variables)
    return [(method, {**own, "content": own["text"]}) for method, own in steps]


def _text_steps(method: Method, properties: Mapping[str, Value], variables: dict[str, Value]) -> list[Step]:
    """One request of the method, or one for each part of a long text."""
    body = variables["content"]
    if not _applies(method, properties, variables):
        raise _not_accepted(method)
    if method.split is None:
        return [(method, {**variables, "parts": [body]})]
    parts = split_text(body, method.split.max, method.split.unit)
    if method.split.into == "list":
        return [(method, {**variables, "parts": parts})]
    return [(method, {**variables, "text": part, "content": part, "parts": parts}) for part in parts]


def _not_accepted(method: Method) -> RenderError:
    reason = "The provider does not accept this message: 'when' does not hold."
    return RenderError(reason, child(method.pointer, "when"))


def _file_steps(
    template: Template,
    method: Method,
    send: Method | None,
    properties: Mapping[str, Value],
    variables: dict[str, Value],
) -> list[Step]:
    """The requests for files; a text that they cannot carry is sent first, the rest of a long one last.

    Both are sent by `send`.
    """
    body, split = variables["text"], method.split
    steps: list[Step] = []
    alone = {**variables, "media": [], "urls": [], "url": None}
    parts = [body] if split is None else split_text(body, split.max, split.unit)
    rest = parts[1:] if split is not None and split.into == "requests" else []
    takes_text = method is send or bool(method.uses & {"text", "text_with_media", "parts"})
    if body and (rest or not takes_text) and send is None:
        reason = (
            f"The text cannot be sent with a file, and there is no {SEND_MESSAGE.name} to send it separately."
        )
        raise RenderError(reason, method.pointer)
    if body and not takes_text and send is not None:
        steps += _text_steps(send, properties, {**alone, "text_with_media": body})
    body = parts[0] if rest else body
    at_once = _files_at_once(template, method, len(variables["media"]))
    if method.per_file or at_once < len(variables["media"]):
        steps += _by_files(method, variables, body, [body] if method.per_file else parts, at_once)
    else:
        steps.append((method, {**variables, "text": body, "content": variables["url"], "parts": parts}))
    if takes_text and send is not None:
        steps += [
            (send, {**alone, "text": part, "content": part, "text_with_media": part, "parts": parts})
            for part in rest
        ]
    return steps


def _files_at_once(template: Template, method: Method, files: int) -> int:
    """How many of the files one request contains."""
    if method.per_file:
        return 1
    most = template.limits.media_count
    return most if most and method.uses & {"urls", "media"} else files


def _by_files(
    method: Method, variables: dict[str, Value], body: str, parts: list[str], at_once: int
) -> list[Step]:
    """A request for each `at_once` files; the first has the text."""
    steps = []
    for start in range(0, len(variables["media"]), at_once):
        own = _with_files(variables, variables["media"][start : start + at_once])
        own |= {"text": body, "parts": parts} if start == 0 else {"text": "", "parts": [""]}
        together = [own["text"], *map(text, own["urls"])]
        steps.append((method, {**own, "text_with_media": "\n".join(filter(None, together))}))
    return steps


def _with_files(variables: dict[str, Value], files: list[Value]) -> dict[str, Value]:
    """The variables of a request that has only these of the files."""
    urls = [item.get("url") for item in files]
    url = urls[0] if urls else None
    return {**variables, "media": files, "urls": urls, "url": url, "content": url}


def _applies(method: Method, properties: Mapping[str, Value], variables: Mapping[str, Value]) -> bool:
    return method.when({**variables, **properties})
