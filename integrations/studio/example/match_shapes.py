"""Shapes that match answers and webhook requests, made of their samples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from integrations import bodies
from integrations.language.placeholders import parse
from integrations.language.sections import MEDIA_TYPES
from integrations.language.values import Value
from integrations.studio.example import words
from integrations.studio.example.meanings import Meaning
from integrations.studio.example.samples import Leaf, Path, Sample, tokens
from integrations.studio.example.words import plain
from integrations.studio.example.writing import LEFT_OUT, Vocabulary, around, dotted, filters_of, literal

_LONGEST_TEXT = 400
# What a 4xx says is left to the language where that knows better: credentials, time-outs, and limits.
_REFUSED = {"gte": 400, "lt": 500, "not": ["401", "408", "429"]}
_NOT_UNCLEAR = {"lt": 500, "not": ["401", "408", "429"]}
Entry = tuple[Path, Any]


def nested(entries: Sequence[Entry], tree: Value, vocabulary: Vocabulary) -> Any:
    """The shape with these values at their paths; LEFT_OUT if none can be written.

    Of a list of objects, the element is written that says most; where several say something, and of values,
    each stands at its place.
    """
    if not entries:
        return LEFT_OUT
    if not entries[0][0]:
        return entries[0][1]
    groups: dict[str | int, list[Entry]] = {}
    for path, shape in entries:
        groups.setdefault(path[0], []).append((path[1:], shape))
    if isinstance(entries[0][0][0], int):
        return _elements(groups, tree, vocabulary)
    result = {}
    for name, inner in groups.items():
        key = vocabulary.key(str(name))
        value = tree.get(name) if isinstance(tree, Mapping) else None
        shape = nested(inner, value, vocabulary) if key is not None else LEFT_OUT
        if key is not None and shape is not LEFT_OUT:
            result[key] = shape
    return result or LEFT_OUT


def _elements(groups: Mapping[str | int, list[Entry]], tree: Value, vocabulary: Vocabulary) -> Any:
    items = tree if isinstance(tree, list) else []
    if all(not path for inner in groups.values() for path, _shape in inner):
        shapes = {index: inner[0][1] for index, inner in groups.items()}
        if shapes.get(0) in ("$urls$", "$to$", "$to|international$") or (len(items) == 1 and 0 in shapes):
            return [shapes[0]]
        return [shapes.get(index, "$_?$") for index in range(max(len(items), 2))]
    binding = {index: sum(map(_binds, inner)) for index, inner in groups.items()}
    best = max(groups, key=lambda index: (binding[index], len(groups[index]), -int(index)))
    shapes = {
        index: nested(inner, items[int(index)] if int(index) < len(items) else None, vocabulary)
        for index, inner in groups.items()
    }
    if binding[best] < sum(binding.values()):
        found = [shapes.get(index, LEFT_OUT) for index in range(max(len(items), 2))]
        return ["$_?$" if shape is LEFT_OUT else shape for shape in found]
    return LEFT_OUT if shapes[best] is LEFT_OUT else [shapes[best]]


def _binds(entry: Entry) -> bool:
    shape = entry[1]
    return (
        isinstance(shape, str) and shape != "$_$" and any(not isinstance(each, str) for each in parse(shape))
    )


def text_shape(sample: Sample, shapes: Mapping[str, Any], vocabulary: Vocabulary) -> Any:
    """The shape of a plain text: words stay as they are, and what else is in it may vary."""
    if not shapes or len(sample.tree) > _LONGEST_TEXT:
        return LEFT_OUT
    result = ""
    for index, token in enumerate(tokens(sample.tree)):
        if f"text/{index}" in shapes:
            result += str(shapes[f"text/{index}"])
        elif index % 2 or token.isalpha() or not token:
            result += literal(token)
        else:
            result += "$_$"
    return LEFT_OUT if vocabulary.hides(result) else result


def bound(leaf: Leaf, meaning: Meaning, name: str, *, optional: bool = False) -> str:
    """The placeholder that binds a name, with what is always around it."""
    before, after = around(leaf.text, meaning)
    mark = "?" if optional else ""
    return f"{literal(before)}${name}{mark}{filters_of(meaning)}${literal(after)}"


def answer_keys(sample: Sample, meanings: Mapping[str, Meaning], vocabulary: Vocabulary) -> dict[str, Any]:
    """The keys of a method that read the answer of a sample: the id, and what says that it is a success."""
    entries: list[tuple[Leaf, Any]] = []
    has_id = False
    for leaf in sample.leaves:
        meaning = meanings[leaf.key]
        before, after = around(leaf.text, meaning)
        if meaning.role == "messageid" and not has_id and not vocabulary.hides(before + after):
            has_id = True
            entries.append((leaf, bound(leaf, meaning, "messageid")))
        elif meaning.role == "constant":
            constant = vocabulary.constant(leaf.value)
            if constant is not LEFT_OUT and not vocabulary.hides(leaf.text):
                entries.append((leaf, constant))
    result: dict[str, Any] = {}
    headers = {str(leaf.path[0]): shape for leaf, shape in entries if leaf.where == "header"}
    inside = [
        (leaf, shape) for leaf, shape in entries if leaf.where not in ("header", "user", "password", "query")
    ]
    if sample.form == "text":
        shape = text_shape(sample, {leaf.key: written for leaf, written in inside}, vocabulary)
    else:
        shape = nested([(leaf.path, written) for leaf, written in inside], sample.tree, vocabulary)
    if shape is not LEFT_OUT:
        if form := _format(sample):
            result["response_format"] = form
        result["response_map"] = shape
    if headers:
        result["response_headers"] = headers
    return result


def _format(sample: Sample) -> str:
    """The form in which an answer must be read, if its header does not say so."""
    kind = bodies.essence(sample.header("Content-Type"))
    said = {MEDIA_TYPES["json"]: "json", MEDIA_TYPES["form"]: "form"}.get(kind, "")
    said = "xml" if kind.endswith("xml") else "json" if kind.endswith("json") else said
    if sample.form == said or (sample.form == "json" and not kind) or sample.form == "multipart":
        return ""
    return sample.form


def error_rules(
    sample: Sample, meanings: Mapping[str, Meaning], answer: Sample | None, vocabulary: Vocabulary
) -> list[dict[str, Any]]:
    """The rule of `response_errors` for the sample of a refusal; none if it would say nothing new.

    It holds where there is a code, or else a text, that a success does not have, or not with this value.
    """
    if sample.form == "text":
        return _text_rules(sample, meanings, answer, vocabulary)
    reads: dict[str, str] = {}
    when: dict[str, Any] = {}
    for role, key in (("error_code", "code"), ("error_text", "text")):
        leaf = next((leaf for leaf in sample.leaves if meanings[leaf.key].role == role and leaf.text), None)
        if leaf is None or leaf.where not in ("json", "xml", "form"):
            continue
        name = dotted(tuple(step for step in leaf.path if step != "#text"), "response")
        if name is None or vocabulary.hides(name):
            continue
        reads[key] = f"${name}$"
        success = answer.leaf(leaf.key) if answer is not None else None
        if when:
            continue
        if success is None or not success.text or success.value is False:
            when[f"${name}$"] = True
        elif success.text != leaf.text and not vocabulary.hides(success.text):
            when[f"${name}$"] = {"not": success.text}
    if not reads or sample.status >= 500 or (not when and not 400 <= sample.status < 500):
        return []
    if sample.status == 401:
        return [{"when": {**when, "$status$": 401}, "result": "unauthorized", **reads}]
    return [{"when": {**when, "$status$": _REFUSED if sample.status >= 400 else _NOT_UNCLEAR}, **reads}]


def _text_rules(
    sample: Sample, meanings: Mapping[str, Meaning], answer: Sample | None, vocabulary: Vocabulary
) -> list[dict[str, Any]]:
    """The rule for a refusal that a success is told from by a word, whatever its status.

    That is its first word, or one that speaks of an error. A code is read after the word before it.
    """
    said = tokens(sample.tree)[::2]
    success = tokens(answer.tree)[::2] if answer is not None and answer.form == "text" else [""]
    by_word = (word for word in said if words.FAILURE.fullmatch(word.casefold()) and word not in success)
    first = said[0] if said[0] != success[0] and _is_plain(said[0], vocabulary) else ""
    place, word = ("^\\s*", first) if first else ("\\b", next(by_word, ""))
    if sample.status >= 400 or not word:
        return []
    rule: dict[str, Any] = {
        "when": {"$body$": {"matches": f"{place}{word}\\b"}, "$status$": _NOT_UNCLEAR},
        "text": "$body$",
    }
    coded = [index for index in range(1, len(said)) if meanings[f"text/{2 * index}"].role == "error_code"]
    if coded and _is_plain(before := said[coded[0] - 1], vocabulary):
        rule["code"] = f"$body|match:'\\b{before}\\W+(\\w+)'$"
    return [rule]


def _is_plain(word: str, vocabulary: Vocabulary) -> bool:
    return word.isascii() and word.isalpha() and not vocabulary.hides(word)


def event_hint(sample: Sample, meanings: Mapping[str, Meaning]) -> str:
    """The status that the names in a report speak of; "" if they speak of none."""
    names = [str(step) for leaf in sample.leaves for step in leaf.path if leaf.where != "header"]
    names += [leaf.text for leaf in sample.leaves if meanings[leaf.key].role == "constant"]
    for name in names:
        for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name):
            if status := words.STATUSES.get(plain(word), ""):
                return status
    return ""
