"""Each folder of the catalogue has all its parts, and its cases hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from integrations import cases, catalog
from integrations.language.document import Template, compile_document
from integrations.language.values import load

FOLDERS = [catalog.FOLDER / slug for slug in catalog.slugs()]
ALWAYS = ("text", "long-text", "receive-text", "unknown-event", "refusal", "throttling")


def missing_parts(folder: Path) -> list[str]:
    """What a folder of the catalogue lacks; the template says which cases it needs."""
    wanted = ["README.md", "logo.svg"]
    template = compile_document((folder / "template.json").read_text())
    kinds = {event.type for event in template.webhook.events}
    names = [*ALWAYS]
    names += ["picture"] if "SendFile" in template.methods else []
    names += ["credentials"] if "CheckCredentials" in template.methods else []
    names += ["receive-picture"] if "mms" in kinds else []
    names += ["statuses"] if any(kind.startswith("message") and kind != "message" for kind in kinds) else []
    names += ["bad-signature"] if _signed(template) else []
    return [
        part for part in (*wanted, *(f"cases/{name}.json" for name in names)) if not (folder / part).is_file()
    ]


def _signed(template: Template) -> bool:
    document = template.document.get("Webhook")
    return isinstance(document, dict) and "verify" in document


def all_cases(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for file in sorted((folder / "cases").glob("*.json")):
        held = load(file.read_text())
        found += held if isinstance(held, list) else [held]
    return found


def test_the_catalogue_holds_ten_services() -> None:
    assert len(FOLDERS) >= 10


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
        "cases/picture.json",
        "cases/credentials.json",
        "cases/receive-picture.json",
        "cases/statuses.json",
        "cases/bad-signature.json",
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_cases_hold(folder: Path) -> None:
    assert [
        (result.name, result.difference) for result in cases.run_folder(folder) if not result.passed
    ] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_template_is_named_as_its_folder_and_has_no_warnings(folder: Path) -> None:
    template = compile_document((folder / "template.json").read_text())
    assert (template.id, template.warnings) == (folder.name, ())
    assert template.description


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_word_of_a_status_map_has_a_case(folder: Path) -> None:
    """By the status or the refusal that the cases expect: no status of Patchbay's may go untested."""
    template = compile_document((folder / "template.json").read_text())
    mapped = {
        status
        for event in template.webhook.events
        if event.status_map is not None
        for status in event.status_map.entries.values()
    }
    shown = {
        event.get("status")
        for case in all_cases(folder)
        if case["kind"] == "receive"
        for event in case["expect"].get("events", [])
    }
    assert mapped - shown == set()


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
    webhook = document.get("Webhook", [])
    events = webhook["events"] if isinstance(webhook, dict) else webhook
    for index in range(len(events)):
        fewer = [*events[:index], *events[index + 1 :]]
        changed = {
            **document,
            "Webhook": {**webhook, "events": fewer} if isinstance(webhook, dict) else fewer,
        }
        assert _fails(folder, changed), f"no case needs event {index}"
    for method in document.get("API", {}):
        fewer_methods = {name: item for name, item in document["API"].items() if name != method}
        assert _fails(folder, {**document, "API": fewer_methods}), f"no case needs {method}"


def _fails(folder: Path, document: dict[str, Any]) -> bool:
    template = compile_document(document)
    return any(cases.run(template, case) for case in all_cases(folder))
