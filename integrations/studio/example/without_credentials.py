"""What is entered on the page Build by example without the credentials in it, so that it can be kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from django.http import QueryDict

from integrations.language.values import Number, Value
from integrations.redact import MIN_LENGTH, Redactor
from integrations.studio.example import private, words
from integrations.studio.example.forms import KINDS, ExampleForm, name_of
from integrations.studio.example.http_text import read_text
from integrations.studio.example.meanings import Meaning, named_apart
from integrations.studio.example.restating import restated
from integrations.studio.example.roles import ROLES
from integrations.studio.example.sample_limits import UnreadableText
from integrations.studio.example.samples import Leaf, Sample
from integrations.studio.example.writing import around, inner
from integrations.studio.example.xml_text import COMMENTS, XmlText

Fields = dict[str, list[str]]
_TAG = re.compile(r"<[^>]*>")
_INSTRUCTION = re.compile(rb"<\?(?!xml\s)")
_MARKED = re.compile(r"(role|label)-.+-[0-9a-f]{12}|known-(to|sender|text)|shown")


@dataclass(frozen=True)
class Kept:
    """The fields of a form as they may be kept, and the samples that could not be written without secrets."""

    fields: Fields
    left_out: list[str] = field(default_factory=list)


def without_credentials(form: ExampleForm) -> Kept:
    """What a form has, in which words such as YOUR_API_KEY stand for credentials; the draft stays the same.

    Samples are requests and answers as they were understood: nothing that was pasted around them is kept. A
    value is a credential if it is marked or guessed as one, and if it means nothing and has the name of one.
    """
    return _Writer(form).written()


def as_data(fields: Mapping[str, list[str]]) -> QueryDict:
    """Fields that were kept, as a form sends them."""
    data = QueryDict(mutable=True)
    for name, values in fields.items():
        data.setlist(name, values)
    return data


def _has_values_only(sample: Sample) -> bool:
    """Whether an XML text has no words but its values, each of which is looked at."""
    if _INSTRUCTION.search(sample.body):
        return False
    document, between = XmlText(COMMENTS.sub(b"", sample.body)), [""]

    def literal(text: str) -> str:
        between.append(text)
        return text

    document.rewritten(lambda path, value: "", literal)
    known = {leaf.path for leaf in sample.leaves if leaf.where == "xml"}
    return not _TAG.sub("", "".join(between)).strip() and {path for path, _ in document.values()} <= known


class _Writer:
    def __init__(self, form: ExampleForm) -> None:
        self.form = form
        self._stand_ins: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._apart = {name: named_apart(sample) for name, sample in form.samples.items()}
        for field_, leaf in form.leaves():
            meaning = self._meaning(field_, leaf)
            if hidden := self._private(field_, leaf, meaning):
                self._name(hidden, meaning.label or words.label_of(leaf.name))
        long = sorted((each for each in self._stand_ins if len(each) >= MIN_LENGTH), key=len, reverse=True)
        self._any = Redactor(long)
        self._each = [Redactor([each], self._stand_ins[each]) for each in long]

    def written(self) -> Kept:
        data = self.form.data
        fields = {name: data.getlist(name) for name in data if _MARKED.fullmatch(name)}
        pairs = [pair for pair in zip(data.getlist("word"), data.getlist("means"), strict=False) if pair[0]]
        fields |= {"word": [word for word, _means in pairs], "means": [means for _word, means in pairs]}
        texts, left_out = {}, []
        for name, sample in self.form.samples.items():
            if (written := self._sample(name, sample)) is None:
                left_out.append(name)
            else:
                texts[name] = [written]
        fields = {name: [self._hidden(value) for value in values] for name, values in fields.items()}
        return Kept(self._with_meanings(fields | texts), left_out)

    def _meaning(self, name: str, leaf: Leaf) -> Meaning:
        return self.form.meanings[name][leaf.key]

    def _private(self, field: str, leaf: Leaf, meaning: Meaning) -> str:
        """The part of a value that nobody may see; "" if there is none."""
        if leaf.value is None or isinstance(leaf.value, bool):
            return ""
        named = meaning.role == "ignore" and words.is_private(leaf.name)
        if meaning.role != "credential" and not named and not self._is_named(field, leaf, meaning):
            return ""
        value = inner(leaf, meaning)
        return "" if words.stands_for_credential(value) else value

    def _is_named(self, field: str, leaf: Leaf, meaning: Meaning) -> bool:
        """Whether a value has the name of a credential further up, or beside it as in a pair."""
        return meaning.role in ("ignore", "constant") and leaf in self._apart[field]

    def _name(self, value: str, label: str) -> None:
        """A word for a credential: different ones have different words."""
        if value not in self._stand_ins:
            word = re.sub(r"[^A-Z]+", "_", label.upper()).strip("_")[:40] or "KEY"
            same = self._counts[word]
            self._counts[word] += 1
            self._stand_ins[value] = f"YOUR_{word}" + (f"_{'X' * same}" if same else "")

    def _hidden(self, text: str) -> str:
        if self._any.text(text) != text:
            for redactor in self._each:
                text = redactor.text(text)
        return text

    def _value(self, name: str, leaf: Leaf) -> Value:
        meaning = self._meaning(name, leaf)
        if hidden := self._private(name, leaf, meaning):
            before, after = around(leaf.text, meaning)
            new = before + self._stand_ins[hidden] + after
            return Number("1") if isinstance(leaf.value, Number) else new
        hidden = self._hidden(leaf.text)
        return leaf.value if hidden == leaf.text else hidden

    def _sample(self, name: str, sample: Sample) -> str | None:
        """The text of a sample without credentials; None if it would read as another one."""
        if sample.form == "xml" and not _has_values_only(sample):
            return None
        # The text of a message may speak of tokens and passwords; what it says is nobody's credential here.
        others = [leaf for leaf in sample.leaves if self._meaning(name, leaf).role != "text"]
        if any(private.has_credentials(str(self._value(name, leaf))) for leaf in others):
            return None
        if sample.form == "text" and private.has_credentials(sample.body.decode("utf-8", "replace")):
            return None
        wanted = [(leaf.key, self._value(name, leaf)) for leaf in sample.leaves]
        text = restated(sample, lambda leaf: self._value(name, leaf))
        try:
            again = read_text(text, KINDS[name])
        except UnreadableText:
            return None
        found = [(leaf.key, leaf.value) for leaf in again.leaves]
        same = [(key, type(value), value) for key, value in found] == [
            (key, type(value), value) for key, value in wanted
        ]
        return text if same and again.form == sample.form and self._any.text(text) == text else None

    def _with_meanings(self, fields: Fields) -> Fields:
        """The fields with what would be guessed in another way now."""
        again = ExampleForm(as_data(fields))
        said = {name: values for name, values in fields.items() if not name.startswith(("role-", "label-"))}
        for name, leaf, now in self._again(again):
            was = self._meaning(name, leaf)
            role, label = name_of("role", name, leaf), name_of("label", name, leaf)
            given = fields.get(role, [""])
            if now.role != was.role and was.role in ROLES[KINDS[name]]:
                given = [was.role]
            if any(given):
                said[role] = given
            wanted = self.form.draft.labels.get(inner(leaf, was), was.label)
            if was.role in ("credential", "property") and (label in fields or now.label != wanted):
                said[label] = [self._hidden(wanted)]
        return said

    def _again(self, again: ExampleForm) -> Iterator[tuple[str, Leaf, Meaning]]:
        for name, leaf in self.form.leaves():
            if name in again.samples:
                yield name, leaf, again.meanings[name][leaf.key]
