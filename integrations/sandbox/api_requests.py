"""Reads the portal's requests by comparing them with the template's requests for known messages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from integrations.case_exchanges import message_of
from integrations.events import RenderedRequest
from integrations.language.api_methods import METHODS, SEND_GROUP, UPLOAD_FILE
from integrations.language.errors import RenderError
from integrations.language.values import text
from integrations.requests import build, plan
from integrations.sandbox.catalog_entry import HostedEntry
from integrations.sandbox.flatten import Path, files_of, flatten, flatten_request
from integrations.sandbox.substitution import number_spellings

ACCESS_TOKEN = "sandbox-token"  # noqa: S105
_UPLOADED = "uploaded"
_LISTS = ("url", "content", "to", _UPLOADED)
_CONTENT = b"\x89PNG to find where a file goes"


@dataclass(frozen=True)
class ApiRequest:
    """A request to the API: the method that made it, and its values, with numbers as the portal wrote them.

    `missing` are the values that the method always sends and this request lacks. `authorized` tells whether
    everything that depends on secrets is right.
    """

    method: str
    authorized: bool
    missing: tuple[str, ...]
    sender: str = ""
    recipients: tuple[str, ...] = ()
    text: str = ""
    urls: tuple[str, ...] = ()
    files: tuple[bytes, ...] = ()
    message_uuid: str = ""
    uploads: tuple[str, ...] = ()  # what the responses to uploads said, as far as it is repeated
    webhook_url: str = ""
    cursor: str = ""
    subscription_id: str = ""

    @property
    def to(self) -> str:
        """The first of the recipients; only a message to a group has more."""
        return self.recipients[0] if self.recipients else ""


class ApiRequestReader:
    """Reads the requests of one template, of which it knows those for two messages by each method."""

    def __init__(self, hosted: HostedEntry) -> None:
        self._samples = [
            sample for method in hosted.template.methods if (sample := _sample(hosted, method)) is not None
        ]

    def url(self, method: str) -> str:
        """The URL of a method's requests, or "" for a method that the template does not have."""
        return next((sample.url for sample in self._samples if sample.method == method), "")

    def read(self, request: RenderedRequest) -> ApiRequest | None:
        """The content of the portal's request; None if no API method makes such a request."""
        found = dict(flatten_request(request))
        fits = [fit for sample in self._samples if (fit := sample.fit(request, found)) is not None]
        if not fits:
            return None
        _, sent = max(fits, key=lambda fit: fit[0])
        return ApiRequest(**{**sent, "files": (*sent["files"], *files_of(request))})

    @property
    def credentials(self) -> dict[str, str]:
        """The headers with credentials, by their lower-case names."""
        return self._samples[0].credentials if self._samples else {}

    def knows(self, path: str) -> bool:
        """Whether some method makes requests to a path."""
        return any(sample.has_path(path) for sample in self._samples)


class _Sample:
    """The values in one method's requests: which are constant, and which come from the message."""

    def __init__(
        self,
        method: str,
        marks: Mapping[str, str],
        first: RenderedRequest,
        other: RenderedRequest,
        stranger: RenderedRequest,
    ) -> None:
        self.method, self.request, self.url = method, first, first.url.partition("?")[0]
        own, others, strangers = (dict(flatten_request(each)) for each in (first, other, stranger))
        self._constants = {path: value for path, value in own.items() if others.get(path) == value}
        self._secret = {path for path in own if strangers.get(path) != own[path]}
        self._places: dict[Path, tuple[re.Pattern[str], list[str]]] = {}
        for path, value in own.items():
            pattern, names = _pattern(value, marks)
            if names and path not in self._constants:
                self._places[path] = pattern, names

    @property
    def credentials(self) -> dict[str, str]:
        """The headers that depend on secrets alone."""
        found = self._secret & self._constants.keys()
        return {str(path[1]): self._constants[path] for path in found if path[0] == "headers"}

    def has_path(self, path: str) -> bool:
        """Whether the method may make requests to a path."""
        here = {("path", *key): value for key, value in flatten(path.split("/"))}
        return len(here) == sum(key[0] == "path" for key in {**self._constants, **self._places}) and all(
            here.get(key) == value for key, value in self._constants.items() if key[0] == "path"
        )

    def fit(self, request: RenderedRequest, found: Mapping[Path, str]) -> tuple[int, dict[str, Any]] | None:
        """The number of values that match, minus those that do not, and the content of the request."""
        if request.method != self.request.method or not self.has_path(unquote(urlsplit(request.url).path)):
            return None
        agreeing = [path for path, value in self._constants.items() if found.get(path) == value]
        secret = self._secret & self._constants.keys()
        score, authorized = 2 * len(agreeing) - len(self._constants), secret <= set(agreeing)
        values: dict[str, list[str]] = {}
        missing: list[str] = []
        for path, (pattern, names) in self._places.items():
            held = [match for value in _values(path, names, found) if (match := pattern.fullmatch(value))]
            score += 1 if held else -1
            authorized = authorized and (bool(held) or path not in self._secret)
            missing += [name for name in names if not held]
            for match in held:
                for name, value in zip(names, match.groups(), strict=True):
                    values.setdefault(name, []).append(value)
        first = {name: next(filter(None, held), "") for name, held in values.items()}
        return score, {
            "method": self.method,
            "authorized": authorized,
            "missing": tuple(name for name in ("from", "to") if name in missing and name not in values),
            "sender": first.get("from", ""),
            "recipients": tuple(dict.fromkeys(filter(None, values.get("to", [])))),
            "text": first.get("text", ""),
            "urls": tuple(dict.fromkeys(filter(None, values.get("url", [])))),
            "files": tuple(_decoded(values.get("content", []))),
            "message_uuid": first.get("message_uuid", ""),
            "uploads": tuple(filter(None, values.get(_UPLOADED, []))),
            "webhook_url": first.get("webhook_url", ""),
            "cursor": first.get("cursor", ""),
            "subscription_id": first.get("subscription_id", ""),
        }


