"""A document of the language, and its cases, made of a provider's samples and of what their values mean."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from integrations import case_exchanges, case_http, cases, webhooks
from integrations.case_events import shown_events
from integrations.events import RenderedRequest
from integrations.language.document import Template, compile_document
from integrations.language.errors import DocumentError, RenderError
from integrations.language.values import dump
from integrations.studio.example.anonymous import CONTACT, FILE, OURS, TEXT, Inventor
from integrations.studio.example.events import Event, event_of, merged
from integrations.studio.example.guesses import guess
from integrations.studio.example.match_shapes import answer_keys, error_rules
from integrations.studio.example.meanings import Choices, Known, Meanings
from integrations.studio.example.request_shapes import MethodName, Written, written_request
from integrations.studio.example.samples import Sample, Samples
from integrations.studio.example.writing import Vocabulary, plain_value

MAX_WEBHOOKS = 8
_SECOND_LEVEL = {"co", "com", "net", "org", "gov", "ac", "edu"}
_GIF = base64.b64decode("R0lGODlhAQABAAAAACw=")


@dataclass(frozen=True)
class Draft:
    """A document that compiles, its cases, which pass, what each value was taken for, and what to know.

    `notes` are sentences about what could not be written. Nothing marked or guessed as a credential is in
    the document or the cases.
    """

    document: dict[str, Any]
    cases: list[dict[str, Any]]
    meanings: Meanings
    notes: tuple[str, ...]


def by_example(
    samples: Samples,
    known: Known | None = None,
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
    meanings = guess(samples, known or Known(), choices or {})
    maker = _Maker(samples, meanings, statuses or {}, named)
    document = maker.document()
    template = compile_document(document)
    made = maker.cases(template)
    notes = [note for sample in samples.named().values() for note in sample.notes]
    return Draft(document, made, meanings, tuple(dict.fromkeys([*notes, *maker.vocabulary.notes])))


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
        shared: Written | None = next(iter(written.values()), None)
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

    def _methods(self) -> dict[str, Written]:
        found: dict[str, Written] = {}
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
        inventor = Inventor(self.vocabulary, self._values())
        found = []
        for event in self.events:
            for index in event.samples:
                made = inventor.webhook(self.samples.webhooks[index], self.meanings[f"webhook-{index}"])
                try:
                    received = webhooks.read(template, case_http.inbound(plain_value(made)), self._values())
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

    def _values(self) -> dict[str, str]:
        """An invented value for each property."""
        found = {}
        for number, (label, item) in enumerate(self.vocabulary.properties.items(), 1):
            word = "secret" if item["secret"] else "account"
            found[label] = "https://api.example.com" if item.get("type") == "url" else f"{word}-{number}"
        return found

    def cases(self, template: Template) -> list[dict[str, Any]]:
        """The cases that pass: a text, a file, a refusal, and each webhook."""
        inventor = Inventor(self.vocabulary, self._values())
        labels = {item.label for item in template.properties}
        properties = {label: value for label, value in self._values().items() if label in labels}
        given = {"properties": properties} if properties else {}
        made = [*self._send_cases(template, inventor, given), *self._receive_cases(template, inventor, given)]
        found = []
        for case in map(plain_value, made):
            if self.vocabulary.hides(dump(case)) or cases.run(template, case):
                self.vocabulary.note(_("A sample makes no case: “%(name)s”.") % {"name": case["name"]})
            else:
                found.append(case)
        return found

    def _send_cases(
        self, template: Template, inventor: Inventor, given: dict[str, Any]
    ) -> list[dict[str, Any]]:
        message: dict[str, Any] = {"from": OURS, "to": CONTACT, "content": TEXT}
        file = {"url": FILE, "content_type": "image/gif", "filename": "a.gif"}
        file["base64"] = base64.b64encode(_GIF).decode()
        webhook_url = f"https://sms.example.com/services/{template.id}/a1"
        wanted = [("A text is sent", "SendMessage", message)]
        wanted.append(
            ("A file is sent", "SendFile", {"from": OURS, "to": CONTACT, "text": TEXT, "media": [file]})
        )
        made = []
        for name, method, variables in wanted:
            if method not in template.methods:
                continue
            case = {"name": name, "kind": "send", **given, "webhook_url": webhook_url, "message": variables}
            case["message_uuid"] = cases.MESSAGE_UUID
            if requests := self._requests_of(template, case):
                made.append(self._answered(template, {**case, "expect": requests}, inventor, "answer"))
        if made and self.samples.error is not None:
            case = {key: value for key, value in made[0].items() if key not in ("expect", "outcome")}
            case["name"] = "A text is refused"
            made.append(self._answered(template, case, inventor, "error"))
        return [case for case in made if "expect" in case or "outcome" in case]

    def _requests_of(self, template: Template, case: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            parts = case_exchanges.requests_of(template, plain_value(case))
        except (RenderError, ValueError):
            return []
        return [_expected(part.request) for part in parts]

    def _answered(
        self, template: Template, case: dict[str, Any], inventor: Inventor, name: str
    ) -> dict[str, Any]:
        """The case with the sample of an answer, and what it means."""
        sample = self.samples.answer if name == "answer" else self.samples.error
        if sample is None:
            return case
        answered = {**case, "responses": [inventor.answer(sample, self.meanings[name])]}
        try:
            outcomes = [
                each
                for _part, _answer, each in case_exchanges.exchanges(template, plain_value(answered))
                if each
            ]
        except (RenderError, ValueError, TypeError):
            return case
        if not outcomes:
            return case
        outcome = outcomes[-1]
        said = {"result": outcome.result, "messageid": outcome.messageid, "code": outcome.code}
        if outcome.result != "sent":
            said["text"] = outcome.text
        return {**answered, "outcome": {key: value for key, value in said.items() if value}}

    def _receive_cases(
        self, template: Template, inventor: Inventor, given: dict[str, Any]
    ) -> list[dict[str, Any]]:
        made = []
        for event in sorted(self.events, key=lambda event: event.samples[0]):
            for index in event.samples:
                request = inventor.webhook(self.samples.webhooks[index], self.meanings[f"webhook-{index}"])
                number = f" ({index + 1})" if len(self.samples.webhooks) > 1 else ""
                name = f"{_SAID.get(event.node['event_type'], 'An event')}{number}"
                case: dict[str, Any] = {"name": name, "kind": "receive", **given, "request": request}
                try:
                    inbound = case_http.inbound(plain_value(request))
                except (ValueError, TypeError, AttributeError):
                    continue
                received = webhooks.read(template, inbound, given.get("properties", {}))
                if received.events:
                    made.append({**case, "expect": {"events": shown_events(received)}})
                else:
                    self.vocabulary.note(
                        _("The document does not read one of the webhooks. Mark its values.")
                    )
        return made


_SAID = {
    "message": "A text arrives", "mms": "A file arrives", "messageStatus": "A report",
    "ignore": "Nothing to do", "messageSent": "A report of sending", "messageRead": "A report of reading",
    "messageDelivered": "A report of delivery", "messageFailed": "A report of failure",
}  # fmt: skip


def _expected(request: RenderedRequest) -> dict[str, Any]:
    shown = case_http.shown(request)
    if "multipart" in shown:  # its boundary is of no interest
        shown["headers"] = {
            name: value for name, value in shown["headers"].items() if name.casefold() != "content-type"
        }
    return shown


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
