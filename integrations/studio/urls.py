"""The pages of the studio, below the template's own in the administration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.urls import URLPattern, path

from integrations.studio.captures import views as captures
from integrations.studio.cases import views as cases
from integrations.studio.editor import views as editor
from integrations.studio.example import views as example
from integrations.studio.preview import views as preview
from integrations.studio.publish import views as publish
from integrations.studio.trial import views as trial

PAGES: dict[str, tuple[str, Callable[..., HttpResponse]]] = {
    "example": ("example/", example.build),
    "document": ("", editor.edit),
    "check": ("check/", editor.check),
    "captures": ("captures/", captures.index),
    "capture": ("captures/<int:capture>/", captures.capture),
    "capture_changes": ("captures/<int:capture>/changes/", captures.changes),
    "preview": ("preview/", preview.show),
    "cases": ("cases/", cases.listed),
    "case_add": ("cases/add/", cases.add),
    "case": ("cases/<int:case>/", cases.edit),
    "case_delete": ("cases/<int:case>/delete/", cases.delete),
    "trial": ("trial/", trial.of_template),
    "publish": ("publish/", publish.review),
}


def studio_urls(wrap: Callable[[Any], Any]) -> list[URLPattern]:
    """The URLs; `wrap` is what the administration guards its views with."""
    return [
        path(f"<int:pk>/studio/{route}", wrap(view), name=f"integrations_studio_{name}")
        for name, (route, view) in PAGES.items()
    ]
