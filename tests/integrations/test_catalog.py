"""Each folder of the catalogue has all its parts, and its cases hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from integrations import cases, catalog
from integrations.language.document import Template, compile_document
from integrations.language.values import dump, load

FOLDERS = [catalog.FOLDER / slug for slug in catalog.slugs()]
ALWAYS = ("text", "long-text", "picture", "receive-text", "unknown-event", "refusal", "throttling")
HEADINGS = (
    "## At ",
    "## In Patchbay",
    "## Limits",
    "## Statuses and errors",
    "## Language features",
    "## Sources",
    "## Not confirmed",
)


def missing_parts(folder: Path) -> list[str]:
    """What a folder of the catalogue lacks; the template says which cases it needs."""
    wanted = ["README.md", "logo.svg"]
    template = template_of(folder)
    kinds = {event.type for event in template.webhook.events}
    names = [*ALWAYS]
    names += ["credentials"] if "CheckCredentials" in template.methods else []
    names += ["receive-picture"] if "mms" in kinds else []
    names += ["statuses"] if any(kind.startswith("message") and kind != "message" for kind in kinds) else []
    names += ["bad-signature"] if _signed(template) else []
    return [
        part for part in (*wanted, *(f"cases/{name}.json" for name in names)) if not (folder / part).is_file()
    ]


def missing_headings(text: str) -> list[str]:
    """Which chapters the README of a folder lacks, or has in another order."""
    found = [heading for line in text.splitlines() for heading in HEADINGS if line.startswith(heading)]
    return (
        [] if found == list(HEADINGS) else [heading for heading in HEADINGS if heading not in found] or found
    )


def _signed(template: Template) -> bool:
    document = template.document.get("Webhook")
    return isinstance(document, dict) and "verify" in document


@cache
def template_of(folder: Path) -> Template:
    return compile_document((folder / "template.json").read_text())


@cache
def all_cases(folder: Path) -> tuple[dict[str, Any], ...]:
    found: list[dict[str, Any]] = []
    for file in sorted((folder / "cases").glob("*.json")):
        held = load(file.read_text())
        found += held if isinstance(held, list) else [held]
    return tuple(found)


def events_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    webhook = document.get("Webhook", [])
    events: list[dict[str, Any]] = webhook["events"] if isinstance(webhook, dict) else webhook
    return events


def test_the_catalogue_holds_twenty_services() -> None:
    assert len(FOLDERS) >= 20


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_has_all_its_parts(folder: Path) -> None:
    assert missing_parts(folder) == []


def test_a_part_that_lacks_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "template.json").write_text((catalog.FOLDER / "twilio" / "template.json").read_text())
    assert missing_parts(tmp_path) == [
        "README.md",
        "logo.svg",
        *(f"cases/{name}.json" for name in ALWAYS),
        "cases/credentials.json",
        "cases/receive-picture.json",
        "cases/statuses.json",
        "cases/bad-signature.json",
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_readme_has_its_chapters(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    assert missing_headings(text) == []
    assert text.startswith("# ")


def test_a_chapter_that_lacks_is_noticed() -> None:
    text = "\n".join(f"{heading}X" for heading in HEADINGS)
    assert missing_headings(text) == []
    assert missing_headings(text.replace("## Limits", "## Bounds")) == ["## Limits"]


def cases_in(folder: Path, name: str) -> list[dict[str, Any]]:
    held = load((folder / "cases" / f"{name}.json").read_text())
    return held if isinstance(held, list) else [held]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_cases_are_what_their_names_say(folder: Path) -> None:
    assert any({"media", "url", "urls"} & {*case["message"]} for case in cases_in(folder, "picture"))
    assert any(len(case["message"]["content"]) > 1000 for case in cases_in(folder, "long-text"))
    assert any(
        case["outcome"]["result"] == "failed" and {"json", "text", "xml", "form"} & {*case["responses"][-1]}
        for case in cases_in(folder, "refusal")
    )
    assert any(case["outcome"]["result"] == "throttled" for case in cases_in(folder, "throttling"))
    unknown = cases_in(folder, "unknown-event")
    assert unknown and all(not case["expect"].get("events") for case in unknown)
    if (folder / "cases" / "receive-picture.json").is_file():
        events = [event for case in cases_in(folder, "receive-picture") for event in case["expect"]["events"]]
        assert "mms" in {event["type"] for event in events}
    if (folder / "cases" / "bad-signature.json").is_file():
        answers = [case["expect"]["response"]["status"] for case in cases_in(folder, "bad-signature")]
        assert {str(answer) for answer in answers} == {"401"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_cases_hold(folder: Path) -> None:
    assert [
        (result.name, result.difference) for result in cases.run_folder(folder) if not result.passed
    ] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_template_is_named_as_its_folder_and_has_no_warnings(folder: Path) -> None:
    template = template_of(folder)
    assert (template.id, template.warnings) == (folder.name, ())
    assert template.description


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_word_of_a_status_map_has_a_case(folder: Path) -> None:
    """Without one of its words, or if an unknown word had a meaning, some case fails."""
    document = json.loads((folder / "template.json").read_text())
    received = [case for case in all_cases(folder) if case["kind"] == "receive"]
    for words in [event["status_map"] for event in events_of(document) if "status_map" in event]:
        for word in list(words):
            status = words.pop(word)
            assert _fails(document, received, word), f"no case needs the status {word!r}"
            words[word] = status
        if "*" not in words:
            words["*"] = "sent"
            assert _fails(document, received), "no case has an unknown status"
            del words["*"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_row_of_a_table_has_a_case(folder: Path) -> None:
    """If one of its rows read differently, some case fails."""
    document = json.loads((folder / "template.json").read_text())
    tables = document.get("tables", {})
    rows = [(name, word, words) for name, table in tables.items() for word, words in table.items()]
    for number, (name, word, words) in enumerate(rows):
        tables[name][word] = f"{words} (row {number})"
    template = compile_document(document)
    shown = "\n".join(cases.run(template, case) for case in all_cases(folder))
    for number, (name, word, _) in enumerate(rows):
        assert f"(row {number})" in shown, f"no case needs {word!r} of the table {name}"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_blank_text_and_a_number_without_plus_are_tried(folder: Path) -> None:
    texts = [
        (dump(case["request"]), event)
        for case in cases_in(folder, "receive-text")
        for event in case["expect"].get("events", [])
        if event["type"] == "message"
    ]
    assert any(not event.get("content") for _, event in texts)
    assert any(event["from"] not in sent and event["from"][1:] in sent for sent, event in texts)


def lists(shape: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where a shape has a list of objects, of each of which it makes an event."""
    if isinstance(shape, list) and any(
        "$messageid$" in dump(item) or "$status$" in dump(item) for item in shape
    ):
        yield place
    elif isinstance(shape, dict):
        for key, item in shape.items():
            yield from lists(item, (*place, key))


