"""A new template from something: each begins as a draft, which nobody uses until it is published."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from django.db import transaction

from integrations.language.renaming import renamed
from integrations.models import Template, TemplateCase
from integrations.models.studio import named_apart
from integrations.studio.cases import results
from portal.models import Account, User

SAMPLE = Path(__file__).with_name("sample.jsonc")


def blank(service_id: str, name: str) -> str:
    """A document that can be saved and does nothing yet, for what is built by example."""
    return json.dumps({"id": service_id, "name": name, "API": {}}, indent=2, ensure_ascii=False)


def sample(service_id: str, name: str) -> str:
    """A document of a provider that does not exist, with comments."""
    return renamed(SAMPLE.read_text(), service_id, name)


def begin(
    account: Account | None, source: str, author: User, cases: Iterable[tuple[str, str]] = ()
) -> Template:
    """A template with only a draft, and its cases by name; without an account, a built-in one.

    Raises DocumentError for a wrong document, and ValidationError for an id that is taken.
    """
    template = Template(account=account)
    with transaction.atomic():
        template.save_draft(source, author)
        TemplateCase.objects.bulk_create(
            [TemplateCase(template=template, name=name, source=case) for name, case in cases]
        )
    return template


def copy(original: Template, account: Account | None, service_id: str, name: str, author: User) -> Template:
    """A template with the latest document of another under a new id and name, and its cases.

    Raises what `begin` raises.
    """
    # The drafts of built-in templates are for operators.
    latest = original.latest if original.account_id else original.published or original.draft
    assert latest is not None
    source = renamed(latest.source, service_id, name)
    return begin(account, source, author, _named_apart(original))


def _named_apart(original: Template) -> list[tuple[str, str]]:
    """The cases, whose names must differ within a template; the catalogue's need not."""
    found: dict[str, str] = {}
    for name, source, _row in results.sources(original):
        found[named_apart(name, found)] = source
    return list(found.items())
