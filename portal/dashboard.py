"""The admin's first page: where a newcomer is led, and how the day goes for the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

# Rooms further up add what they know: functions of a user that give `steps` (with what is done), `problems`
# (a text and where to see to it), `figures`, and what else their part of the page shows.
parts: list[Callable[[Any], dict[str, Any]]] = []


def callback(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the template of the first page is given."""
    for part in parts:
        context.update(part(request.user))
    context["all_done"] = all(step["done"] for step in context.get("steps", []))
    return context
