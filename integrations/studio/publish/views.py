"""The page that shows what publishing changes, has it confirmed, and leads back."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import logos
from integrations.models import Template, TemplateRevision
from integrations.studio.cases import results
from integrations.studio.pages import page, revision_of, template_of
from integrations.studio.publish.publishing import Change, overtaken, publish
from portal.administration.base import user_of
from portal.ids import key_of

SHOWN = 20


def review(request: HttpRequest, pk: int) -> HttpResponse:
    """What the draft, or an older revision, would change; publishes it for everybody or for some."""
    template = template_of(request, pk)
    revision = revision_of(request, template, template.draft)
    if revision is None:
        return page(request, template, "publish", {"revisions": _revisions(template)})
    wanted = request.POST if request.method == "POST" else request.GET
    ticked = [key_of(item) for item in wanted.getlist("organization")]
    chosen = ticked if wanted.get("for") == "some" else None
    change = Change(template, revision, chosen)
    failed = [item for item in results.run(template, revision.compiled) if not item.passed]
    problem = ""
    if request.method == "POST":
        problem = _publish(request, change, failed)
        if not problem:
            return redirect("admin:integrations_studio_publish", template.pk)
    everyone = change if chosen is None else Change(template, revision)
    return page(
        request,
        template,
        "publish",
        {
            "revision": revision,
            "back": _is_back(revision, template.published),
            "change": change,
            "everyone": everyone,
            "tried": template.integrations.filter(revision=revision).exists(),
            "some": chosen is not None,
            "chosen": ticked,
            "failed": failed,
            "problem": problem,
            "revisions": _revisions(template),
        },
        status=422 if problem else 200,
    )


def _publish(request: HttpRequest, change: Change, failed: Collection[object]) -> str:
    """Publishes unless something must be said first, which is returned."""
    published = change.template.published.number if change.template.published else 0
    if request.POST.get("over", str(published)) != str(published):
        return " ".join(overtaken(change.template).messages)
    if change.organizations is None and request.POST.getlist("organization"):
        return _("You have chosen all organizations, but ticked some of them. Say which you mean.")
    if change.organizations is not None and not change.integrations:
        return _("Choose the organizations that use it first.")
    if failed and "anyway" not in request.POST:
        return _("Some cases fail. Mend them, or say that you publish anyway.")
    if change.moves and "moves" not in request.POST:
        return _("The webhook URL changes. Say that you have told the provider, or will.")
    logo = change.before.logo if change.before else ""
    try:
        publish(change, user_of(request), request.POST.getlist("answer"), moves="moves" in request.POST)
    except ValidationError as error:
        return " ".join(error.messages)
    if change.organizations is None and (missing := logos.refresh(change.template, logo)):
        messages.warning(request, missing)
    number, count = change.revision.number, len(change.integrations)
    if change.organizations is None:
        messages.success(request, _("Revision %(number)d is published.") % {"number": number})
    else:
        said = ngettext(
            "One organization now uses revision %(number)d.",
            "%(count)d organizations now use revision %(number)d.",
            count,
        )
        messages.success(request, said % {"number": number, "count": count})
    if waiting := change.template.integrations.filter(enabled=True).exclude(held_reason="").count():
        said = ngettext(
            "The messages of one organization wait for an answer: the overview says for which.",
            "The messages of %(count)d organizations wait for an answer: the overview says for which.",
            waiting,
        )
        messages.warning(request, said % {"count": waiting})
    return ""


def _is_back(revision: TemplateRevision, published: TemplateRevision | None) -> bool:
    """Whether the revision was used, and what is published now came later."""
    return revision.published_at is not None and published is not None and revision.number < published.number


def _revisions(template: Template) -> list[tuple[TemplateRevision, bool, int]]:
    """The latest revisions: whether one goes back to each, and how many organizations are pinned to it."""
    pinned = template.integrations.exclude(revision=None).values_list("revision")
    tried = dict(pinned.annotate(count=Count("pk")).order_by())
    found = template.revisions.select_related("author")[:SHOWN]
    return [(item, _is_back(item, template.published), tried.get(item.pk, 0)) for item in found]
