"""The documentation: its templates compile, its commands exist, its generated pages are fresh."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from integrations.language.document import compile_document
from integrations.management.commands.document_language import pages
from tests.processes import ROOT

PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("integrations/catalog/*/README.md")]
)
BLOCKS = [
    (path, block)
    for path in PAGES
    for block in re.findall(r"```json\n(.*?)```", path.read_text(), re.DOTALL)
    if '"id":' in block and '"name":' in block
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist(path: Path) -> None:
    text = path.read_text()
    for script in re.findall(r"(?:^|[\s`])\./([a-z]+)", text):
        assert (ROOT / script).exists() or script == "data", script  # the folder is made by the first start
    for command in re.findall(r"manage\.py ([a-z_]+)", text):
        known = [*ROOT.glob(f"*/management/commands/{command}.py")]
        assert known or command in ("check", "createsuperuser", "runserver"), command


@pytest.mark.parametrize(("path", "block"), BLOCKS)
def test_templates_compile(path: Path, block: str) -> None:
    assert compile_document(block).id == json.loads(block)["id"]


def test_generated_pages_are_fresh() -> None:
    for path, text in pages().items():
        assert (ROOT / path).read_text() == text, "Renew it: python manage.py document_language"


def test_the_compose_file_names_what_exists() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert set(services) == {"db", "redis", "install", "web", "proxy", "worker", "beat"}
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"]
    for volume in services["proxy"]["volumes"]:
        source = volume.partition(":")[0]
        assert (ROOT / source).exists() or source in volumes, source
    assert services["install"]["command"] == ["python", "manage.py", "install"]
    for service in ("install", "worker", "beat"):
        assert services[service]["environment"]["DATABASE_URL"].startswith("postgresql://")
        assert services[service]["env_file"] == ".env"  # each setting can be set there
        fixed = {name for name, value in services[service]["environment"].items() if "${" not in str(value)}
        assert fixed == {"REDIS_URL", "PATCHBAY_HEARTBEAT"}  # what stands here hides what stands there
