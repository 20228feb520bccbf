"""Samples with invented people, numbers and credentials, for cases that anybody may see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from integrations.cases import MESSAGE_UUID
from integrations.language.values import Number, Value
from integrations.language.xml import parse_xml
from integrations.studio.example import numbers, words
from integrations.studio.example.meanings import Meaning, date_filter
from integrations.studio.example.samples import Leaf, Path, Sample, scalars, tokens
from integrations.studio.example.words import plain
from integrations.studio.example.writing import Vocabulary, around
from integrations.studio.example.xml_text import COMMENTS, XmlText
from integrations.studio.invented.messages import CONTACT, FILE, NAME, OURS, TEXT


class Anonymizer:
    """Puts invented values in the place of those of samples: equal ones in the place of equal ones.

    `properties` are the values of the properties by their labels; credentials of a webhook have these.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary, self.properties = vocabulary, _values(vocabulary)
        self._ids: dict[str, str] = {}
        # The numbers of the sample that is being written, and those of others, by their digits.
        self._parties: dict[str, str] = {}
        self._others: dict[str, str] = {}

    def answer(self, sample: Sample, meanings: Mapping[str, Meaning]) -> dict[str, Any]:
        """The answer of a sample, as cases write it."""
        headers = {
            str(leaf.path[0]): str(self.value(leaf, meanings[leaf.key], sample.kind))
            for leaf in sample.leaves
            if leaf.where == "header" and meanings[leaf.key].role in ("messageid", "constant")
        }
        status = {"status": sample.status} if sample.status else {}
        return {**status, **self._headers(sample, headers), **self._body(sample, meanings)}

    def webhook(self, sample: Sample, meanings: Mapping[str, Meaning]) -> dict[str, Any]:
        """The webhook request of a sample, as cases write it: whoever else is in a group is somebody else."""
        self._parties = self._numbers(sample, meanings)
        headers = {
            str(leaf.path[0]): str(self.value(leaf, meanings[leaf.key], sample.kind))
            for leaf in sample.leaves
            if leaf.where == "header" and meanings[leaf.key].role not in ("ignore", "file")
        }
        query = self._tree(sample, meanings, "query", sample.query)
        method = {"method": sample.method} if sample.method not in ("", "POST") else {}
        result = {**method, **({"query": query} if query else {})}
        return {**result, **self._headers(sample, headers), **self._body(sample, meanings)}

    def _headers(self, sample: Sample, headers: dict[str, str]) -> dict[str, Any]:
        kind = sample.header("Content-Type")
        if kind and sample.form != "multipart":
            headers = {"Content-Type": kind, **headers}
        return {"headers": headers} if headers else {}

    def _body(self, sample: Sample, meanings: Mapping[str, Meaning]) -> dict[str, Any]:
        form = sample.form
        if form in ("json", "form"):
            return {form: self._tree(sample, meanings, form, sample.tree)}
        if form == "multipart":
            parts = []
            for leaf in sample.leaves:
                if leaf.where == "multipart" and not self.vocabulary.hides(str(leaf.path[0])):
                    value = str(self.value(leaf, meanings[leaf.key], sample.kind))
                    parts.append({"name": leaf.path[0], "text": value})
            return {"multipart": parts}
        if form == "xml":
            return {"text": self._xml(sample, meanings)}
        if form == "text":
            found = tokens(sample.tree)
            for index in range(0, len(found), 2):
                if (token := sample.leaf(f"text/{index}")) is not None:
                    found[index] = str(self.value(token, meanings[token.key], sample.kind))
            return {"text": "".join(found)}
        return {}

    def _tree(self, sample: Sample, meanings: Mapping[str, Meaning], where: str, tree: Value) -> Any:
        values = {}
        for path, value in scalars(tree):
            leaf = Leaf(where, path, value)  # type: ignore[arg-type]
            values[path] = self.value(leaf, meanings.get(leaf.key, Meaning("ignore")), sample.kind)
        return self._rebuilt(tree, (), values)

    def _rebuilt(self, tree: Value, path: Path, values: Mapping[Path, Value]) -> Any:
        if isinstance(tree, Mapping):
            return {
                key: self._rebuilt(item, (*path, key), values)
                for key, item in tree.items()
                if not self.vocabulary.hides(key)
            }
        if isinstance(tree, list):
            return [self._rebuilt(item, (*path, index), values) for index, item in enumerate(tree)]
        return values[path]

    def _xml(self, sample: Sample, meanings: Mapping[str, Meaning]) -> str:
        def written(path: Path, value: str) -> str:
            leaf = Leaf("xml", path, value)
            new = str(self.value(leaf, meanings.get(leaf.key, Meaning("ignore")), sample.kind))
            return new.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")

        words_ = XmlText(COMMENTS.sub(b"", sample.body)).rewritten(written, lambda text: text)
        try:
            parse_xml(words_)
        except ValueError:
            return "<Empty/>"
        return words_

    def value(self, leaf: Leaf, meaning: Meaning, kind: str) -> Value:
        """What stands in the place of a value."""
        role, value = meaning.role, leaf.text
        before, after = around(value, meaning)
        if leaf.value is None or isinstance(leaf.value, bool) or (not value and role != "credential"):
            return leaf.value
        if role in ("to", "from"):
            ours = (role == "from") is (kind == "request")
            number = OURS if ours else CONTACT
            if kind == "webhook" and role == "to" and OURS in self._parties.values():
                number = self._number_for(value[len(before) : len(value) - len(after)])
            return _number(leaf.value, number, before, after)
        if role in ("text", "sendername"):
            return before + (TEXT if role == "text" else NAME) + after
        if role == "file":
            return FILE
        if role == "reference":
            return MESSAGE_UUID
        if role == "messageid":
            return _like(
                leaf.value, before + self._id(value[len(before) : len(value) - len(after)], leaf) + after
            )
        if role in ("credential", "property"):
            label = self.vocabulary.label_for(leaf, meaning)
            return _like(leaf.value, before + self.properties.get(label, "value-1") + after)
        if role in ("constant", "status", "date", "error_code", "error_text"):
            return self._scrubbed(leaf)
        return self._harmless(leaf)

    def _numbers(self, sample: Sample, meanings: Mapping[str, Meaning]) -> dict[str, str]:
        """The invented numbers of the sender and of the first recipient, by the digits of the real ones."""
        found: dict[str, str] = {}
        for role, number in (("from", CONTACT), ("to", OURS)):
            mine = [leaf for leaf in sample.leaves if meanings[leaf.key].role == role]
            if mine and numbers.is_number(mine[0].text):
                found.setdefault(numbers.digits_of(mine[0].text), number)
        return found

    def _number_for(self, written: str) -> str:
        """The invented number for one that is in a sample besides the others: nobody has that of another."""
        digits = numbers.digits_of(written)
        for known, number in self._parties.items():
            if numbers.is_same(known, digits):
                return number
        if CONTACT not in self._parties.values():
            return CONTACT
        return self._others.setdefault(digits, f"+1500555{1001 + len(self._others)}")

    def _id(self, value: str, leaf: Leaf) -> str:
        number = len(self._ids) + 1
        is_number = isinstance(leaf.value, Number) or value.isdigit()
        return self._ids.setdefault(value, str(1000 + number) if is_number else f"m-{number}")

    def _scrubbed(self, leaf: Leaf) -> Value:
        """A value whose meaning counts, without credentials and numbers in it."""
        if isinstance(leaf.value, Number) or date_filter(leaf):
            return leaf.value if not self.vocabulary.hides(leaf.text) else Number("1")
        text = leaf.text if not self.vocabulary.hides(leaf.text) else "value-1"
        return re.sub(r"\+?\d{7,15}", CONTACT, text)

    def _harmless(self, leaf: Leaf) -> Value:
        """A value that means nothing: kept if it can be nobody's, else one like it."""
        if isinstance(leaf.value, Number):
            return leaf.value if len(leaf.text) <= 4 and not self.vocabulary.hides(leaf.text) else Number("1")
        if leaf.text in self._ids:
            return self._ids[leaf.text]
        if numbers.is_number(leaf.text) and not date_filter(leaf):
            return _number(leaf.value, self._number_for(leaf.text), "", "")
        if leaf.where == "text" and leaf.text.isalpha() and not self.vocabulary.hides(leaf.text):
            return leaf.text
        known = (
            plain(leaf.name) in words.KIND | words.STATUS or words.status_of(leaf.text) or date_filter(leaf)
        )
        return leaf.text if known and len(leaf.text) <= 40 and not self.vocabulary.hides(leaf.text) else "x"


def _values(vocabulary: Vocabulary) -> dict[str, str]:
    """An invented value for each property."""
    found = {}
    for number, (label, item) in enumerate(vocabulary.properties.items(), 1):
        word = "secret" if item["secret"] else "account"
        found[label] = "https://api.example.com" if item.get("type") == "url" else f"{word}-{number}"
    return found


def _number(value: Value, number: str, before: str, after: str) -> Value:
    """An invented number, written like the value."""
    digits, written = number[1:], str(value)[len(before) : len(str(value)) - len(after)]
    if isinstance(value, Number):
        return Number(digits)
    if not numbers.is_number(written):
        return before + number + after
    plus = written.lstrip()[:1] == "+" or str(value)[:1] == " "
    return before + (number if plus else digits) + after


def _like(value: Value, text: str) -> Value:
    return Number(text) if isinstance(value, Number) and re.fullmatch(r"[1-9]\d*", text) else text
