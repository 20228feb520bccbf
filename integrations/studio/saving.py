"""Saves what an author wrote, unless somebody else has saved meanwhile what the author has not seen."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from integrations.models import Template, TemplateRevision
from integrations.models.templates import compiled_document
from portal.models import User

SHOWN = 2_000  # lines of a difference


@dataclass
class Overtaken(Exception):
    """An edit that is based on another revision than the `latest`, and was not saved.

    `meanwhile` is a sentence about the latest, where it is not that somebody else was faster.
    """

    latest: TemplateRevision
    source: str
    meanwhile: str = ""

    @property
    def sentence(self) -> str:
        """Who has saved or published what, and when."""
        if self.meanwhile:
            return self.meanwhile
        said = {
            "number": self.latest.number,
            "author": self.latest.author or "Patchbay",
            "time": date_format(timezone.localtime(self.latest.created_at), "j M, H:i"),
        }
        if self.latest == self.latest.template.published:
            return _("Revision %(number)d of %(author)s, saved on %(time)s, is published now.") % said
        return _("%(author)s saved draft %(number)d on %(time)s, while you were editing.") % said

    @property
    def lines(self) -> list[str]:
        """What the edit would change in the latest revision, as text; at most 2,000 lines."""
        theirs, mine = self.latest.source.splitlines(), self.source.splitlines()
        found = difflib.unified_diff(theirs, mine, lineterm="", n=3)
        return list(found)[2 : SHOWN + 2]


@transaction.atomic
def save(template: Template, source: str, author: User, based_on: int | None) -> TemplateRevision | None:
    """Saves a draft that is based on the revision with a number; None if the document has not changed.

    Without a number, nothing is known of what the author has seen, and it is saved. Raises Overtaken if there
    is a later revision, and else what `save_draft` raises.
    """
    compiled_document(source)  # before others have to wait
    template.lock()
    latest = template.latest
    if latest is not None and latest.source == source:
        return None
    if latest is not None and based_on is not None and latest.number != based_on:
        raise Overtaken(latest, source)
    return template.save_draft(source, author)


def based_on(request: HttpRequest, template: Template, overtaken: Overtaken | None) -> int:
    """The number of the revision that the author of a page has seen; 0 if there is none yet."""
    if overtaken is not None:
        return overtaken.latest.number
    posted = whole_number(request.POST.get("based"))
    if posted is not None:
        return posted
    return template.latest.number if template.latest is not None else 0


def whole_number(written: str | None) -> int | None:
    """The revision number that a form has sent; None for anything else."""
    return int(written) if written and written.isascii() and written.isdigit() and len(written) < 10 else None
