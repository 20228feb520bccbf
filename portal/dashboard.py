"""The admin's first page: where a newcomer is led, and how the day goes for the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

# Rooms further up add what they know: functions of a user that give figures, or steps and if they are done.
figures: list[Callable[[Any], list[dict[str, Any]]]] = []
steps: list[Callable[[Any], list[dict[str, Any]]]] = []


def callback(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the template of the first page is given."""
    context["steps"] = [step for give in steps for step in give(request.user)]
    context["figures"] = [figure for give in figures for figure in give(request.user)]
    context["all_done"] = all(step["done"] for step in context["steps"])
    return context
