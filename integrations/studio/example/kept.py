"""What was pasted to build a template by example, kept with its draft for 30 days, so that one can go on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from integrations.decoded import decoded
from integrations.models import PastedSamples, Template, TemplateRevision
from integrations.studio.example.forms import ExampleForm
from integrations.studio.example.without_credentials import without_credentials
from portal.models import Account

MAX_CHARACTERS = 1024 * 1024
BATCH = 100


def keep(template: Template, form: ExampleForm, revision: TemplateRevision) -> bool:
    """Keeps what a form has, without credentials, with the document that was made of it; False if not all.

    Samples in which a credential cannot be replaced are left out, and everything if it is larger than 1 MiB.
    """
    kept = without_credentials(form)
    fields, complete = kept.fields, not kept.left_out
    if sum(len(value) for values in fields.values() for value in values) > MAX_CHARACTERS:
        fields, complete = {}, False
    now = timezone.now()
    PastedSamples.objects.update_or_create(
        template=template, defaults={"revision": revision, "fields": fields, "saved_at": now}
    )
    return complete


def of(template: Template) -> PastedSamples | None:
    """What was pasted for a template, unless it is older than it is kept, or its encryption key is lost."""
    since = timezone.now() - PastedSamples.KEPT
    rows = PastedSamples.objects.filter(template=template, saved_at__gt=since)
    row = rows.select_related("revision").first()
    return row if row is not None and row.fields is not None else None


def forget(template: Template) -> None:
    """Deletes what was pasted for a template."""
    PastedSamples.objects.filter(template=template).delete()


def expire() -> None:
    """Deletes what is older than it is kept."""
    PastedSamples.objects.filter(saved_at__lte=timezone.now() - PastedSamples.KEPT).delete()


def erase(account: Account, pattern: re.Pattern[str]) -> int:
    """Deletes what was pasted for templates of the account where the pattern is found; returns how many.

    What cannot be decrypted any more may have it, and is of use to nobody: it is deleted, too.
    """
    rows = PastedSamples.objects.filter(template__account=account).iterator(BATCH)
    found = [row.pk for row in rows if row.fields is None or pattern.search(_text_of(row.fields))]
    PastedSamples.objects.filter(pk__in=found).delete()
    return len(found)


def _text_of(fields: Mapping[str, list[str]]) -> str:
    return decoded("\n".join(value for values in fields.values() for value in values))


@dataclass(frozen=True)
class Meanwhile:
    """A document that is not the one that was built here last; `based` is the revision that was, or 0."""

    based: int
    sentence: str


def meanwhile(template: Template, row: PastedSamples | None) -> Meanwhile | None:
    """What somebody has written since the template was built by example; None if building loses nothing."""
    latest = template.latest
    if latest is None or (row is not None and row.revision.source == latest.source):
        return None
    said = {
        "number": latest.number,
        "author": latest.author or "Patchbay",
        "time": date_format(timezone.localtime(latest.created_at), "j M, H:i"),
    }
    if row is not None:
        changed = _(
            "The document was changed after it was built here: revision %(number)d of %(author)s, %(time)s."
        )
        return Meanwhile(row.revision.number, changed % said)
    if not latest.compiled.methods and not latest.compiled.events:
        return None  # it is blank
    other = _(
        "The document was not built by what is on this page: revision %(number)d of %(author)s, %(time)s."
    )
    return Meanwhile(0, other % said)