def _sample(hosted: HostedEntry, method: str) -> _Sample | None:
    secret = {item.label for item in hosted.template.properties if item.secret and item.type != "url"}
    strange = {label: f"{value}x" if label in secret else value for label, value in hosted.values.items()}
    (first, marks), (other, _) = _message(hosted, method, 1), _message(hosted, method, 2)
    try:
        return _Sample(
            method,
            marks,
            _request(hosted, method, hosted.values, first),
            _request(hosted, method, hosted.values, other),
            _request(hosted, method, strange, {**first, "access_token": "another"}),
        )
    except (RenderError, StopIteration):
        return None  # the method does not send messages like those of the cases


def _request(
    hosted: HostedEntry, method: str, values: Mapping[str, Any], message: Mapping[str, Any]
) -> RenderedRequest:
    if not METHODS[method].sends_message:
        return build(hosted.template, method, values, message)
    parts = plan(hosted.template, values, message, {0: {}})
    return next(part.request for part in parts if part.method == method)


def _message(hosted: HostedEntry, method: str, which: int) -> tuple[dict[str, Any], dict[str, str]]:
    """One of two messages that differ in every value, and the names of its values by the marks for them."""
    cases = [case for case in hosted.entry.cases if case.get("kind") == "send"]
    case = next((case for case in cases if case.get("method") == method), next(iter(cases), {}))
    shown = {"from": "+61855555555", "to": "+61412345678", **message_of(case)}
    one = {key: value[0] if isinstance(value := shown[key], list) else value for key in ("from", "to")}
    number = {key: text(one[key])[:-1] + last for key, last in (("from", f"{which}"), ("to", f"{which + 4}"))}
    url, content = f"https://files.invalid/probe-{which}.png", _CONTENT + str(which).encode()
    marks = {
        **number,
        "text": f"Where does the text go, {which}",
        "url": url,
        "message_uuid": f"00000000-0000-4000-8000-00000000000{which}",
        "webhook_url": f"https://portal-{which}.invalid/services/probe/a{which}",
        "extension": f"extension-{which}",
        "domain": f"domain-{which}.invalid",
        "username": f"user-{which}",
        "cursor": f"cursor-{which}",
        "subscription_id": f"subscription-{which}",
    }
    message: dict[str, Any] = {
        **shown,
        **marks,
        "now": f"2026-01-0{which}T00:00:00Z",
        "access_token": ACCESS_TOKEN,
    }
    if method == SEND_GROUP.name:
        message["to"] = [message["to"]]
    for derived in ("content", "urls", "url"):
        message.pop(derived, None)
    file = {"url": url, "content_type": "image/png", "filename": f"probe-{which}.png", "content": content}
    upload = hosted.template.methods.get(UPLOAD_FILE.name)
    bound = {name: f"uploaded-{name}-{which}" for name in upload.response.binds} if upload else {}
    message["media"] = [{**file, **bound, "size": len(content)}] if METHODS[method].per_file else []
    marks |= {"content": base64.b64encode(content).decode()}
    return message, {mark: name for name, mark in marks.items()} | dict.fromkeys(bound.values(), _UPLOADED)


def _pattern(value: str, marks: Mapping[str, str]) -> tuple[re.Pattern[str], list[str]]:
    """A pattern of the text with a group for each mark, and the marks' names in order."""
    named = {
        spelled: name
        for mark, name in reversed(list(marks.items()))
        for spelled in (number_spellings(mark) if name in ("from", "to") else [mark])
    }
    parts = re.split("(" + "|".join(map(re.escape, sorted(named, key=len, reverse=True))) + ")", value)
    expression = "".join("(.*?)" if part in named else re.escape(part) for part in parts)
    return re.compile(expression, re.DOTALL), [named[part] for part in parts if part in named]


def _values(path: Path, names: list[str], found: Mapping[Path, str]) -> list[str]:
    """The values at a path; for files, those at all paths that differ only in the last index."""
    last = max((index for index, step in enumerate(path) if isinstance(step, int)), default=None)
    if last is None or not set(names) & set(_LISTS):
        return [found[path]] if path in found else []
    before, after = path[:last], path[last + 1 :]
    return [
        value
        for other, value in found.items()
        if len(other) == len(path) and other[:last] == before and other[last + 1 :] == after
    ]


def _decoded(contents: list[str]) -> Iterator[bytes]:
    for content in contents:
        try:
            yield base64.b64decode(content, validate=True)
        except binascii.Error:
            continue
