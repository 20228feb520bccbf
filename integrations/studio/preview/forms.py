"""What one may change in a preview: a message, property values, an answer, and a webhook request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isinf
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations import case_http
from integrations.case_schema import FAULTS
from integrations.events import HttpResponse
from integrations.language.document import Template
from integrations.language.properties import Property, check_values
from integrations.language.values import Value, dump, load, text
from integrations.studio.invented.messages import CONTACT, OURS, PICTURE
from integrations.studio.invented.values import invented_value
from integrations.studio.preview.pasted import MAX_CHARACTERS

# What breaks templates that were only tried with "Hello": quotes, lines, XML, percent signs, emoji, length.
NASTY = (
    "He said \"hi\" & 'bye' <b>\\o/</b> 100% + 1\nSecond line: ä € 你好 👋🏽 {$x$}\n"
    "And so long that it takes more than one SMS, because long texts are split by some providers, "
    "joined by others, and refused by the rest."
)
FILES = {
    "picture.png": "image/png",
    "a photo.jpg": "image/jpeg",
    "clip.mp4": "video/mp4",
    "voice.amr": "audio/amr",
    "letter.pdf": "application/pdf",
    "card.vcf": "text/vcard",
}
WRITTEN = "written"
PASTED = "pasted"
_HEADERS = "content-type: application/json"
Presets = Mapping[
    str, tuple[str, Mapping[str, Value]]
]  # a name, and an answer or a request as cases write it


class PreviewForm(forms.Form):
    """The fields of a preview; what is left empty in `property-…` has an invented value.

    `answers` and `webhooks` are those of the document's cases, by a key.
    """

    sender = forms.CharField(
        label=gettext_lazy("From (our number)"), required=False, max_length=100, initial=OURS
    )
    to = forms.CharField(
        label=gettext_lazy("To (the contact)"), required=False, max_length=300, initial=CONTACT
    )
    text = forms.CharField(
        label=gettext_lazy("Text"),
        required=False,
        strip=False,
        max_length=20_000,
        initial=NASTY,
        widget=forms.Textarea(attrs={"rows": 5}),
    )
    file = forms.ChoiceField(
        label=gettext_lazy("Files"),
        required=False,
        choices=[("", gettext_lazy("none")), *((name, f"{name} ({kind})") for name, kind in FILES.items())],
    )
    count = forms.IntegerField(
        label=gettext_lazy("How many"), required=False, min_value=1, max_value=10, initial=1
    )
    size = forms.IntegerField(
        label=gettext_lazy("Size of each (KB)"), required=False, min_value=1, max_value=100_000, initial=300
    )
    country = forms.CharField(
        label=gettext_lazy("Our country (two letters)"), required=False, max_length=2, initial="US"
    )
    reply_to = forms.CharField(
        label=gettext_lazy("Reply to (the provider's id)"), required=False, max_length=200
    )
    answer = forms.ChoiceField(label=gettext_lazy("Answer"), required=False)
    status = forms.IntegerField(
        label=gettext_lazy("Status"), required=False, min_value=100, max_value=599, initial=200
    )
    headers = forms.CharField(
        label=gettext_lazy("Headers"),
        required=False,
        max_length=10_000,
        initial=_HEADERS,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )
    body = forms.CharField(
        label=gettext_lazy("Body"),
        required=False,
        strip=False,
        max_length=100_000,
        initial="{}",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )
    source = forms.ChoiceField(label=gettext_lazy("Webhook"), required=False)
    pasted = forms.CharField(
        label=gettext_lazy("A request, or only its JSON, form, XML or query"),
        required=False,
        max_length=MAX_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
    )
    check = forms.ChoiceField(
        label=gettext_lazy("Signature or key"),
        required=False,
        choices=[
            ("signed", gettext_lazy("signed by us")),
            ("off", gettext_lazy("not checked")),
            ("as it is", gettext_lazy("checked as it is")),
        ],
    )

    def __init__(
        self,
        compiled: Template,
        answers: Presets,
        webhooks: Presets,
        *args: Any,
        captured: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.compiled, self._answers, self._webhooks = compiled, answers, webhooks
        if compiled.sends_to_groups:
            self.fields["to"].label = _("To (commas make a group)")
        for index, item in enumerate(compiled.properties):
            self.fields[f"property-{index}"] = _property_field(item)
        faults = (_("No connection"), _("No answer in time"), _("A wrong certificate"))
        self._choose("answer", [(WRITTEN, _("as written below")), *zip(FAULTS, faults, strict=True)], answers)
        first = [("captured", captured)] if captured else []
        self._choose("source", [*first, (PASTED, _("as pasted below"))], webhooks)
        sent = [
            key for key, (_name, answer) in answers.items() if text(answer.get("status", "200"))[:1] == "2"
        ]
        self.initial = {
            "answer": next(iter(sent), WRITTEN),
            "source": "captured" if captured else next(iter(webhooks), PASTED),
            **self.initial,
        }

    def _choose(self, name: str, own: list[tuple[str, str]], presets: Presets) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        shown = [(key, label) for key, (label, _written) in presets.items()]
        field.choices = [*own, *([(_("from the cases"), shown)] if shown else [])]

    def value(self, name: str) -> Any:
        """What was entered, or else the initial value; also what is not valid counts as not entered."""
        if self.is_bound and name in getattr(self, "cleaned_data", {}):
            return self.cleaned_data[name]
        return self.get_initial_for_field(self.fields[name], name)

    @property
    def property_fields(self) -> list[forms.BoundField]:
        """The fields of the properties."""
        return [self[name] for name in self.fields if name.startswith("property-")]

    @property
    def properties(self) -> dict[str, Any]:
        """The property values that were entered; those that are not valid are said and left out."""
        entered = {
            item.label: self.value(f"property-{index}") for index, item in enumerate(self.compiled.properties)
        }
        entered = {label: value for label, value in entered.items() if value not in (None, "")}
        _values, errors = check_values(self.compiled.properties, entered)
        for index, item in enumerate(self.compiled.properties):
            if item.label in entered and item.label in errors:
                self.add_error(f"property-{index}", errors[item.label])
        return {label: value for label, value in entered.items() if label not in errors}

    @property
    def message(self) -> dict[str, Value]:
        """The message, as cases write it."""
        found: dict[str, Value] = {"from": self.value("sender"), "to": self._to}
        found["text"] = self.value("text").replace("\r\n", "\n")
        for name in ("country", "reply_to"):
            if value := (self.value(name) or "").strip():
                found[name] = value.upper() if name == "country" else value
        if kind := FILES.get(name := self.value("file") or ""):
            count, size = self.value("count") or 1, (self.value("size") or 1) * 1000
            found["media"] = [
                {
                    "url": f"https://sms.example.com/media/{number}/{name.replace(' ', '%20')}",
                    "content_type": kind,
                    "filename": name,
                    "size": size,
                    "base64": PICTURE["base64"],
                }
                for number in range(1, count + 1)
            ]
        return found

    @property
    def _to(self) -> Value:
        """The contact; the members of a group, if there are several and the template sends to groups."""
        to: str = self.value("to")
        members = [each.strip() for each in to.split(",") if each.strip()]
        return members if len(members) > 1 and self.compiled.sends_to_groups else to

    @property
    def written_answer(self) -> dict[str, Value]:
        """The answer that was chosen or written, as cases write it."""
        chosen = self.value("answer") or WRITTEN
        if chosen in self._answers:
            return dict(self._answers[chosen][1])
        if chosen in FAULTS:
            return {"error": chosen}
        headers = {}
        for line in self.value("headers").splitlines():
            name, colon, value = line.partition(":")
            if colon and name.strip():
                headers[name.strip()] = value.strip()
        found: dict[str, Value] = {"status": self.value("status") or 200}
        found |= {"headers": headers} if headers else {}
        return {**found, **_body(self.value("body"))}

    @property
    def chosen_webhook(self) -> Mapping[str, Value] | None:
        """The request of a case that was chosen; None for a pasted or captured one.

        The case that stands there at first is not chosen by somebody who pastes something.
        """
        key = self.value("source")
        if key == self.initial.get("source") and (self.value("pasted") or "").strip():
            return None
        return self._webhooks[key][1] if key in self._webhooks else None


def as_fields(answer: Mapping[str, Value]) -> dict[str, Any]:
    """An answer of a case, as the fields of the form have it."""
    if "error" in answer:
        return {"answer": answer["error"]}
    response: HttpResponse = case_http.response(answer)
    headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
    body = response.body.decode("utf-8", "replace")
    return {"answer": WRITTEN, "status": response.status, "headers": headers, "body": body}


def _body(words: str) -> dict[str, Value]:
    """A body as cases write it: JSON as JSON."""
    if not words.strip():
        return {}
    try:
        found = json.loads(dump(load(words)), parse_float=_finite)
    except (ValueError, RecursionError):
        return {"text": words}
    return {"json": found} if isinstance(found, dict | list) else {"text": words}


def _finite(number: str) -> float:
    if isinf(found := float(number)):
        raise ValueError(number)
    return found


def _property_field(item: Property) -> forms.Field:
    """A field that shows the invented value, which a secret has if it is left empty."""
    shown = invented_value(item) if item.required or item.default is not None else ""
    initial = "" if item.secret else "\n".join(shown) if isinstance(shown, list) else str(shown)
    if item.type == "boolean":
        initial = "true" if shown is True else "false" if shown is False else ""
    widget: forms.Widget = forms.TextInput()
    if item.secret:
        hint = _("Leave empty for an invented one")
        widget = forms.PasswordInput(attrs={"autocomplete": "off", "placeholder": hint})
    elif item.type == "list":
        widget = forms.Textarea(attrs={"rows": 2})
    elif item.type in ("choice", "boolean"):
        words = item.choices if item.type == "choice" else ("true", "false")
        widget = forms.Select(choices=[("", "–"), *((word, word) for word in words)])
    return forms.CharField(
        label=item.label, required=False, max_length=10_000, initial=initial, widget=widget
    )
