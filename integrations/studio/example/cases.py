"""The cases that samples make: a text, a file, a refusal, and each webhook."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from integrations import case_exchanges, case_http, cases, webhooks
from integrations.case_events import shown_events, shown_outcome
from integrations.language.document import Template
from integrations.language.errors import RenderError
from integrations.language.values import dump
from integrations.studio.example.anonymous import Anonymizer
from integrations.studio.example.event_merging import Event
from integrations.studio.example.meanings import Meanings
from integrations.studio.example.samples import Samples
from integrations.studio.example.writing import Vocabulary, plain_value
from integrations.studio.invented.messages import CONTACT, MESSAGE, OURS, PICTURE, TEXT

_NAMES = {
    "message": "A text arrives", "mms": "A file arrives", "messageStatus": "A report",
    "ignore": "Nothing to do", "messageSent": "A report of sending", "messageRead": "A report of reading",
    "messageDelivered": "A report of delivery", "messageFailed": "A report of failure",
}  # fmt: skip


class CaseMaker:
    """Makes cases of samples, with nobody's values in them; `events` are those of the document."""

    def __init__(
        self, samples: Samples, meanings: Meanings, vocabulary: Vocabulary, events: list[Event]
    ) -> None:
        self.samples, self.meanings, self.vocabulary, self.events = samples, meanings, vocabulary, events
        self.anonymizer = Anonymizer(vocabulary)

    def cases(self, template: Template) -> list[dict[str, Any]]:
        """The cases that pass: a text, a file, a refusal, and each webhook."""
        labels = {item.label for item in template.properties}
        properties = {label: value for label, value in self.anonymizer.properties.items() if label in labels}
        given = {"properties": properties} if properties else {}
        made = [
            *self._send_cases(template, given),
            *self._receive_cases(template, given),
        ]
        found = []
        for case in map(plain_value, made):
            if self.vocabulary.hides(dump(case)) or cases.run(template, case):
                self.vocabulary.note(_("A sample makes no case: “%(name)s”.") % {"name": case["name"]})
            else:
                found.append(case)
        return found

    def _send_cases(self, template: Template, given: dict[str, Any]) -> list[dict[str, Any]]:
        message: dict[str, Any] = {"from": OURS, "to": CONTACT, "content": TEXT}
        webhook_url = f"https://sms.example.com/services/{template.id}/a1"
        wanted = [("A text is sent", "SendMessage", message)]
        wanted.append(("A file is sent", "SendFile", {**MESSAGE, "media": [PICTURE]}))
        made = []
        for name, method, variables in wanted:
            if method not in template.methods:
                continue
            case = {"name": name, "kind": "send", **given, "webhook_url": webhook_url, "message": variables}
            case["message_uuid"] = cases.MESSAGE_UUID
            if requests := self._requests_of(template, case):
                made.append(self._answered(template, {**case, "expect": requests}, "answer"))
        if made and self.samples.error is not None:
            case = {key: value for key, value in made[0].items() if key not in ("expect", "outcome")}
            case["name"] = "A text is refused"
            made.append(self._answered(template, case, "error"))
        return [case for case in made if "expect" in case or "outcome" in case]

    def _requests_of(self, template: Template, case: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            parts = case_exchanges.requests_of(template, plain_value(case))
        except (RenderError, ValueError):
            return []
        return [case_http.expected(part.request) for part in parts]

    def _answered(self, template: Template, case: dict[str, Any], name: str) -> dict[str, Any]:
        """The case with the sample of an answer, and what it means."""
        sample = self.samples.answer if name == "answer" else self.samples.error
        if sample is None:
            return case
        answered = {**case, "responses": [self.anonymizer.answer(sample, self.meanings[name])]}
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
        return {**answered, "outcome": shown_outcome(outcomes[-1])}

    def _receive_cases(self, template: Template, given: dict[str, Any]) -> list[dict[str, Any]]:
        made = []
        for event in sorted(self.events, key=lambda event: event.samples[0]):
            for index in event.samples:
                request = self.anonymizer.webhook(
                    self.samples.webhooks[index], self.meanings[f"webhook-{index}"]
                )
                number = f" ({index + 1})" if len(self.samples.webhooks) > 1 else ""
                name = f"{_NAMES.get(event.node['event_type'], 'An event')}{number}"
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
