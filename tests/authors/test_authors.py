"""Templates that were written with the reference alone: services that are not in the catalogue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import call_command

from integrations import catalog

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent for path in HERE.glob("*/template.json"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_template_needs_no_repair(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("template", "check", str(folder))
    assert capsys.readouterr().out == f"{folder / 'template.json'}: no problems.\n"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_its_cases_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = [json.loads(file.read_text()) for file in folder.glob("cases/*.json")]
    call_command("template", "test", str(folder), "--json")
    shown = json.loads(capsys.readouterr().out)
    assert (shown["passed"], shown["failed"]) == (sum(map(len, written)), 0)
    assert {case["kind"] for cases in written for case in cases} == {"send", "receive"}


def test_they_are_what_the_catalogue_lacks() -> None:
    assert [folder.name for folder in FOLDERS] == ["bulksms", "clockwork", "smsglobal", "surge"]
    assert not {folder.name for folder in FOLDERS} & {path.name for path in catalog.FOLDER.iterdir()}
