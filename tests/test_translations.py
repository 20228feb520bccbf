"""The texts for people can be taken out for translators: makemessages finds nothing to complain about."""

from __future__ import annotations

import os
import re
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.processes import ROOT


@pytest.mark.skipif(
    shutil.which("xgettext") is None and os.environ.get("PATCHBAY_TEST_REQUIRE") != "all",
    reason="gettext is not installed",
)
def test_all_texts_can_be_taken_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    for app in ("portal", "integrations", "messaging"):
        # Also without what is made from sources: the bundled editor, whose words the page gives it.
        left = shutil.ignore_patterns("__pycache__", "node_modules", "editor.js")
        shutil.copytree(ROOT / app, tmp_path / app, ignore=left)
    settings.LOCALE_PATHS = [tmp_path / "locale"]
    settings.LOCALE_PATHS[0].mkdir()
    monkeypatch.chdir(tmp_path)
    for domain in ("django", "djangojs"):
        output = StringIO()
        call_command("makemessages", locale=["de"], domain=domain, stdout=output)
        assert output.getvalue() == "processing locale de\n"
    found = (tmp_path / "locale/de/LC_MESSAGES/django.po").read_text()
    texts = re.findall(r'^msgid(?:_plural)? ((?:".*"\n)+)', found, re.MULTILINE)
    assert len(texts) > 300
    # A translator can put two values in another order only if they have names.
    assert [text for text in texts if len(re.findall("%[a-z]|{}", text)) > 1] == []
