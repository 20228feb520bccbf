"""The page that shows what publishing changes, has it confirmed, and leads back."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from integrations import logos
from integrations.models import Template, TemplateRevision
from integrations.studio.cases import results
from integrations.studio.pages import page, revision_of, template_of
from integrations.studio.publish.publishing import Change, publish
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
    chosen = (
        [key_of(item) for item in wanted.getlist("organization")] if wanted.get("for") == "some" else None
    )
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
            "back": revision.published_at is not None,
            "change": change,
            "everyone": everyone,
            "some": chosen is not None,
            "chosen": chosen or (),
            "failed": failed,
            "problem": problem,
            "revisions": _revisions(template),
        },
        status=422 if problem else 200,
    )


def _publish(request: HttpRequest, change: Change, failed: Collection[object]) -> str:
    """Publishes unless something must be said first, which is returned."""
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
    number = {"number": change.revision.number, "count": len(change.integrations)}
    if change.organizations is None:
        messages.success(request, _("Revision %(number)d is published.") % number)
    else:
        messages.success(request, _("%(count)d organizations use revision %(number)d.") % number)
    return ""


def _revisions(template: Template) -> list[TemplateRevision]:
    return list(template.revisions.select_related("author")[:SHOWN])