def batch(request: dict[str, Any], place: tuple[str, ...]) -> list[Any]:
    found: Any = request.get("json", json.loads(request.get("text", "null")))
    for key in place:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, list) else []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_batch_is_tried_with_an_element_that_is_not_known(folder: Path) -> None:
    """The others are read all the same."""
    document = json.loads((folder / "template.json").read_text())
    received = [case for case in all_cases(folder) if case["kind"] == "receive" and "request" in case]
    for event in events_of(document):
        for place in lists(event.get("request_parameters")):
            assert any(
                len(batch(case["request"], place)) > len(case["expect"].get("events", [])) > 0
                for case in received
            ), f"no case has such a batch at /{'/'.join(place)}"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_text_is_tried_with_quotes_a_new_line_and_an_emoji(folder: Path) -> None:
    sent = [
        case.get("message", {}).get("content", "") for case in all_cases(folder) if case["kind"] == "send"
    ]
    assert any('"' in text and "\n" in text and any(ord(c) > 0xFFFF for c in text) for text in sent)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_logo_is_a_small_drawing_that_runs_nothing(folder: Path) -> None:
    source = (folder / "logo.svg").read_text()
    assert len(source) < 4096
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(source).iter()}
    assert tags <= {"svg", "title", "rect", "circle", "path", "text", "g", "polygon", "line", "ellipse"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_change_to_any_event_of_a_template_fails_a_case(folder: Path, tmp_path: Path) -> None:
    """The cases see every event and every method: without one of them, some case fails."""
    document = json.loads((folder / "template.json").read_text())
    found = all_cases(folder)
    webhook, events = document.get("Webhook", []), events_of(document)
    for index in range(len(events)):
        fewer = [*events[:index], *events[index + 1 :]]
        changed = {
            **document,
            "Webhook": {**webhook, "events": fewer} if isinstance(webhook, dict) else fewer,
        }
        assert _fails(changed, found, "receive"), f"no case needs event {index}"
    for method in document.get("API", {}):
        fewer_methods = {name: item for name, item in document["API"].items() if name != method}
        assert _fails({**document, "API": fewer_methods}, found, method), f"no case needs {method}"


def _fails(document: dict[str, Any], found: Iterable[dict[str, Any]], word: str = "") -> bool:
    """Whether a case fails; those with the word, which are likely to, are run first."""
    template = compile_document(document)
    return any(cases.run(template, case) for case in sorted(found, key=lambda case: word not in repr(case)))
