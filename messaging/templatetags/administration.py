"""Template tags for the pages of the administration."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.utils.safestring import SafeString

from messaging.reporting import charts

register = template.Library()


@register.simple_tag
def bars(hours: Sequence[charts.Hour], label: str) -> SafeString:
    """A small bar chart by the hour, as SVG; `label` introduces its text for screen readers."""
    return charts.svg(hours, label)
