"""Logos of providers: the catalogue's own drawings, and those that templates name, fetched once."""

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
TIMEOUT = 10  # seconds


def refresh(template: Template, before: str) -> str:
    """Fetches the logo that the published document names; `before` is the URL in the previous document.

    A logo that is stored already is not fetched again, and one that is no longer named is deleted. Returns
    the problem, in a sentence for the template's author, or "". Opens a connection, so no transaction may be
    open.
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
    response = http.fetch(url, max_bytes=MAX_BYTES, timeout=TIMEOUT)
    if isinstance(response, Fault):
        reason = response.text
    elif response.status != 200:
        reason = _("The URL of the logo returned status %(status)d instead of a picture.") % {
            "status": response.status
        }
    else:
        try:
            drawn = pictures.logo(response.body)
        except (pictures.PictureError, OSError) as error:
            reason = str(error)
        else:
            try:
                template.logo.save(f"{uuid4()}.png", ContentFile(drawn), save=False)
            except OSError as error:
                reason = _("The logo cannot be stored (%(reason)s).") % {"reason": error.strerror or error}
            else:
                return ""
    told = _("The template is published without a logo. %(reason)s The next revision tries again.")
    return told % {"reason": reason}


def read(template: Template) -> tuple[bytes, str]:
    """The logo and its media type; only the catalogue's own logos are SVG. Raises FileNotFoundError."""
    if template.logo:
        with template.logo.open("rb") as file:
            return file.read(), "image/png"
    if path := _drawing(template):
        return path.read_bytes(), "image/svg+xml"
    raise FileNotFoundError


def url_of(template: Template) -> str:
    """The URL of the logo for users who are signed in, or ""."""
    if not (template.logo or _drawing(template)):
        return ""
    return f"{reverse('service_logo', args=[template.pk])}?v={template.published_id}"


def _drawing(template: Template) -> Path | None:
    return catalog.logo(template.service_id) if template.account_id is None else None
