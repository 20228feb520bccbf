"""A revision is compiled once in a process, however many organizations use it and messages it sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.language import document
from integrations.models import Integration, Template, TemplateRevision
from integrations.models.templates import compiled_document, compiled_revision
from portal.models import Account, Organization

DOCUMENT: dict[str, Any] = {
    "id": "counted",
    "name": "Counted",
    "API": {"SendMessage": {"request_url": "https://api.example.com/"}},
}


def test_compilation_happens_once_for_each_revision(
    account: Account, acme: Organization, globex: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled, compile_document = [], document.compile_document

    def counting(source: str) -> document.Template:
        compiled.append(source)
        return compile_document(source)

    compiled_document.cache_clear()
    compiled_revision.cache_clear()
    monkeypatch.setattr(document, "compile_document", counting)
    template = Template(account=account)
    for name in ("first", "second"):
        template.revise(json.dumps({**DOCUMENT, "name": name}))
    integrations = [
        Integration.objects.create(organization=item, template=template) for item in (acme, globex)
    ]
    for _ in range(10):
        for integration in integrations:
            assert Integration.objects.ready().get(pk=integration.pk).compiled.name == "second"
        for revision in TemplateRevision.objects.filter(template=template):
            assert revision.compiled.name == ("first", "second")[revision.number - 1]
    assert [json.loads(source)["name"] for source in compiled] == ["first", "second"]
