"""The document as text, with its problems: each save is a draft, which nobody uses until it is published."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from integrations.language.errors import DocumentError
from integrations.models import Template
from integrations.studio import saving
from integrations.studio.pages import as_data, page, problems_in, template_of
from integrations.studio.saving import Overtaken
from portal.administration.base import user_of


class DocumentForm(forms.Form):
    """A document; `problems` are those of what was entered."""

    source = forms.CharField(label=gettext_lazy("Document"), strip=False, widget=forms.Textarea)
    based = forms.IntegerField(required=False, widget=forms.HiddenInput)
    overtaken: Overtaken | None = None

    def clean_source(self) -> str:
        return str(self.cleaned_data["source"]).replace("\r\n", "\n")

    @property
    def problems(self) -> list[dict[str, Any]]:
        """The problems in the document, as the page and the editor show them."""
        source = str(self["source"].value() or "").replace("\r\n", "\n")
        return [as_data(problem, source) for problem in problems_in(source)]


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Shows the draft, else what is published; saves a new draft."""
    template = template_of(request, pk)
    latest = template.latest
    form = DocumentForm(request.POST or None, initial={"source": latest.source if latest else ""})
    if request.method == "POST" and form.is_valid() and _saved(request, template, form):
        return redirect(request.path)
    context = {
        "form": form,
        "based": saving.based_on(request, template, form.overtaken),
        "overtaken": form.overtaken,
        "words": json.dumps(_words()),
        "phrases": json.dumps(_phrases()),
    }
    status = 409 if form.overtaken else 422 if form.errors else 200
    return page(request, template, "document", context, status=status)


def _words() -> dict[str, str]:
    """What the editor says of names that only this document has."""
    return {"property": _("A property of this document."), "table": _("A table of this document.")}


def _phrases() -> dict[str, str]:
    """CodeMirror's own words, as the rest of the page is written."""
    return {
        "Find": _("Find"),
        "Replace": _("Replace"),
        "next": _("next"),
        "previous": _("previous"),
        "all": _("all"),
        "match case": _("match case"),
        "regexp": _("regular expression"),
        "by word": _("whole words"),
        "replace": _("replace"),
        "replace all": _("replace all"),
        "close": _("close"),
        "Diagnostics": _("Problems"),
        "No diagnostics": _("No problems"),
        "Completions": _("Suggestions"),
    }


def _saved(request: HttpRequest, template: Template, form: DocumentForm) -> bool:
    source, based = form.cleaned_data["source"], form.cleaned_data["based"]
    try:
        draft = saving.save(template, source, user_of(request), based)
    except Overtaken as overtaken:
        form.overtaken = overtaken
        return False
    except DocumentError:
        form.add_error("source", _("The document has not been saved. What is wrong is listed below it."))
        return False
    except ValidationError as error:
        form.add_error("source", error)
        return False
    if draft is None:
        messages.info(request, _("The document has not changed, so there is no new draft."))
        return True
    messages.success(
        request,
        _("Saved as draft %(number)d. Nobody uses it until you publish it.") % {"number": draft.number},
    )
    return True


@require_POST
def check(request: HttpRequest, pk: int) -> JsonResponse:
    """The problems of a document that is being written, for the editor."""
    template_of(request, pk)
    source = request.POST.get("source", "").replace("\r\n", "\n")
    return JsonResponse({"problems": [as_data(problem, source) for problem in problems_in(source)]})
