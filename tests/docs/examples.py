"""The examples of the documentation: what a fenced block's info string says is what is tried with it.

```json template   a whole document: it compiles, without a warning
```json part       some keys of a document; PLAIN gives those that are not there
```json refused    such a part under "part", and "says": the whole list of what is wrong with it
```json case       a case, or a list of them: it passes with the template or part that stands before it
```json render     "shape" rendered with "variables" gives "result"
```json match      "shape" matched with "document" binds "binds" (in lists: one object for each event)
```json condition  "condition" with "variables": it "holds", or not
```json file=NAME  the text of a file for the commands of the page
```console         commands behind "$ ", each followed by exactly what it prints
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management import CommandError, call_command

from integrations import cases
from integrations.language.conditions import compile_condition
from integrations.language.document import Template, compile_document
from integrations.language.errors import DocumentError
from integrations.language.matching import compile_match
from integrations.language.names import BOUND, SENDING
from integrations.language.scope import Scope
from integrations.language.shapes import compile_render
from integrations.language.values import Table, Value, dump, load

PLAIN: dict[str, Value] = {
    "id": "acme",
    "name": "Acme",
    "properties": ["API key"],
    "API": {"SendMessage": {"request_url": "https://api.example.com/messages"}},
}
_FENCE = re.compile(r"^( *)```(\w*) *(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A fenced block: the page and line where it stands, its language, the words after it, its text."""

    path: Path
    line: int
    language: str
    words: str
    source: str

    @property
    def place(self) -> str:
        return f"{self.path.name}:{self.line}"


def examples(path: Path) -> Iterator[Example]:
    """The blocks of a page, in order."""
    page = path.read_text()
    for found in _FENCE.finditer(page):
        indent, language, words, source = found.groups()
        line = page.count("\n", 0, found.start()) + 1
        yield Example(path, line, language, words.strip(), re.sub(rf"^{indent}", "", source, flags=re.M))


def check(example: Example, before: Example | None) -> None:
    """Tries one JSON example; a case is tried with the template or part before it."""
    if example.words == "template" or example.words == "part":
        assert template_of(example).warnings == ()
    elif example.words == "case":
        assert before is not None, "A case follows a template or a part."
        found = load(example.source)
        for case in found if isinstance(found, list) else [found]:
            assert cases.run(template_of(before), case) == ""
    else:
        _CHECKS[example.words](load(example.source))


def template_of(example: Example) -> Template:
    return compile_document(example.source if example.words == "template" else whole(load(example.source)))


def whole(part: Mapping[str, Value]) -> dict[str, Value]:
    return {**PLAIN, **part}


def _refused(example: Mapping[str, Value]) -> None:
    try:
        problems = list(compile_document(whole(example["part"])).warnings)
    except DocumentError as error:
        problems = error.problems
    assert [str(problem) for problem in problems] == example["says"]


def _scope(example: Mapping[str, Value]) -> Scope:
    tables = {name: Table(entries) for name, entries in example.get("tables", {}).items()}
    labels = {name: False for name in example.get("variables", {}) if name not in SENDING}
    return Scope(labels, tables, [], names=dict.fromkeys(SENDING, True))


def _render(example: Mapping[str, Value]) -> None:
    scope = _scope(example)
    render = compile_render(example["shape"], scope, "")
    assert scope.problems == []
    assert dump(render(example["variables"])) == dump(example["result"])


def _match(example: Mapping[str, Value]) -> None:
    known = example.get("known", {})
    scope = Scope(dict.fromkeys(known, False), {}, [], bindable=BOUND)
    frames = [dict(known)]
    reason = compile_match(example["shape"], scope, "", elements=example.get("elements", "all"))(
        example["document"], frames
    )
    assert scope.problems == []
    if "says" in example:
        assert reason == example["says"]
        return
    assert reason == ""
    expected = example["binds"] if isinstance(example["binds"], list) else [example["binds"]]
    bound = [{name: value for name, value in frame.items() if name not in known} for frame in frames]
    assert dump(bound) == dump(expected)


def _condition(example: Mapping[str, Value]) -> None:
    scope = _scope(example)
    holds = compile_condition(example["condition"], scope, "")
    assert scope.problems == []
    assert holds(example["variables"]) is example["holds"]


_CHECKS = {"refused": _refused, "render": _render, "match": _match, "condition": _condition}
KINDS = ["template", "part", "case", *_CHECKS]


def write(example: Example) -> None:
    """Writes a `file=NAME` block below the current directory."""
    file = Path(example.words.removeprefix("file="))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(example.source)


def session(example: Example) -> None:
    """Runs the commands of a console block, and compares what they print."""
    for step in re.split(r"^\$ ", example.source, flags=re.MULTILINE)[1:]:
        command, _, expected = step.partition("\n")
        assert printed(shlex.split(command.replace("\\\n", " "))) == expected.rstrip("\n"), command


def printed(words: list[str]) -> str:
    """What a command prints, as a terminal shows it."""
    if words[0] == "mkdir":
        for name in words[1:]:
            if not name.startswith("-"):
                Path(name).mkdir(parents=True, exist_ok=True)
        return ""
    assert words[:2] == ["python", "manage.py"], words
    out = io.StringIO()
    with redirect_stdout(out):
        try:
            call_command(*words[2:], stdout=out, stderr=out)
        except CommandError as error:
            print(f"CommandError: {error}")
        except SystemExit:
            pass
    return out.getvalue().rstrip("\n")


def run(blocks: list[Any]) -> None:
    """A page's files and commands, in order, in the current directory."""
    for example in blocks:
        if example.words.startswith("file="):
            write(example)
        elif example.language == "console":
            session(example)
