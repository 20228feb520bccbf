"""A document of the language, and its cases, made of a provider's samples and of what their values mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from integrations import case_http, webhooks
from integrations.language.document import compile_document
from integrations.language.errors import DocumentError
from integrations.studio.example.anonymous import Anonymizer
from integrations.studio.example.cases import CaseMaker
from integrations.studio.example.event_merging import Event, merged
from integrations.studio.example.events import event_of
from integrations.studio.example.guesses import guess
from integrations.studio.example.match_shapes import answer_keys, error_rules
from integrations.studio.example.meanings import Choices, Meanings, SampleMessage
from integrations.studio.example.request_shapes import MethodDraft, MethodName, written_request
from integrations.studio.example.samples import Sample, Samples
from integrations.studio.example.writing import Vocabulary, plain_value

MAX_WEBHOOKS = 8
_SECOND_LEVEL = {"co", "com", "net", "org", "gov", "ac", "edu"}


@dataclass(frozen=True)
class Draft:
    """A document that compiles, its cases, which pass, what each value was taken for, and what to know.

    `notes` are sentences about what could not be written. Nothing marked or guessed as a credential is in
    the document or the cases. `labels` are those of the properties, by the values that they stand for.
    """

    document: dict[str, Any]
    cases: list[dict[str, Any]]
    meanings: Meanings
    notes: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict, repr=False)


def by_example(
    samples: Samples,
    known: SampleMessage | None = None,
    choices: Choices | None = None,
    statuses: Mapping[str, str] | None = None,
    named: tuple[str, str] = ("", ""),
) -> Draft:
    """The draft that samples make: guesses fill in what `choices` do not say.

    `statuses` are our statuses for the provider's words, in reports. `named` are the id and name of the
    document; those that are empty are made of the host. At most 8 webhooks are read.
    """
    samples = Samples(
        samples.request, samples.file_request, samples.answer, samples.error, samples.webhooks[:MAX_WEBHOOKS]
    )
    meanings = guess(samples, known or SampleMessage(), choices or {})
    maker = _Maker(samples, meanings, statuses or {}, named)
    document = maker.document()
    template = compile_document(document)
    made = CaseMaker(samples, meanings, maker.vocabulary, maker.events).cases(template)
    notes = [note for sample in samples.named().values() for note in sample.notes]
    return Draft(
        document,
        made,
        meanings,
        tuple(dict.fromkeys([*notes, *maker.vocabulary.notes])),
        maker.vocabulary.labels(),
    )


def named_by_host(host: str) -> tuple[str, str]:
    """An id and a name for the provider at a host: `api.46elks.com` is 46elks."""
    parts = [part for part in host.casefold().split(".") if part]
    if len(parts) > 2 and parts[-2] in _SECOND_LEVEL:
        parts = parts[:-1]
    word = parts[-2] if len(parts) > 1 and not parts[-1].isdigit() else "provider"
    word = re.sub(r"[^a-z0-9-]", "", word).strip("-")[:40]
    word = word if len(word) > 1 else "provider"
    return word, word[:1].upper() + word[1:]


class _Maker:
    def __init__(
        self, samples: Samples, meanings: Meanings, statuses: Mapping[str, str], named: tuple[str, str]
    ) -> None:
        self.samples, self.meanings, self.statuses, self.named = samples, meanings, statuses, named
        self.vocabulary = Vocabulary(samples.named(), meanings)
        self.events: list[Event] = []

    def document(self) -> dict[str, Any]:
        """The document; what the language does not take is left out of it, with a note."""
        host = next((each.host for each in (self.samples.request, self.samples.file_request) if each), "")
        identifier, name = (said or made for said, made in zip(self.named, named_by_host(host), strict=True))
        if self.vocabulary.hides(identifier) or self.vocabulary.hides(name):
            identifier, name = "provider", "Provider"
        document: dict[str, Any] = {"id": identifier, "name": name, "class": "sms"}
        written = self._methods()
        self._find_events()
        api = {key: item.method for key, item in written.items()}
        if properties := self.vocabulary.listed():
            document["properties"] = properties
        shared: MethodDraft | None = next(iter(written.values()), None)
        if shared is not None and shared.auth is not None:
            document["auth"] = shared.auth
        if shared is not None and shared.headers:
            document["request_headers"] = shared.headers
        for item in written.values():
            own = {
                key: value
                for key, value in item.headers.items()
                if shared and shared.headers.get(key) != value
            }
            if own:
                item.method["request_headers"] = own
        if api or not self.events:
            document["API"] = api
        if self.events:
            document["Webhook"] = {"events": [event.node for event in self.events]}
        return self._valid(plain_value(document))

    def _methods(self) -> dict[str, MethodDraft]:
        found: dict[str, MethodDraft] = {}
        for name, sample, method in self._requests():
            written = written_request(sample, self.meanings[name], self.vocabulary, method)
            if self.samples.answer is not None:
                answer = self.meanings["answer"]
                written.method.update(answer_keys(self.samples.answer, answer, self.vocabulary))
            if self.samples.error is not None:
                error = self.meanings["error"]
                rules = error_rules(self.samples.error, error, self.samples.answer, self.vocabulary)
                if rules:
                    written.method["response_errors"] = rules
                elif self.samples.error.status < 400:
                    text = _(
                        "Nothing is read from the refusal. Choose its code or text, so that people learn why."
                    )
                    self.vocabulary.note(text)
            found[method] = written
        return found

    def _requests(self) -> list[tuple[str, Sample, MethodName]]:
        """The samples that the methods are made of: a request with a file makes both, without another."""
        request, files = self.samples.request, self.samples.file_request
        found: list[tuple[str, Sample, MethodName]] = []
        if request is not None:
            found.append(("request", request, "SendMessage"))
            if files is None and self._has_file("request"):
                found.append(("request", request, "SendFile"))
        if files is not None:
            found.append(
                ("file_request", files, "SendFile" if self._has_file("file_request") else "SendMessage")
            )
        names = [name for _sample, _request, name in found]
        return [item for index, item in enumerate(found) if item[2] not in names[:index]]

    def _has_file(self, name: str) -> bool:
        return any(meaning.role == "file" for meaning in self.meanings[name].values())

    def _find_events(self) -> None:
        """One event for each kind of webhook; those that must have more go first."""
        told_apart: dict[int, set[str]] = {}
        for _round in range(2):
            self.events = []
            for index, sample in enumerate(self.samples.webhooks):
                meanings = self.meanings[f"webhook-{index}"]
                apart = frozenset(told_apart.get(index, ()))
                node = event_of(sample, meanings, self.vocabulary, self.statuses, apart)
                if node is not None and not merged(self.events, node, index):
                    self.events.append(Event(node, [index]))
            self.events.sort(key=lambda event: -event.weight)
            for index, other in self._wrongly_matched():
                mine, taking = self._event_of(index), self._event_of(other)
                self.events.remove(mine)
                self.events.insert(self.events.index(taking), mine)
            wrong = self._wrongly_matched()
            if not wrong:
                return
            for index, other in wrong:
                told_apart.setdefault(other, set()).update(self._differences(other, index))
        self.vocabulary.note(
            _("Two webhooks look alike. Mark a value that tells them apart as one that is always the same.")
        )

    def _event_of(self, index: int) -> Event:
        return next(event for event in self.events if index in event.samples)

    def _wrongly_matched(self) -> list[tuple[int, int]]:
        """Webhooks that the event of another one takes, each with that other one."""
        document: dict[str, Any] = {"id": "draft", "name": "Draft", "properties": self.vocabulary.listed()}
        document |= {"Webhook": {"events": [event.node for event in self.events]}}
        try:
            template = compile_document(plain_value(document))
        except DocumentError:
            return []
        anonymizer = Anonymizer(self.vocabulary)
        found = []
        for event in self.events:
            for index in event.samples:
                made = anonymizer.webhook(self.samples.webhooks[index], self.meanings[f"webhook-{index}"])
                try:
                    received = webhooks.read(
                        template, case_http.inbound(plain_value(made)), anonymizer.properties
                    )
                except (ValueError, TypeError, AttributeError):
                    continue
                taken = getattr(received, "event_index", None)
                if received.events and taken is not None and self.events[taken] is not event:
                    found.append((index, self.events[taken].samples[0]))
        return found

    def _differences(self, index: int, other: int) -> set[str]:
        """The leaves of a webhook that another one does not have."""
        own, others = self.samples.webhooks[index], self.samples.webhooks[other]
        found = [leaf for leaf in own.leaves if leaf.where != "header" and leaf.text]
        return {leaf.key for leaf in found if others.leaf(leaf.key) is None}

    def _valid(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document without what the language refuses, which is noted."""
        for _attempt in range(60):
            try:
                compile_document(document)
                break
            except DocumentError as error:
                problem = next(each for each in error.problems if each.severity == "error")
                self.vocabulary.note(_("This was left out: %(problem)s") % {"problem": problem.reason})
                _remove(document, problem.pointer.split("/")[1:])
        return document


def _remove(document: dict[str, Any], steps: list[str]) -> None:
    """Takes the smallest part out of the document that the language can do without."""
    depth = {"API": 3, "Webhook": 3}.get(steps[0] if steps else "", 1)
    if not steps or steps[0] in ("id", "name"):
        document.update(id="provider", name="Provider")
        return
    steps = steps[:depth]
    if steps[0] == "API" and len(steps) == 3 and steps[2] == "request_url":
        steps = steps[:2]
    node: Any = document
    for step in steps[:-1]:
        node = node[int(step)] if isinstance(node, list) else node.get(step, {})
    if isinstance(node, list):
        del node[int(steps[-1])]
    elif steps[-1] in node:
        del node[steps[-1]]
    else:
        document.pop(steps[0], None)
        document.setdefault("API", {})
