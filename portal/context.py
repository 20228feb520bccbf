"""Context for all templates."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext


def lab_banner(request: HttpRequest) -> dict[str, Any]:
    """The origins that the address guard allows, for the banner of lab mode.

    For operators, who have set them: to others the names of machines within say too much, and nothing of use.
    """
    operator = getattr(getattr(request, "user", None), "is_operator", False)
    return {"allowed_origins": settings.PATCHBAY_ALLOWED_ORIGINS if operator else []}


def admin_label(request: HttpRequest) -> list[str] | None:
    """The label that the admin shows in lab mode."""
    return [gettext("Lab mode"), "warning"] if settings.PATCHBAY_ALLOWED_ORIGINS else None
