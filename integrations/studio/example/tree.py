"""Samples as trees in which one says what each value is, and what the draft that they make does, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.studio.example.forms import KINDS, WEBHOOKS, ExampleForm, name_of, statuses_of
from integrations.studio.example.meanings import Meaning
from integrations.studio.example.roles import ROLES
from integrations.studio.example.samples import Leaf, Sample
from integrations.studio.example.words import placeholder

LONGEST = 160
_GROUPS = {
    "path": gettext_lazy("Address"), "bare": gettext_lazy("Query"), "query": gettext_lazy("Query"),
    "header": gettext_lazy("Headers"),
    "user": gettext_lazy("Basic authentication"), "password": gettext_lazy("Basic authentication"),
}  # fmt: skip
_BODY = gettext_lazy("Body")
_NOTHING = ("constant", "ignore")


@dataclass(frozen=True)
class Row:
    """A value, and what it is; one of the choices is chosen. `below` are the names that lead to it."""

    leaf: Leaf
    below: str
    field: str
    label_field: str
    meaning: Meaning
    choices: tuple[tuple[str, str | Promise, bool], ...]
    told: bool

    @property
    def name(self) -> str:
        """The last name of its place, counted from one in lists."""
        if self.leaf.where in ("user", "password"):
            return _("user") if self.leaf.where == "user" else _("password")
        if self.leaf.where in ("path", "text"):
            return self.leaf.label if self.leaf.where == "path" else f"{int(self.leaf.path[-1]) // 2 + 1}"
        return self.leaf.label.rpartition(" › ")[2]

    @property
    def value(self) -> str:
        """The value, which is hidden if it is a credential."""
        text = self.leaf.text
        if self.meaning.role == "credential" and placeholder(text) is None:
            return f"{self.meaning.before}••••••"
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"

    @property
    def means(self) -> bool:
        """Whether the value counts for the document."""
        return self.meaning.role not in _NOTHING

    @property
    def has_label(self) -> bool:
        """Whether the value is one that the customer enters."""
        return self.meaning.role in ("credential", "property")


@dataclass(frozen=True)
class Group:
    """The values of one place of a sample, such as its headers."""

    title: str | Promise
    rows: list[Row]

    @property
    def open(self) -> bool:
        """Whether there is something to look at: an address and headers mostly say nothing."""
        quiet = self.title in (_GROUPS["path"], _GROUPS["header"])
        return not quiet or any(row.means or row.told for row in self.rows)


@dataclass(frozen=True)
class Pasted:
    """A field for a sample, with what has been understood of it."""

    name: str
    text: str
    error: str
    groups: list[Group] = field(default_factory=list)


def pasted(form: ExampleForm) -> dict[str, Pasted]:
    """The fields of samples by their names."""
    groups = {name: list(_groups(form, name)) for name in KINDS}
    return {name: Pasted(name, form.texts[name], form.errors.get(name, ""), groups[name]) for name in KINDS}


def _groups(form: ExampleForm, name: str) -> Iterator[Group]:
    leaves = [leaf for field, leaf in form.leaves() if field == name]
    for title, found in groupby(leaves, lambda leaf: _GROUPS.get(leaf.where, _BODY)):
        yield Group(title, [_row(form, name, leaf) for leaf in found])


def _row(form: ExampleForm, name: str, leaf: Leaf) -> Row:
    meaning, told = form.meanings[name][leaf.key], form.is_told(name, leaf)
    roles = ROLES[KINDS[name]]
    guessed = _("as guessed") if told else roles.get(meaning.role, meaning.role)
    others = (
        (role, label, told and role == meaning.role)
        for role, label in roles.items()
        if told or role != meaning.role
    )
    below = "" if leaf.where in ("path", "text") else leaf.label.rpartition(" › ")[0]
    names = (name_of("role", name, leaf), name_of("label", name, leaf))
    return Row(leaf, below, *names, meaning, (("", guessed, not told), *others), told)


def done(document: dict[str, Any]) -> Iterator[str]:
    """What a document does, in sentences."""
    methods = document.get("API", {})
    for name, method in methods.items():
        yield str(_METHODS[name]) % {"url": str(method["request_url"]).partition("?")[0]}
    labels = [item if isinstance(item, str) else item["name"] for item in document.get("properties", [])]
    if labels:
        yield _("Each customer enters: %(labels)s.") % {"labels": ", ".join(labels)}
    for event in document.get("Webhook", {}).get("events", []):
        yield str(_EVENTS.get(event["event_type"], _EVENTS["ignore"]))


_METHODS = {
    "SendMessage": gettext_lazy("It sends texts to %(url)s."),
    "SendFile": gettext_lazy("It sends files to %(url)s."),
}
_EVENTS = {
    "message": gettext_lazy("It takes texts that arrive."),
    "mms": gettext_lazy("It takes files that arrive."),
    "messageStatus": gettext_lazy("It reads reports of delivery."),
    "messageSent": gettext_lazy("It reads reports that a text was sent."),
    "messageRead": gettext_lazy("It reads reports that a text was read."),
    "messageDelivered": gettext_lazy("It reads reports that a text was delivered."),
    "messageFailed": gettext_lazy("It reads reports that a text has failed."),
    "ignore": gettext_lazy("It accepts an event that means nothing to it."),
}


def missing(form: ExampleForm) -> Iterator[str]:
    """What one still has to say, or to paste, in sentences."""
    for name, sample in form.samples.items():
        roles = {meaning.role for meaning in form.meanings[name].values()}
        if KINDS[name] == "request":
            needed = ("to", "text") if name == "request" else ("to",)
            yield from (str(_REQUEST[role]) for role in needed if role not in roles)
        elif name == "answer" and "messageid" not in roles and not _has_reference(form):
            yield _("Say which value of the answer is the message id, or no report can find its text.")
        elif name in WEBHOOKS and not roles & {"from", "messageid", "reference", "constant"}:
            yield _("Say what the values of webhook %(number)d are.") % {"number": WEBHOOKS.index(name) + 1}
        elif name in WEBHOOKS and "status" in roles and not _status_is_known(form, name, sample):
            yield _("Say below the webhooks what the provider's word for the status means.")
    if form.samples and not any(KINDS[name] == "request" for name in form.samples):
        yield _("Paste how to send a text. Without it, the document only receives.")


_REQUEST = {
    "to": gettext_lazy("Say which value of the request is the recipient."),
    "text": gettext_lazy("Say which value of the request is the text of the message."),
}


def _has_reference(form: ExampleForm) -> bool:
    sent = form.meanings.get("request", {}).values()
    return any(meaning.role == "reference" for meaning in sent)


def _status_is_known(form: ExampleForm, name: str, sample: Sample) -> bool:
    table = statuses_of(form.draft)
    known = {word for word, means in table.items() if means != "ignore" or word in form.said}
    words = [leaf.text for leaf in sample.leaves if form.meanings[name][leaf.key].role == "status"]
    return any(word in known for word in words)
