"""The pages of a template's cases: the results of all, and each as JSON."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from integrations.language.document import Template as Compiled
from integrations.language.values import load
from integrations.models import Template, TemplateCase
from integrations.studio import case_storage
from integrations.studio.cases import results
from integrations.studio.pages import page, revision_of, template_of

_NO_DOCUMENT = gettext_lazy("Write the document first: a case is checked by it.")
BLANK = {
    "name": "A text is sent",
    "kind": "send",
    "message": {"from": "+15005550006", "to": "+15005550001", "text": "Hello"},
    "expect": [{"method": "POST"}],
}


def listed(request: HttpRequest, pk: int) -> HttpResponse:
    """Runs all cases against the draft, or another revision, and shows the results."""
    template = template_of(request, pk)
    revision = revision_of(request, template, template.latest)
    found = results.run(template, revision.compiled) if revision is not None else []
    failed = sum(not item.passed for item in found)
    context = {
        "revision": revision,
        "results": sorted(found, key=lambda item: item.passed),
        "failed": failed,
        "passed": len(found) - failed,
        "most": case_storage.MAX_CASES,
    }
    return page(request, template, "cases", context)


def add(request: HttpRequest, pk: int) -> HttpResponse:
    """A new case, written as JSON."""
    template = template_of(request, pk)
    source = request.POST.get("source", case_storage.written(BLANK)).replace("\r\n", "\n")
    if request.method != "POST":
        return _edited(request, template, None, source)
    compiled = _compiled(template)
    if compiled is None:
        return _edited(request, template, None, source, _NO_DOCUMENT)
    if not case_storage.problems_in(compiled, source):
        try:
            row = case_storage.keep(template, load(source))
        except ValidationError as error:
            return _edited(request, template, None, source, " ".join(error.messages))
        messages.success(request, _("The case is saved."))
        return redirect("admin:integrations_studio_case", template.pk, row.pk)
    return _edited(
        request, template, None, source, _("The case has not been saved. What is wrong is listed below.")
    )


def edit(request: HttpRequest, pk: int, case: int) -> HttpResponse:
    """A case as JSON, with its result; one with problems is not saved."""
    template = template_of(request, pk)
    row = get_object_or_404(template.cases, pk=case)
    source = request.POST.get("source", row.source).replace("\r\n", "\n")
    if request.method != "POST":
        return _edited(request, template, row, source)
    compiled = _compiled(template)
    if compiled is None:
        return _edited(request, template, row, source, _NO_DOCUMENT)
    if case_storage.problems_in(compiled, source):
        problem = _("The case has not been saved. What is wrong is listed below.")
        return _edited(request, template, row, source, problem)
    try:
        case_storage.change(row, source, request.POST.get("seen", ""))
    except ValidationError as error:
        return _edited(request, template, row, source, " ".join(error.messages))
    messages.success(request, _("The case is saved."))
    return redirect(request.path)


@require_POST
def delete(request: HttpRequest, pk: int, case: int) -> HttpResponse:
    """Deletes a case."""
    template = template_of(request, pk)
    case_storage.delete(get_object_or_404(template.cases, pk=case))
    messages.success(request, _("The case is deleted."))
    return redirect("admin:integrations_studio_cases", template.pk)


def _compiled(template: Template) -> Compiled | None:
    return template.latest.compiled if template.latest is not None else None


def _edited(
    request: HttpRequest,
    template: Template,
    row: TemplateCase | None,
    source: str,
    problem: Promise | str = "",
) -> HttpResponse:
    compiled = _compiled(template)
    context: dict[str, Any] = {"row": row, "source": source, "problem": problem, "problems": []}
    if row is not None:
        context["seen"] = case_storage.stamp(TemplateCase.objects.get(pk=row.pk).source)
    if compiled is not None:
        context["problems"] = case_storage.problems_in(compiled, source)
        if row is not None and not context["problems"]:
            context["difference"] = results.difference(compiled, source)
    return page(request, template, "cases", context, view="case", status=422 if problem else 200)
