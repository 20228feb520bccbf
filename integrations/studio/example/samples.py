"""What a provider's documentation shows, as a request or an answer, and the values in it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from urllib.parse import unquote, unquote_plus, urlsplit

from integrations import bodies
from integrations.language.errors import child
from integrations.language.sections import MEDIA_TYPES
from integrations.language.values import Value
from integrations.studio.example.xml_text import XmlText

Kind = Literal["request", "response", "webhook"]
Form = Literal["", "json", "form", "xml", "multipart", "text"]
Where = Literal[
    "path", "bare", "query", "header", "user", "password", "json", "form", "xml", "multipart", "file", "text"
]
Path = tuple[str | int, ...]
_SEPARATORS = re.compile(r"([\s|,;:=&]+)")


@dataclass(frozen=True)
class Part:
    """A part of a multipart body: a text, or a file with the name that it has there."""

    name: str
    text: str = ""
    filename: str = ""
    content_type: str = ""


@dataclass(frozen=True)
class Sample:
    """A request, an answer or a webhook request, as documentation shows it.

    The names of headers are as they were written. A multipart body is in `parts`, any other in `body`. A
    status of 0 is not known. `notes` are sentences about what was left out or read in another way.
    """

    kind: Kind
    method: str = ""
    url: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    parts: tuple[Part, ...] = ()
    status: int = 0
    notes: tuple[str, ...] = ()

    def header(self, name: str) -> str:
        """The value of a header, "" without it."""
        return next((value for key, value in self.headers if key.casefold() == name.casefold()), "")

    @cached_property
    def form(self) -> Form:
        """How the body is written; "" if there is none."""
        if self.parts:
            return "multipart"
        if not self.body.strip():
            return ""
        kind = bodies.essence(self.header("Content-Type"))
        if kind == MEDIA_TYPES["form"]:
            return "form"
        if kind.endswith("json") or (not kind and isinstance(self._parsed(""), dict | list)):
            return "json" if isinstance(self._parsed("application/json"), dict | list) else "text"
        if kind.endswith("xml") or (not kind and self.body.lstrip().startswith(b"<")):
            return "xml" if isinstance(self._parsed("text/xml"), dict) else "text"
        return "text"

    @cached_property
    def tree(self) -> Value:
        """The body as it is matched: the tree of JSON or XML, the fields of a form, or a text."""
        kinds = {"json": MEDIA_TYPES["json"], "form": MEDIA_TYPES["form"], "xml": MEDIA_TYPES["xml"]}
        if self.form == "text":
            return self.body.decode("utf-8", "replace").strip()
        return self._parsed(kinds[self.form]) if self.form in kinds else {}

    @cached_property
    def query(self) -> dict[str, Value]:
        """The fields of the query; a repeated one has a list."""
        return bodies.pairs("&".join(item for item in self._queried if "=" in item))

    @cached_property
    def bare(self) -> tuple[str, ...]:
        """What stands alone in the query of a request, as KEY in ?KEY&to=1: a value as well as a name.

        In a webhook it means nothing.
        """
        items = self._queried if self.kind == "request" else []
        return tuple(unquote_plus(item) for item in items if item and "=" not in item)

    @property
    def _queried(self) -> list[str]:
        return self.url.partition("#")[0].partition("?")[2].split("&")

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The decoded segments of the path."""
        rest = self.url.partition("#")[0].partition("?")[0]
        path = rest.partition("://")[2].partition("/")[2] if "://" in rest else rest.partition("/")[2]
        return tuple(unquote(segment) for segment in path.split("/")) if path else ()

    @cached_property
    def host(self) -> str:
        """The host name, without a port; "" if it is not known."""
        try:
            return urlsplit(self.url).hostname or ""
        except ValueError:
            return ""

    @cached_property
    def basic(self) -> tuple[str, str] | None:
        """The user name and password of Basic authentication, or None."""
        scheme, _, encoded = self.header("Authorization").strip().partition(" ")
        if scheme.casefold() != "basic":
            return None
        try:
            user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return (user, password) if colon else None

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """Every value that may mean something, in the order of the request."""
        return tuple(_leaves(self))

    def leaf(self, key: str) -> Leaf | None:
        """The leaf of a key, or None."""
        return next((leaf for leaf in self.leaves if leaf.key == key), None)

    def _parsed(self, kind: str) -> Value:
        try:
            return bodies.parse(self.body, kind, strict=bool(kind))
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class Leaf:
    """A value of a sample, with its place: where, and the path there.

    `after` is the segment before one of the path of a URL.
    """

    where: Where
    path: Path
    value: Value
    after: str = ""

    @property
    def pointer(self) -> str:
        """The path as a JSON Pointer."""
        pointer = ""
        for step in self.path:
            pointer = child(pointer, step)
        return pointer

    @property
    def key(self) -> str:
        """What names the leaf within its sample: `json/messages/0/to`."""
        return self.where + self.pointer

    @property
    def name(self) -> str:
        """The name of the value, without numbers of elements; of a segment, the one before it."""
        if self.where == "path":
            return self.after
        names = (step for step in reversed(self.path) if isinstance(step, str) and step != "#text")
        return next(names, "").lstrip("@")

    @property
    def label(self) -> str:
        """The place for people, who count from one: `messages › 1 › to`."""
        if self.where == "path":
            return f"/{self.after}/…" if self.after else "/…"
        return " › ".join(str(step + 1) if isinstance(step, int) else step for step in self.path)

    @property
    def text(self) -> str:
        """The value as text."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return "" if self.value is None else str(self.value)


def scalars(value: Value, path: Path = ()) -> Iterator[tuple[Path, Value]]:
    """The values of a tree that are no lists or objects, each with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from scalars(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from scalars(item, (*path, index))
    else:
        yield path, value


def _leaves(sample: Sample) -> Iterator[Leaf]:
    if sample.kind == "request":
        for index, segment in enumerate(sample.segments):
            if segment:
                yield Leaf("path", (index,), segment, "".join(sample.segments[max(index - 1, 0) : index]))
    for index, value in enumerate(sample.bare):
        yield Leaf("bare", (index,), value)
    for path, value in scalars(sample.query):
        yield Leaf("query", path, value)
    basic = sample.basic
    for name, value in sample.headers:
        if basic is not None and name.casefold() == "authorization":
            yield Leaf("user", (), basic[0])
            yield Leaf("password", (), basic[1])
        elif name.casefold() != "content-type":
            yield Leaf("header", (name,), value)
    form = sample.form
    if form == "multipart":
        yield from _part_leaves(sample.parts)
    elif form == "text":
        for index, token in enumerate(tokens(sample.tree)):
            if index % 2 == 0 and token:
                yield Leaf("text", (index,), token)
    elif form == "xml" and sample.kind == "request":
        for path, value in XmlText(sample.body).values():
            yield Leaf("xml", path, value)
    elif form:
        for path, value in scalars(sample.tree):
            yield Leaf("form" if form == "form" else "xml" if form == "xml" else "json", path, value)


def _part_leaves(parts: tuple[Part, ...]) -> Iterator[Leaf]:
    names = [part.name for part in parts]
    seen: dict[str, int] = {}
    for part in parts:
        index = seen[part.name] = seen.get(part.name, -1) + 1
        path: Path = (part.name, index) if names.count(part.name) > 1 else (part.name,)
        yield Leaf("file", path, part.filename) if part.filename else Leaf("multipart", path, part.text)


def tokens(text: str) -> list[str]:
    """The words of a text at even places, and what separates them at odd ones."""
    return _SEPARATORS.split(text)


def size_of(value: Any) -> tuple[int, int]:
    """How many values a tree has, and how many levels."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    sizes = [size_of(item) for item in inner]
    return 1 + sum(count for count, _ in sizes), 1 + max((depth for _, depth in sizes), default=0)


@dataclass(frozen=True)
class Samples:
    """What is known of a provider: how a text is sent, and perhaps a file, what it answers and reports."""

    request: Sample | None = None
    file_request: Sample | None = None
    answer: Sample | None = None
    error: Sample | None = None
    webhooks: tuple[Sample, ...] = ()

    def named(self) -> dict[str, Sample]:
        """The samples by name: `request`, `file_request`, `answer`, `error`, `webhook-0` and so on."""
        found = {
            "request": self.request, "file_request": self.file_request, "answer": self.answer,
            "error": self.error,
            **{f"webhook-{index}": sample for index, sample in enumerate(self.webhooks)},
        }  # fmt: skip
        return {name: sample for name, sample in found.items() if sample is not None}
