"""The template tag of lists whose rows are counted only up to a limit."""

from __future__ import annotations

from typing import Any

from django import template

register = template.Library()


@register.simple_tag
def older_url(cl: Any) -> str:
    """The URL of the list that continues a capped one."""
    return str(cl.get_query_string({"before": cl.paginator.last_key}, ["p"]))
