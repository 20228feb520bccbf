"""A document in the making, whose secrets are properties, and the report of what was taken and not."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from integrations.language.document import compile_document
from integrations.language.errors import DocumentError, Problem
from integrations.language.values import Value, dump
from integrations.redact import Redactor
from integrations.studio import words
from integrations.studio.by_example import named_by_host
from integrations.studio.meanings import is_secret
from integrations.studio.words import label_of, plain
from integrations.studio.writing import Vocabulary, literal

MAX_CHOICES = 20
_RANDOM = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_~+/=-]{20,}")
_SCHEME = re.compile(r"([A-Za-z][\w-]*) +(\S.*)", re.DOTALL)


@dataclass(frozen=True)
class ImportReport:
    """A document that compiles, and sentences about what was taken into it and what was left out."""

    document: dict[str, Any]
    taken: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


class ImportProblem(ValueError):
    """A text that cannot be imported; the message says why. `choices` are the names that one can give."""

    def __init__(self, sentence: str, choices: Iterable[str] = ()) -> None:
        self.choices = tuple(choices)
        shown = ", ".join(f"“{name}”" for name in self.choices[:MAX_CHOICES])
        more = "" if len(self.choices) <= MAX_CHOICES else ", …"
        super().__init__(f"{sentence} {shown}{more}." if shown else sentence)


def chosen(names: Iterable[str], name: str, several: str) -> int:
    """The index of the one that is named, or of the only one. Raises ImportProblem with `several`.

    Equal names are told apart by numbers, as in `main (2)`.
    """
    told: dict[str, int] = {}
    for index, each in enumerate(names):
        number, label = 1, each or "?"
        while label in told:
            number += 1
            label = f"{each or '?'} ({number})"
        told[label] = index
    if name:
        for label, index in told.items():
            if label.casefold() == name.casefold():
                return index
        problem = _("There is nothing called “%(name)s” here. Choose one of these:") % {"name": name[:100]}
        raise ImportProblem(problem, told)
    if len(told) == 1:
        return 0
    raise ImportProblem(several, told)


def is_credential(name: str) -> bool:
    """Whether a field or header of this name has a credential."""
    last = label_of(name).casefold().split(" ")[-1]
    found = plain(name)
    return found in words.CREDENTIAL or found.endswith(words.CREDENTIAL_ENDS) or last in words.CREDENTIAL


def is_account(name: str) -> bool:
    """Whether a field of this name says whose account it is."""
    return plain(name) in words.ACCOUNT or plain(name).endswith(words.ACCOUNT_ENDS)


def is_random(value: str) -> bool:
    """Whether a value looks like a key that was made by a machine."""
    return _RANDOM.fullmatch(value) is not None


class Draft:
    """What an importer writes: properties and their placeholders, and the sentences of the report."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary({}, {})
        self.auth: dict[str, Any] | None = None
        self.headers: dict[str, Any] = {}
        self.taken: list[str] = []
        self.left: list[str] = []
        self._secrets: set[str] = set()

    def take(self, sentence: str) -> None:
        """Reports something that was taken, once."""
        if sentence not in self.taken:
            self.taken.append(sentence)

    def leave(self, sentence: str) -> None:
        """Reports something that was left out or must be looked at, once."""
        if sentence not in self.left:
            self.left.append(sentence)

    def leave_key(self, key: str, why: str = "") -> None:
        """Reports a key of the text that was left out."""
        self.leave(_("“%(key)s” was not taken.") % {"key": key[:100]} + (f" {why}" if why else ""))

    def hide(self, value: str) -> None:
        """Keeps a value out of the document and the report."""
        if is_secret(value):
            self._secrets.add(value)

    def secret(self, key: str, wanted: str, value: str) -> str:
        """The placeholder of a new secret property for a value, which is kept out of the document."""
        self.hide(value)
        label = self.vocabulary.declare(wanted, value)
        self.take(
            _("The value of “%(key)s” became the secret property “%(label)s”. Enter it in the integration.")
            % {"key": key[:100], "label": label}
        )
        return f"${label}$"

    def own(self, key: str, wanted: str, value: str) -> str:
        """The placeholder of a new property, which is not secret, for what differs between customers."""
        label = self.vocabulary.declare(wanted, value, secret=False)
        self.take(
            _("The value of “%(key)s” became the property “%(label)s”.") % {"key": key[:100], "label": label}
        )
        return f"${label}$"

    def constant(self, key: str, value: str) -> str:
        """The shape of a value that is always the same; a credential or an account becomes a property."""
        if value and is_credential(key):
            return self.secret(key, label_of(key) or "API key", value)
        if value and is_account(key):
            return self.own(key, label_of(key) or "Account", value)
        if is_random(value):
            return self.secret(key, label_of(key) or "Key", value)
        return literal(value)

    def basic(self, key: str, user: str, password: str) -> None:
        """Takes the user name and password of Basic authentication."""
        name = self.own(key, "User name", user) if user else ""
        self.auth = {
            "type": "Basic",
            "username": name,
            "password": self.secret(key, "Password", password) if password else "",
        }

    def authorization(self, key: str, value: str) -> None:
        """Takes the value of a header Authorization, which is always secret."""
        found = _SCHEME.fullmatch(value.strip())
        scheme, rest = (found[1], found[2].strip()) if found else ("", value.strip())
        pair = _decoded(rest) if scheme.casefold() == "basic" else None
        if pair is not None:
            self.hide(rest)
            self.basic(key, *pair)
        elif scheme.casefold() == "bearer":
            self.auth = {"type": "Bearer", "token": self.secret(key, "API token", rest)}
        elif rest:
            before = f"{literal(scheme)} " if scheme else ""
            self.headers["Authorization"] = before + self.secret(key, "API key", rest)

    def header(self, name: str, value: str) -> None:
        """Takes a header that is the same for all requests."""
        if name.casefold() in ("authorization", "proxy-authorization"):
            self.authorization(name, value)
        elif re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) and value.isprintable():
            self.headers[name] = self.constant(name, value)
        else:
            self.leave_key(name, _("No header can be called so, or have this value."))

    def report(self, document: Mapping[str, Any], *, host: str = "", name: str = "") -> ImportReport:
        """The report, whose document gets an id, a name, properties and headers. Raises ImportProblem.

        What the language refuses is left out and reported, unless nothing would be sent without it.
        """
        by_host = named_by_host(host)
        slug = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:40].strip("-")
        made: dict[str, Any] = {"id": slug if len(slug) > 1 else by_host[0]}
        made |= {"name": " ".join(literal(name).split())[:100] or by_host[1], "class": "sms"}
        if properties := self.vocabulary.listed():
            made["properties"] = properties
        if self.auth is not None:
            made["auth"] = self.auth
        if self.headers:
            made["request_headers"] = self.headers
        made |= document
        return self.checked(made)

    def checked(self, document: dict[str, Any]) -> ImportReport:
        """The report of a whole document, as `report` says."""
        while problem := _first_problem(document):
            if not _removed(document, problem):
                raise ImportProblem(_("The document cannot be made: %(problem)s") % {"problem": problem})
            self.leave(_("This was left out: %(problem)s") % {"problem": problem.reason})
        for note in self.vocabulary.notes:
            self.leave(note)
        hide = Redactor(self._secrets)
        written = dump(document)
        if hide.text(written) != written:
            raise ImportProblem(
                _(
                    "A secret of this text is also part of something else in it, such as the URL, and would "
                    "be kept there. Write made-up secrets in the text, and import it again."
                )
            )
        return ImportReport(document, [*map(hide.text, self.taken)], [*map(hide.text, self.left)])


