"""The pages of the studio, below the template's own in the administration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.urls import URLPattern, path

from integrations.studio import document, publish_page, trial_page

PAGES: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
    "document": ("", document.edit),
    "check": ("check/", document.check),
    "trial": ("trial/", trial_page.of_template),
    "publish": ("publish/", publish_page.review),
}


def studio_urls(wrap: Callable[[Any], Any]) -> list[URLPattern]:
    """The URLs; `wrap` is what the administration guards its views with."""
    return [
        path(f"<int:pk>/studio/{route}", wrap(view), name=f"integrations_studio_{name}")
        for name, (route, view) in PAGES.items()
    ]
