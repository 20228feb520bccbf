"""How values, keys and labels of samples are written in a document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from django.utils.translation import gettext as _

from integrations.language.filters import FILTERS
from integrations.language.names import BUILT_IN
from integrations.language.placeholders import STEP, Placeholder, only, parse
from integrations.language.values import Number, Value, is_string
from integrations.redact import Redactor
from integrations.studio.example.meanings import Meaning, Meanings, is_secret
from integrations.studio.example.samples import Leaf, Path, Sample
from integrations.studio.example.words import placeholder

IN_PATHS = "!&'()*+,;=:@~"
_DIRECTIVES = ("$first", "$when", "$each", "$value", "$as")
_TAKEN = {name.casefold() for name in BUILT_IN}


class LeftOut:
    """What stands for a value that the document does not have."""


LEFT_OUT: Final = LeftOut()


def literal(text: str) -> str:
    """A text that is no placeholder, whatever is in it."""
    return text.replace("$", "$$")


def written_key(name: str) -> str | None:
    """The key for a name, or None if no key can be it."""
    if name in _DIRECTIVES or any(isinstance(part, Placeholder) for part in parse(name)):
        return None
    return f"{name}?" if name.endswith("?") else name


def dotted(path: Path, root: str) -> str | None:
    """The name of a value below a root, as placeholders read it; None if they cannot."""
    name = root
    for step in path:
        if isinstance(step, str) and not re.fullmatch(STEP, step):
            return None
        name += f"[{step}]" if isinstance(step, int) else f".{step}"
    return name if only(f"${name}$") else None


def plain_value(value: Value) -> Any:
    """A value with numbers as Python has them; one that Python would write in another way is a text."""
    if isinstance(value, Mapping):
        return {key: plain_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain_value(item) for item in value]
    if not isinstance(value, Number):
        return value
    if re.fullmatch(r"-?\d{1,400}", value):
        return int(value) if str(int(value)) == value else str(value)
    return float(value) if repr(float(value)) == value else str(value)


def laid_out(value: Any, depth: int = 0) -> str:
    """A document as a person would write it: what fits in 80 columns on one line."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or len(flat) + 2 * depth <= 80:
        return flat
    before = "  " * (depth + 1)
    if isinstance(value, dict):
        items = [
            f"{before}{json.dumps(key, ensure_ascii=False)}: {laid_out(item, depth + 1)}"
            for key, item in value.items()
        ]
    else:
        items = [before + laid_out(item, depth + 1) for item in value]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return f"{begin}\n" + ",\n".join(items) + f"\n{'  ' * depth}{end}"


