"""The catalogue of built-in providers, each a folder of data."""

from __future__ import annotations

from pathlib import Path

from django.db import transaction

from integrations.models import Template, TemplateRevision

FOLDER = Path(__file__).parent


def slugs() -> list[str]:
    """The names of the folders."""
    return sorted(path.parent.name for path in FOLDER.glob("*/template.json"))


def source(slug: str) -> str:
    """The text of a built-in template."""
    return (FOLDER / slug / "template.json").read_text()


def logo(slug: str) -> Path | None:
    """The logo of a built-in provider."""
    path = FOLDER / slug / "logo.svg"
    return path if path.is_file() else None


def install() -> list[TemplateRevision]:
    """Updates the built-in templates; a changed document becomes a new, published revision."""
    changed = []
    for slug in slugs():
        text = source(slug)
        with transaction.atomic():
            built_in = (
                Template.objects.select_related("published").filter(account=None, service_id=slug).first()
            )
            if built_in is None:
                built_in = Template(account=None)
            if built_in.published is None or built_in.published.source != text:
                changed.append(built_in.revise(text))
    return changed
