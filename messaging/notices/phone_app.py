"""What makes the inbox an app on a phone: manifest, service worker, and what is shown without a network."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

# What the pages of the inbox need. Kept by their content's digest, so that a new version is asked for.
KEPT = (
    "portal/portal.css",
    "portal/icon.svg",
    "django_htmx/htmx-2.min.js",
    "portal/search.js",
    "inbox/inbox.css",
    "inbox/segments.js",
    "inbox/live.js",
    "inbox/compose.js",
    "inbox/writing.css",
    "inbox/writing.js",
    "notices/notices.css",
    "notices/push.js",
    "notices/notify.js",
    "notices/offline.js",
)


@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    """What a phone asks when somebody installs the app."""
    sizes = (("icon-192.png", "192x192", "any"), ("icon-512.png", "512x512", "any"))
    content: dict[str, Any] = {
        "id": reverse("inbox"),
        "name": "Patchbay",
        "short_name": "Patchbay",
        "description": _("Read and write text messages."),
        "start_url": reverse("inbox"),
        "scope": "/",
        "display": "standalone",
        "background_color": "#f4f6f6",
        "theme_color": "#0f766e",
        "icons": [
            {"src": static(f"notices/{name}"), "sizes": size, "type": "image/png", "purpose": purpose}
            for name, size, purpose in (*sizes, ("maskable-512.png", "512x512", "maskable"))
        ],
        "shortcuts": [{"name": _("New message"), "url": reverse("inbox_new")}],
    }
    return HttpResponse(json.dumps(content), content_type="application/manifest+json")


@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:
    """The script that shows pushes and the offline page; it keeps static files, never pages with texts."""
    kept = [static(name) for name in KEPT]
    answer = render(
        request,
        "notices/worker.js",
        {"kept": json.dumps(kept), "offline": reverse("offline"), "icon": static("notices/icon-192.png")},
        content_type="text/javascript",
    )
    answer.headers["Service-Worker-Allowed"] = reverse("inbox")
    return answer


@require_safe
def offline(request: HttpRequest) -> HttpResponse:
    """What is shown in the place of a page while there is no network: the same for everybody."""
    return render(request, "notices/offline.html")
