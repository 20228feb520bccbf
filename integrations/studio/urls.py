"""The pages of the studio, below the template's own in the administration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.urls import URLPattern, path

from integrations.studio import (
    capture_views,
    cases_page,
    document,
    example_page,
    preview_page,
    publish_page,
)

PAGES: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
    "example": ("example/", example_page.build),
    "document": ("", document.edit),
    "check": ("check/", document.check),
    "captures": ("captures/", capture_views.index),
    "capture": ("captures/<int:capture>/", capture_views.capture),
    "capture_changes": ("captures/<int:capture>/changes/", capture_views.changes),
    "preview": ("preview/", preview_page.show),
    "cases": ("cases/", cases_page.listed),
    "case_add": ("cases/add/", cases_page.add),
    "case": ("cases/<int:case>/", cases_page.edit),
    "case_delete": ("cases/<int:case>/delete/", cases_page.delete),
    "publish": ("publish/", publish_page.review),
}


def studio_urls(wrap: Callable[[Any], Any]) -> list[URLPattern]:
    """The URLs; `wrap` is what the administration guards its views with."""
    return [
        path(f"<int:pk>/studio/{route}", wrap(view), name=f"integrations_studio_{name}")
        for name, (route, view) in PAGES.items()
    ]
