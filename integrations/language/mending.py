"""Texts that are almost JSON: snippets of documentation, read where that is safe."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from integrations.language.errors import MAX_PROBLEMS, Problem
from integrations.language.source import line_and_column
from integrations.language.values import dump, load

_SPACES = " \t\r\n\xa0\ufeff"
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*+"')
_TYPOGRAPHIC = re.compile(r'[“”„](?:[^"“”„\\\x00-\x1f]|\\.)*+["“”„]')
_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_GAP = re.compile(r"[ \t\r\n]*(?:,[ \t\r\n]*)?")
_COLON = re.compile(r"[ \t\r\n]*:[ \t\r\n]*")
_NOT_LINE_END = re.compile(r"[^\r\n]")
_EXAMPLE = re.compile(r"\b(?:request|response|example|body)\b", re.IGNORECASE)
# Keys that an example may have, too.
_COMMON = {"id", "name", "class", "description"}
_WHAT = {
    "comments": "without its comments",
    "commas": "without commas that nothing follows",
    "quotes": "with straight quotes for typographic ones",
    "spaces": "with plain spaces",
    "parts": "as one document made of its parts",
}


@dataclass(frozen=True)
class Mended:
    """The JSON that was made of a text, and `warnings` that say how; `origins` are its characters' places."""

    text: str
    source: str
    origins: Sequence[int]
    warnings: tuple[Problem, ...] = ()

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """The line and column, in the text as it was written, of a character of the JSON."""
        return line_and_column(self.source, self.origins[offset])


def mend(source: str, keys: Collection[str], depth: int) -> Mended | None:
    """What a text that is not JSON means, or None if that is not certain.

    Comments and commas that nothing follows are left out, and typographic quotes around a text are straight.
    Several parts become one document: members and objects with some of `keys` side by side, models (objects
    with `event_type`) in a list under `Webhook`. An object after a comment that calls it the example of a
    request is left out. Raises nothing; the JSON has at most `depth` levels.
    """
    try:
        return _mended(source, keys, depth)
    except (ValueError, RecursionError):
        return None


def _mended(source: str, keys: Collection[str], depth: int) -> Mended:
    text, done, comments = _replaced(source)
    origins: Sequence[int] = range(len(text) + 1)
    warnings = []
    body = text.strip()
    found, end = json.JSONDecoder().raw_decode(body)
    if not isinstance(found, dict) or end < len(body) or "event_type" in found:
        done.append("parts")
        text, origins, examples = _joined(text, comments, keys)
        for offset in examples[:MAX_PROBLEMS]:
            line, column = line_and_column(source, offset)
            reason = "This object is an example of a request, not a part of the template, and is left out."
            warnings.append(Problem("", reason, "", line, column, "warning"))
    shown = json.dumps(json.loads(dump(load(text, depth=depth))), indent=2, ensure_ascii=False)
    how = f"This is not JSON. It was read {', '.join(_WHAT[item] for item in done)}:"
    return Mended(text, source, origins, (Problem("", how, "", 1, 1, "warning", document=shown), *warnings))


def _replaced(source: str) -> tuple[str, list[str], dict[int, str]]:
    """A text of the same length, what was replaced in it, and the comments, by where they end."""
    found, done = list(source), set()
    comments: dict[int, str] = {}
    position, comma = 0, -1
    while position < len(source):
        character = source[position]
        if character in _SPACES:
            if character not in " \t\r\n":
                found[position] = " "
                done.add("spaces")
            position += 1
        elif comment := _COMMENT.match(source, position):
            found[position : comment.end()] = _NOT_LINE_END.sub(" ", comment[0])
            comments[comment.end()] = comment[0]
            done.add("comments")
            position = comment.end()
        else:
            text = _STRING.match(source, position) or _TYPOGRAPHIC.match(source, position)
            if text is None and character in '"“”„/':
                raise ValueError("A text or a comment has no end.")
            if text is not None and character != '"':
                found[position] = found[text.end() - 1] = '"'
                done.add("quotes")
            if character in "]}" and comma >= 0:
                found[comma] = " "
                done.add("commas")
            comma = position if character == "," else -1
            position = text.end() if text else position + 1
    if comma >= 0:
        found[comma] = " "
        done.add("commas")
    return "".join(found), [item for item in _WHAT if item in done], comments


def _joined(text: str, comments: dict[int, str], keys: Collection[str]) -> tuple[str, list[int], list[int]]:
    """One document of several parts, the places of its characters, and those of examples, which it lacks."""
    members, models, examples = [], [], []
    decoder, position, ends = json.JSONDecoder(), 0, list(comments)
    while (begin := _end(_GAP, text, position)) < len(text):
        value, end = decoder.raw_decode(text, begin)
        last = ends[bisect.bisect_right(ends, begin) - 1] if ends else -1
        comment = comments[last] if position <= last <= begin else ""
        position = end
        if isinstance(value, str):
            position = decoder.raw_decode(text, _end(_COLON, text, end))[1]
            members.append((begin, position))
        elif not isinstance(value, dict):
            raise ValueError("This is no part of a document.")
        elif "event_type" in value:
            models.append((begin, end))
        elif _EXAMPLE.search(comment) and not value.keys() & (set(keys) - _COMMON):
            examples.append(begin)
        elif value.keys() & set(keys):
            members.append((begin + 1, end - 1))
        else:
            raise ValueError("Nobody knows what this object is.")
    if not members and not models:
        raise ValueError("There is nothing but examples.")
    found, origins = "", [0]

    def add(part: str, places: Sequence[int]) -> None:
        nonlocal found
        found += part
        origins[-1:] = [*places, places[-1] + 1]

    first = members[0][0] if members else models[0][0]
    add("{", [first])
    for index, (begin, end) in enumerate(members):
        add("," * bool(index) + text[begin:end], [*[begin] * bool(index), *range(begin, end)])
    for index, (begin, end) in enumerate(models):
        glue = "," if index else ("," * bool(members)) + '"Webhook":['
        add(glue + text[begin:end], [*[begin] * len(glue), *range(begin, end)])
    add(("]" if models else "") + "}", [origins[-1]] * (2 if models else 1))
    return found, origins, examples


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    """Where a match that begins at a position ends; raises ValueError if there is none."""
    match = pattern.match(text, position)
    if match is None:
        raise ValueError("Something is missing between two parts.")
    return match.end()