def _decoded(word: str) -> tuple[str, str] | None:
    try:
        user, colon, password = base64.b64decode(word, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


def _first_problem(document: Value) -> Problem | None:
    try:
        compile_document(document)
    except DocumentError as error:
        return next(each for each in error.problems if each.severity == "error")
    return None


def _removed(document: dict[str, Any], problem: Problem) -> bool:
    """Whether the part with a problem could be taken out of the document; a request stays whole."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in problem.pointer.split("/")[1:]]
    in_method = steps[:1] == ["API"] and len(steps) > 2 and not steps[2].startswith("request_")
    if in_method or (steps[:2] == ["Webhook", "events"] and len(steps) > 2):
        steps = steps[:3]
    elif steps[:1] in (["Webhook"], ["limits"], ["tables"], ["request_headers"]):
        steps = steps[:2]
    else:
        return False
    node: Any = document
    for step in steps[:-1]:
        node = node[int(step)] if isinstance(node, list) else node.get(step)
    key: Any = int(steps[-1]) if isinstance(node, list) else steps[-1]
    if len(steps) < 2 or (isinstance(node, dict) and key not in node):
        return bool(document.pop(steps[0], None))
    del node[key]
    if steps[0] == "Webhook" and not document["Webhook"].get("events"):
        del document["Webhook"]
    return True
