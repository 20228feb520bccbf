from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from integrations.language.filters import FILTERS
from integrations.language.values import Number, Table, dump

PAGE = Path("docs/reference/filters.md")
HEAD = """# Filters

A filter follows a bar in a placeholder: `$to|digits$`, `$text|truncate:160$`. Filters are pure: unset stays
unset unless the rule says otherwise, what a filter cannot do gives unset, and text filters take lists by
element. This page is made from the code by `python manage.py document_filters`.

| filter | what it does | example |
|---|---|---|
"""


def page() -> str:
    """The reference page of all filters."""
    rows = []
    for name, item in sorted(FILTERS.items()):
        value, arguments, result = item.example
        call = f"{name}{''.join(':' + _argument(argument) for argument in arguments)}"
        example = " → ".join(f"`{_cell(part)}`" for part in (_shown(value), call, _shown(result)))
        rows.append(f"| `{name}` | {_cell(item.doc)} | {example} |")
    return HEAD + "\n".join(rows) + "\n"


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, bytes) else dump(value)


def _argument(argument: Any) -> str:
    """As templates write it: a number, or a text in quotes; a table by its name."""
    if isinstance(argument, Table):
        return "'table'"
    if isinstance(argument, str) and not isinstance(argument, Number):
        return "'" + argument.replace("'", "''") + "'"
    return _shown(argument)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


class Command(BaseCommand):
    help = "Writes docs/reference/filters.md from the registry of filters."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        (settings.BASE_DIR / PAGE).write_text(page())
