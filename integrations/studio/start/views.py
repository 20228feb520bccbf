"""The page on which a template begins: by example, as a copy, from a text, or with a sample."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations import logos
from integrations.language.errors import DocumentError
from integrations.models import Template
from integrations.search import LONGEST, found
from integrations.studio import importers
from integrations.studio.importers import ImportProblem, ImportReport
from integrations.studio.pages import as_data
from integrations.studio.start import drafts
from integrations.studio.start.forms import NamedForm, StartForm, TextForm
from integrations.studio.urls import PAGES
from portal.administration.base import user_of
from portal.ids import key_of
from portal.models import User

# Each way with its name and a sentence about it.
WAYS = {
    "example": (
        gettext_lazy("By example"),
        gettext_lazy(
            "Paste a request and answers from the provider's documentation, and click what they mean."
        ),
    ),
    "copy": (
        gettext_lazy("Copy"),
        gettext_lazy("Take a provider that works alike, and change what differs. Its cases are copied, too."),
    ),
    "document": (
        gettext_lazy("Text or file"),
        gettext_lazy("Paste or upload a template, or what another system knows of the provider."),
    ),
    "blank": (
        gettext_lazy("Sample"),
        gettext_lazy("Write the document yourself, beginning with a sample that explains itself."),
    ),
}


def start(request: HttpRequest) -> HttpResponse:
    """Asks what to start from, and makes a template with only a draft."""
    asked = request.POST if request.method == "POST" else request.GET
    way = asked.get("from", "")
    way = way if way in WAYS else next(iter(WAYS))
    ways: dict[str, Callable[[HttpRequest, QueryDict], HttpResponse]] = {"copy": _copy, "document": _read}
    return ways[way](request, asked) if way in ways else _named(request, way)


def _named(request: HttpRequest, way: str) -> HttpResponse:
    user = user_of(request)
    form = NamedForm(user, request.POST or None)

    def begin(data: dict[str, Any]) -> Template:
        make = drafts.blank if way == "example" else drafts.sample
        return drafts.begin(data["account"], make(data["service_id"], data["name"]), user)

    if made := _made(form, begin):
        return _to_studio(request, made, "example" if way == "example" else "document")
    return _page(request, way, form)


def _copy(request: HttpRequest, asked: QueryDict) -> HttpResponse:
    user = user_of(request)
    if "template" not in asked:
        search = asked.get("q", "").strip()[:LONGEST]
        return _page(request, "copy", None, {"copies": _copies(user, search), "search": search})
    reach = Template.objects.copied_by(user).select_related("published", "draft")
    original = get_object_or_404(reach, pk=key_of(asked.get("template", "")))
    initial = {"name": original.name, "service_id": f"{original.service_id[:58]}-copy"}
    form = NamedForm(user, request.POST or None, initial=initial)

    def begin(data: dict[str, Any]) -> Template:
        return drafts.copy(original, data["account"], data["service_id"], data["name"], user)

    if made := _made(form, begin):
        return _to_studio(request, made, "document")
    return _page(request, "copy", form, {"original": original})


def _copies(user: User, search: str) -> list[tuple[Template, str]]:
    copies = []
    for template in Template.objects.copied_by(user).select_related("account", "published", "draft"):
        latest = template.latest
        if latest and found(search, (template.name, template.service_id, *latest.compiled.aliases)):
            copies.append((template, logos.url_of(template)))
    return copies


def _read(request: HttpRequest, asked: QueryDict) -> HttpResponse:
    """Saves a document, or shows what an importer makes of another text, to be saved with the next click."""
    user = user_of(request)
    form = TextForm(user, request.POST or None, request.FILES or None)

    def begin(data: dict[str, Any]) -> Template:
        return drafts.begin(data["account"], data["source"], user)

    if made := _made(form, begin):
        return _to_studio(request, made, "document")
    report = _imported(form) if form.problems else None
    if report is not None:
        text = json.dumps(report.document, indent=2, ensure_ascii=False)
        form = TextForm(user, initial={"account": form.cleaned_data["account"], "source": text})
    elif form.problems:  # what was uploaded can be mended here
        form.data = {name: form.data[name] for name in form.data} | {"source": form.cleaned_data["source"]}
    return _page(request, "document", form, {"report": report})


def _imported(form: TextForm) -> ImportReport | None:
    source = form.cleaned_data["source"]
    kind = importers.detect(source)
    try:
        report = importers.read(source, kind, form.cleaned_data["part"]) if kind else None
    except ImportProblem as problem:
        if kind != "published":  # of those, the problems are listed with their places
            form.problems = []
            form.errors.pop("source", None)
            form.add_error("part" if problem.choices else "source", str(problem))
            form.offer(problem.choices)
        return None
    return report


def _made(form: StartForm, begin: Callable[[dict[str, Any]], Template]) -> Template | None:
    """The template, if the form is right; the form has all that is wrong."""
    if not form.is_valid():
        return None
    field = "service_id" if "service_id" in form.fields else "source"
    try:
        return begin(form.cleaned_data)
    except DocumentError as error:
        source = form.cleaned_data.get("source", "")
        form.problems = [as_data(problem, source) for problem in error.problems]
        form.add_error(None, _("The document has not been saved. What is wrong is listed below."))
    except ValidationError as error:
        form.add_error(field, error)
    return None


def _to_studio(request: HttpRequest, made: Template, tab: str) -> HttpResponse:
    told = _("%(name)s is saved as a draft. Nobody uses it until you publish it.")
    messages.success(request, told % {"name": made})
    return redirect(f"admin:integrations_studio_{tab if tab in PAGES else 'document'}", made.pk)


def _page(
    request: HttpRequest, way: str, form: StartForm | None, context: dict[str, Any] | None = None
) -> HttpResponse:
    shared = {
        **admin.site.each_context(request),
        "title": _("Start a template"),
        "ways": [(key, name) for key, (name, _purpose) in WAYS.items()],
        "way": way,
        "purpose": WAYS[way][1],
        "form": form,
    }
    status = 422 if form is not None and form.is_bound and form.errors else 200
    return render(
        request, "admin/integrations/studio/start.html", {**shared, **(context or {})}, status=status
    )
