"""Logos of services: the catalogue's own drawings, and those that templates name, fetched once."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from django.core.files.base import ContentFile
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations import catalog, http, pictures
from integrations.events import Fault
from integrations.models import Template

MAX_BYTES = 1024 * 1024
SECONDS = 10


def refresh(template: Template, before: str) -> str:
    """Fetches the logo that the published document names; `before` is the URL that the one before it named.

    One that is there already is not fetched again, and one that is no longer named is dropped. Returns why
    there is no logo, in a sentence for who wrote the template, or "". It opens a connection: no transaction
    may be open then.
    """
    url = template.published.compiled.logo if template.published else ""
    if url == before and (template.logo or not url):
        return ""
    if template.logo:
        template.logo.delete(save=False)
    problem = _fetch(template, url) if url else ""
    template.save(update_fields=["logo"])
    return problem


def _fetch(template: Template, url: str) -> str:
    answer = http.fetch(url, max_bytes=MAX_BYTES, timeout=SECONDS)
    if isinstance(answer, Fault):
        reason = answer.text
    elif answer.status != 200:
        reason = _("the answer was %(status)d instead of a picture.") % {"status": answer.status}
    else:
        try:
            drawn = pictures.logo(answer.body)
        except pictures.NotDrawn as error:
            reason = _("%(reason)s (PNG, JPEG, GIF and WebP are read).") % {"reason": error}
        else:
            template.logo.save(f"{uuid4()}.png", ContentFile(drawn), save=False)
            return ""
    return _("The template is saved, but its logo could not be fetched: %(reason)s Save again to retry.") % {
        "reason": reason
    }


def read(template: Template) -> tuple[bytes, str]:
    """The logo and its media type. An SVG is only ever the catalogue's own. Raises FileNotFoundError."""
    if template.logo:
        with template.logo.open("rb") as file:
            return file.read(), "image/png"
    if path := _drawing(template):
        return path.read_bytes(), "image/svg+xml"
    raise FileNotFoundError


def url_of(template: Template) -> str:
    """Where the logo is shown to who is signed in, or ""."""
    if not (template.logo or _drawing(template)):
        return ""
    return f"{reverse('service_logo', args=[template.pk])}?v={template.published_id}"


def _drawing(template: Template) -> Path | None:
    return catalog.logo(template.service_id) if template.account_id is None else None
