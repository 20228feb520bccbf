"""Build by example: samples of documentation become a draft. What is pasted is kept with it for a while."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters

from integrations.language.errors import DocumentError
from integrations.language.webhook_events import STATUSES
from integrations.models import CapturedRequest, Template
from integrations.studio import case_storage, saving
from integrations.studio.example import kept
from integrations.studio.example.forms import WEBHOOKS, ExampleForm, statuses_of, text_of
from integrations.studio.example.tree import done, missing, pasted
from integrations.studio.example.without_credentials import as_data
from integrations.studio.example.writing import laid_out
from integrations.studio.pages import page, template_of
from integrations.studio.saving import Overtaken, whole_number
from portal.administration.base import user_of
from portal.ids import key_of

SHOWN = 5


@sensitive_post_parameters()
def build(request: HttpRequest, pk: int) -> HttpResponse:
    """Shows what samples are understood to mean; saves the draft that they make, and its cases.

    What was pasted for the template before is filled in. If somebody has changed the document since, the page
    says so, and asks before it replaces it.
    """
    template = template_of(request, pk)
    latest = template.latest.compiled if template.latest else None
    known_as = (latest.id, latest.name) if latest else (template.service_id, template.name)
    row, do = kept.of(template), request.POST.get("do", "")
    if do == "forget":
        kept.forget(template)
        messages.success(request, _("What was pasted is deleted. The draft and its cases stay."))
        return redirect(request.path)
    pasted_before = as_data(row.fields) if row is not None and request.method != "POST" else None
    form = ExampleForm(request.POST if pasted_before is None else pasted_before, known_as=known_as)
    meanwhile = kept.meanwhile(template, row)
    if do == "add":
        form.add()
    if chosen := request.POST.get("capture") or request.GET.get("capture"):
        captured = get_object_or_404(_captured(template), pk=key_of(chosen))
        if captured.request is None:
            form.errors[WEBHOOKS[-1]] = _("This request cannot be read any more: its encryption key is lost.")
        elif not form.add(text_of(captured.request)):
            form.errors[WEBHOOKS[-1]] = _("There are %(count)d webhooks already.") % {"count": len(WEBHOOKS)}
    if do in ("save", "json") and form.check() and _saved(request, template, form, meanwhile):
        tab = "document" if do == "json" else "preview"
        return redirect(f"admin:integrations_studio_{tab}", template.pk)
    based = saving.based_on(request, template, form.overtaken)
    if meanwhile is not None and request.method != "POST":
        based = meanwhile.based
    if meanwhile is not None and (form.overtaken is not None or based != meanwhile.based):
        meanwhile = None  # it is said already
    more = {"row": row, "based": based, "meanwhile": meanwhile}
    return _shown(request, template, form, more)


def _shown(
    request: HttpRequest, template: Template, form: ExampleForm, more: Mapping[str, Any]
) -> HttpResponse:
    fields = pasted(form)
    draft = form.draft if form.samples else None
    context = {
        **more,
        "form": form,
        "fields": fields,
        "webhooks": [fields[name] for name in WEBHOOKS],
        "captured": [row for row in _captured(template)[:SHOWN] if row.request is not None],
        "draft": draft,
        "overtaken": form.overtaken,
    }
    if draft is not None:
        context |= {
            "source": _marked(_source(form)),
            "named": draft.document,
            "done": list(done(draft.document)),
            "missing": list(dict.fromkeys(missing(form))),
            "statuses": [(word, status, word in form.said) for word, status in statuses_of(draft).items()],
            "meanings": STATUSES,
        }
    status = 409 if form.overtaken else 422 if form.errors else 200
    return page(request, template, "example", context, status=status)


def _captured(template: Template) -> QuerySet[CapturedRequest]:
    """The requests that were captured for the template, the latest first."""
    return CapturedRequest.objects.open().filter(capture__template=template)


def _source(form: ExampleForm) -> str:
    return laid_out(form.draft.document) + "\n"


def _marked(source: str) -> list[str]:
    """The text in pieces, of which every second one is a placeholder."""
    return re.split(r"((?<!\$)\$[^$\n]+\$)", source)


def _saved(
    request: HttpRequest, template: Template, form: ExampleForm, meanwhile: kept.Meanwhile | None
) -> bool:
    """Saves the draft, its cases and what they were made of; False if not, and the form says why."""
    source, cases = _source(form), form.draft.cases
    based = whole_number(request.POST.get("based"))
    try:
        with transaction.atomic():
            revision = saving.save(template, source, user_of(request), based) or template.latest
            case_storage.replace_by_example(template, cases)
            assert revision is not None
            complete = kept.keep(template, form, revision)
    except Overtaken as overtaken:
        said = meanwhile.sentence if meanwhile is not None and meanwhile.based == based else ""
        form.overtaken = replace(overtaken, meanwhile=said)
        return False
    except DocumentError as error:
        form.errors["id"] = " ".join(problem.reason for problem in error.problems)
        return False
    except ValidationError as error:
        form.errors["id"] = " ".join(error.messages)
        return False
    made = ngettext("Saved as a draft, with one case.", "Saved as a draft, with %(count)d cases.", len(cases))
    messages.success(request, f"{made} {_('Nobody uses it until you publish it.')}" % {"count": len(cases)})
    if not complete:
        messages.warning(
            request,
            _(
                "Not all that you pasted is kept to go on later: it is too long, or a credential in it could "
                "not be replaced."
            ),
        )
    if left := list(dict.fromkeys(missing(form))):
        messages.warning(request, _("Do not publish it yet. %(left)s") % {"left": " ".join(left)})
    return True
