"""The template filter of pages on which somebody has set up the second factor that was required."""

from __future__ import annotations

from django import template
from django.http import HttpRequest

from portal.account import demand

register = template.Library()


@register.filter
def goes_on(request: HttpRequest) -> bool:
    """Whether the page that somebody wanted waits until they have a second factor."""
    return demand.goes_on(request)
