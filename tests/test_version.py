"""The version stands once, in pyproject.toml, and what goes with a release follows it."""

from __future__ import annotations

import re
import tomllib

from portal import __version__
from tests.processes import ROOT


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == __version__
    assert versions[-1] == "0.1.0"


def test_the_lock_is_of_this_version() -> None:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    assert [found["version"] for found in packages if found["name"] == "patchbay"] == [__version__]


def test_the_container_has_what_the_version_is_read_from() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert "pyproject.toml" in " ".join(copied).split()
