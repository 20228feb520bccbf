"""What is entered on the page Build by example, all of which is in the form itself until it is saved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from hashlib import blake2s
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from integrations import case_http
from integrations.language.values import Value
from integrations.language.webhook_events import STATUSES
from integrations.studio.example.by_example import MAX_WEBHOOKS, Draft, by_example
from integrations.studio.example.guesses import guess
from integrations.studio.example.http_text import read_text
from integrations.studio.example.meanings import Meaning, Meanings, Role, SampleMessage
from integrations.studio.example.roles import ROLES
from integrations.studio.example.sample_limits import UnreadableText
from integrations.studio.example.samples import Kind, Leaf, Sample, Samples
from integrations.studio.saving import Overtaken

MAX_LEAVES, MAX_WORDS, MAX_SHORT = 700, 100, 200  # each value is a field, of which Django reads 1000
WEBHOOKS = tuple(f"webhook-{index}" for index in range(MAX_WEBHOOKS))
KINDS: dict[str, Kind] = {
    "request": "request", "file_request": "request", "answer": "response", "error": "response",
    **dict.fromkeys(WEBHOOKS, "webhook"),
}  # fmt: skip
_KNOWN = ("to", "sender", "text")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,63}")


class ExampleForm:
    """The fields of the page, what they say, and sentences about what is wrong, by the names of fields."""

    def __init__(self, data: QueryDict, *, known_as: tuple[str, str] = ("", "")) -> None:
        self.data, self.errors = data, dict[str, str]()
        self.overtaken: Overtaken | None = None
        self.texts = {name: data.get(name, "").replace("\r\n", "\n") for name in KINDS}
        self.short = {name: data.get(f"known-{name}", "")[:MAX_SHORT] for name in _KNOWN}
        self.id = data.get("id", known_as[0])[:MAX_SHORT].strip()
        self.name = data.get("name", known_as[1])[:MAX_SHORT].strip()
        shown = int(found[0]) if (found := re.match("[0-9]", data.get("shown", ""))) else 2
        filled = [index + 1 for index, name in enumerate(WEBHOOKS) if self.texts[name].strip()]
        self.shown = min(max([shown, *filled]), MAX_WEBHOOKS)
        if self.id and not _ID.fullmatch(self.id):
            self.errors["id"] = _("Use 2 to 64 letters, digits, _ and -, and begin with a letter or digit.")

    def add(self, text: str = "") -> bool:
        """Shows one more webhook, or puts a text in the first that is empty; False if there is none left."""
        if not text:
            self.shown = min(self.shown + 1, MAX_WEBHOOKS)
            return True
        free = next((name for name in WEBHOOKS if not self.texts[name].strip()), "")
        if free:
            self.texts[free] = text
            self.shown = max(self.shown, WEBHOOKS.index(free) + 1)
        return bool(free)

    @cached_property
    def samples(self) -> dict[str, Sample]:
        """The samples by their fields; what cannot be read is an error."""
        found: dict[str, Sample] = {}
        count = 0
        for name, kind in KINDS.items():
            if not self.texts[name].strip():
                continue
            try:
                sample = read_text(self.texts[name], kind)
            except UnreadableText as error:
                self.errors[name] = str(error)
                continue
            count += len(sample.leaves)
            if count > MAX_LEAVES:
                self.errors[name] = _(
                    "All samples together have more than %(count)d values. Paste a shorter one."
                ) % {"count": MAX_LEAVES}
            else:
                found[name] = sample
        return found

    @cached_property
    def draft(self) -> Draft:
        """The draft that the samples make."""
        named = ("" if "id" in self.errors else self.id, self.name)
        return by_example(self._samples, self._known, self._choices, self.said, named)

    @property
    def said(self) -> dict[str, str]:
        """Our statuses for the provider's words that the person has said."""
        words = zip(self.data.getlist("word")[:MAX_WORDS], self.data.getlist("means"), strict=False)
        said = {word.strip()[:MAX_SHORT]: means for word, means in words if means in STATUSES}
        return {word: means for word, means in said.items() if word}

    @cached_property
    def meanings(self) -> Meanings:
        """What the values are, by the fields of the samples and the keys of the leaves."""
        return {field: self.draft.meanings[name] for field, name in self._names.items()}

    def check(self) -> bool:
        """Whether all that is entered can be read, and there is something to make a document of."""
        if not self.samples and not self.errors:
            self.errors["request"] = _("Nothing is pasted. Paste how to send a text, or a webhook.")
        return not self.errors

    @property
    def _samples(self) -> Samples:
        found = self.samples
        webhooks = tuple(found[name] for name in WEBHOOKS if name in found)
        sent, answered = (found.get("request"), found.get("file_request")), found.get("answer")
        return Samples(*sent, answered, found.get("error"), webhooks)

    @cached_property
    def _names(self) -> dict[str, str]:
        """What `Samples` calls the samples, by their fields: of webhooks, it counts those that were read."""
        webhooks = [name for name in WEBHOOKS if name in self.samples]
        return {name: WEBHOOKS[webhooks.index(name)] if name in webhooks else name for name in self.samples}

    @property
    def _known(self) -> SampleMessage:
        return SampleMessage(**{name: value.strip() for name, value in self.short.items()})

    @cached_property
    def _choices(self) -> dict[tuple[str, str], Meaning]:
        """What the person says; a label alone is one of the guessed role."""
        roles: dict[tuple[str, str], Meaning] = {}
        labels: dict[tuple[str, str], str] = {}
        for field, leaf in self.leaves():
            role, key = self.data.get(name_of("role", field, leaf), ""), (self._names[field], leaf.key)
            if role in ROLES[KINDS[field]]:
                roles[key] = Meaning(role)
            if label := " ".join(self.data.get(name_of("label", field, leaf), "").split())[:60]:
                labels[key] = label
        guessed = guess(self._samples, self._known, roles) if labels else {}
        for place, label in labels.items():
            found: Role = guessed[place[0]][place[1]].role
            if found in ("credential", "property"):
                roles[place] = Meaning(found, label)
        return roles

    def leaves(self) -> Iterator[tuple[str, Leaf]]:
        """The values of all samples, each with the field of its sample."""
        for field, sample in self.samples.items():
            yield from ((field, leaf) for leaf in {leaf.key: leaf for leaf in sample.leaves}.values())

    def is_told(self, field: str, leaf: Leaf) -> bool:
        """Whether the person has said what a value is."""
        return self.data.get(name_of("role", field, leaf), "") in ROLES[KINDS[field]]


def name_of(what: str, field: str, leaf: Leaf) -> str:
    """The name of a field about a value: keys of leaves have characters that forms change."""
    key = blake2s(leaf.key.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"{what}-{field}-{key}"


def text_of(request: Mapping[str, Value]) -> str:
    """A webhook request, as cases write it, as the text that a person would paste."""
    found = case_http.inbound(request)
    target = f"/{found.path}" + (f"?{found.query}" if found.query else "")
    lines = [
        f"{found.method} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in found.headers.items()),
    ]
    return "\n".join([*lines, "", found.body.decode("utf-8", "replace")])


def statuses_of(draft: Draft) -> dict[str, str]:
    """Our statuses for the provider's words, in all events of a draft."""
    events: list[dict[str, Any]] = draft.document.get("Webhook", {}).get("events", [])
    return {word: status for event in events for word, status in event.get("status_map", {}).items()}
