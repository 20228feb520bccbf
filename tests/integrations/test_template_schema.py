"""The JSON Schema of templates, for the editors of anybody."""

from __future__ import annotations

import json

from django.test import Client

from integrations.language.json_schema import schema
from tests.processes import ROOT


def test_anybody_gets_the_schema(client: Client) -> None:
    answer = client.get("/schemas/template.json")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/schema+json")
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert "Set-Cookie" not in answer.headers and "Cookie" not in answer.headers.get("Vary", "")
    assert answer.json() == schema() == json.loads((ROOT / "docs/reference/template.schema.json").read_text())
    assert client.post("/schemas/template.json").status_code == 405
