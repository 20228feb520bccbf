"""What the pages of the studio share: whose template it is, the tabs, and the problems of a document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.language.document import compile_document
from integrations.language.errors import DocumentError, Problem
from integrations.models import Template, TemplateRevision
from portal.administration.base import user_of
from portal.ids import key_of

TABS = {
    "example": gettext_lazy("Build by example"),
    "document": gettext_lazy("Document"),
    "captures": gettext_lazy("Capture"),
    "preview": gettext_lazy("Preview"),
    "cases": gettext_lazy("Cases"),
    "trial": gettext_lazy("Try it"),
    "publish": gettext_lazy("Publish"),
}
NEXT = {"preview": "cases", "cases": "trial", "trial": "publish"}
_WRONG = re.compile(r"'([^']+)'")
_MEANT = re.compile(r"Did you mean '([^']+)'\?")


def template_of(request: HttpRequest, pk: int) -> Template:
    """The template, for those who may change it; a 404 for all others."""
    reach = Template.objects.editable_by(user_of(request)).select_related("account", "published", "draft")
    return get_object_or_404(reach, pk=pk)


def revision_of(
    request: HttpRequest, template: Template, otherwise: TemplateRevision | None
) -> TemplateRevision | None:
    """The revision whose number the page is asked for, else another one."""
    number = key_of(request.POST.get("revision") or request.GET.get("revision") or "")
    return get_object_or_404(template.revisions, number=number) if number else otherwise


def page(
    request: HttpRequest,
    template: Template,
    tab: str,
    context: Mapping[str, Any],
    *,
    view: str = "",
    status: int = 200,
) -> HttpResponse:
    """A page of the studio: one of the TABS, or a `view` that belongs to it."""
    shared = {
        **admin.site.each_context(request),
        "title": _("%(name)s: %(tab)s") % {"name": template.name, "tab": TABS[tab]},
        "breadcrumbs": [(_("Templates"), reverse("admin:integrations_template_changelist"))],
        "template": template,
        "tabs": [(name, f"admin:integrations_studio_{name}", label) for name, label in TABS.items()],
        "tab": tab,
        "following": _following(template, view or tab),
    }
    return render(
        request, f"admin/integrations/studio/{view or tab}.html", {**shared, **context}, status=status
    )


def _following(template: Template, tab: str) -> tuple[str, str] | None:
    """The view and the name of the tab that comes next, while there is a draft to go on with."""
    following = NEXT.get(tab) if template.draft else None
    return (f"admin:integrations_studio_{following}", str(TABS[following])) if following else None


def problems_in(source: str) -> list[Problem]:
    """All that is wrong with a document, errors first."""
    try:
        return list(compile_document(source).warnings)
    except DocumentError as error:
        return error.problems


def as_data(problem: Problem, source: str) -> dict[str, Any]:
    """A problem as the editor reads it; `mend` replaces what is between its place and its `end`."""
    found: dict[str, Any] = {
        "line": problem.line or 1,
        "column": problem.column or 1,
        "pointer": problem.pointer,
        "severity": problem.severity,
        "reason": problem.reason,
        "suggestion": problem.suggestion,
        "document": problem.document,
    }
    meant, wrong = _MEANT.search(problem.suggestion), _WRONG.search(problem.reason)
    lines = source.split("\n")
    if meant and wrong and problem.line and problem.line <= len(lines):
        line, start = lines[problem.line - 1], (problem.column or 1) - 1
        start += line[start : start + 1] == '"'
        # Only what stands there as it is: in a text with escapes it would be cut at the wrong place.
        begin = line.find(wrong[1], start)
        if begin == start or (begin == start + 1 and line[start : start + 1] == "$"):
            found["column"] = begin + 1
            found["end"] = {"line": problem.line, "column": begin + 1 + len(wrong[1])}
            found["mend"] = json.dumps(meant[1], ensure_ascii=False)[1:-1]
    return found