class Vocabulary:
    """The properties of a document, and the values that must not be in it.

    `secrets` are the values that were marked or guessed as credentials, by their labels.
    """

    def __init__(self, samples: Mapping[str, Sample], meanings: Meanings) -> None:
        self.properties: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []
        self._labels: dict[tuple[str, str], str] = {}
        self.secrets: dict[str, str] = {}
        hidden: set[str] = set()
        for name, sample in samples.items():
            if sample.basic is not None and is_secret(sample.basic[1]):
                hidden.add(f"{sample.basic[0]}:{sample.basic[1]}")
            for leaf in sample.leaves:
                meaning = meanings[name][leaf.key]
                value = inner(leaf, meaning)
                if meaning.role == "credential" and is_secret(value):
                    self.secrets.setdefault(value, meaning.label)
        self._redactor = Redactor([*self.secrets, *hidden])

    def hides(self, text: str) -> bool:
        """Whether there is a credential in a text, in whatever encoding."""
        return self._redactor.text(text) != text

    def note(self, sentence: str) -> None:
        """Keeps a sentence for the author, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def key(self, name: str) -> str | None:
        """The key for a name; without one, the author is told that the value is left out."""
        key = None if self.hides(name) else written_key(name)
        if key is None:
            self.note(_("A value was left out, because its name cannot be written in a document."))
        return key

    def property(self, leaf: Leaf, meaning: Meaning, *, secret: bool) -> str:
        """The placeholder of a property, which is declared with its first use."""
        value = inner(leaf, meaning)
        wanted = self.secrets.get(value) or meaning.label or "API key"
        return f"${self.declare(wanted, value, secret=secret)}$"

    def label_for(self, leaf: Leaf, meaning: Meaning) -> str:
        """The label under which the value of a leaf is declared; "" if it is not."""
        value = inner(leaf, meaning)
        label = self._fitting(self.secrets.get(value) or meaning.label or "API key")
        return self._labels.get((label, "" if placeholder(value) is not None else value), "")

    def labels(self) -> dict[str, str]:
        """The labels that are declared, by the values that they stand for."""
        return {value: name for (_label, value), name in self._labels.items() if value}

    def declare(self, wanted: str, value: str, **said: Any) -> str:
        """The label of a property for a value: equal values have one, others never share one."""
        said = {"secret": True, **said}
        label = self._fitting(wanted)
        value = "" if placeholder(value) is not None else value
        if (label, value) not in self._labels:
            number, name = 1, label
            while name in self._labels.values():
                number += 1
                name = f"{label} {number}"
            self._labels[label, value] = name
            self.properties[name] = {"name": name, **said}
        name = self._labels[label, value]
        if said["secret"]:
            self.properties[name]["secret"] = True
        return name

    def _fitting(self, wanted: str) -> str:
        label = " ".join(re.sub(r"[^\w -]+", " ", wanted).split())[:60].strip(" -")
        if self.hides(label) or not re.fullmatch(STEP, label):
            label = f"Value {label}".strip() if label and not self.hides(label) else "API key"
        if label.casefold() in _TAKEN or not re.fullmatch(STEP, label):
            label = f"{label} value" if re.fullmatch(STEP, f"{label} value") else "API key"
        return label

    def listed(self) -> list[Any]:
        """The properties as a document lists them: a secret one by its label alone."""
        return [
            item["name"] if item == {"name": item["name"], "secret": True} else item
            for item in self.properties.values()
        ]

    def constant(self, value: Value, *, quoted: bool = False) -> Any:
        """A value as it is, in a URL percent-encoded; with placeholders for credentials, or else LEFT_OUT."""

        def plainly(text: str) -> str:
            return literal(quote(text, safe=IN_PATHS) if quoted else text)

        text = value if isinstance(value, str) else ""
        if not self.hides(text):
            return plain_value(value) if not is_string(value) and not quoted else plainly(text)
        pattern = "|".join(map(re.escape, sorted(self.secrets, key=len, reverse=True)))
        result = ""
        for index, part in enumerate(re.split(f"({pattern})", text) if pattern else [text]):
            if index % 2:
                result += f"${self.declare(self.secrets[part], part)}$"
            elif self.hides(part):
                self.note(_("A value was left out, because a credential is in it."))
                return LEFT_OUT
            else:
                result += plainly(part)
        return result


def inner(leaf: Leaf, meaning: Meaning) -> str:
    """The part of a value that varies."""
    before, after = around(leaf.text, meaning)
    return leaf.text[len(before) : len(leaf.text) - len(after)]


def around(value: str, meaning: Meaning) -> tuple[str, str]:
    """What is always the same before and after; nothing where the value is not like that."""
    before = meaning.before if value.startswith(meaning.before) else ""
    after = meaning.after if value[len(before) :].endswith(meaning.after) else ""
    return before, after


def filters_of(meaning: Meaning) -> str:
    """The filters with a bar before each; none if the language does not have them like that."""
    if not meaning.filters:
        return ""
    found = only(f"$to|{meaning.filters}$")
    if found is None or len(found.roots) > 1:
        return ""
    for call in found.filters:
        known = FILTERS.get(call.name)
        if known is None or not known.least <= len(call.arguments) <= known.most:
            return ""
        if known.argument not in ("", "strptime"):
            return ""
    return f"|{meaning.filters}"
