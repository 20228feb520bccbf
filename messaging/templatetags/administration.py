"""What the pages of the administration draw and link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template
from django.utils.safestring import SafeString

from messaging.reporting import charts

register = template.Library()


@register.simple_tag
def older_url(cl: Any) -> str:
    """Where a list that is too long to be counted goes on."""
    return str(cl.get_query_string({"before": cl.paginator.last_key}, ["p"]))


@register.simple_tag
def bars(hours: Sequence[charts.Hour], label: str) -> SafeString:
    """A small chart of hours, as an SVG that says in `label` what it shows."""
    return charts.svg(hours, label)
