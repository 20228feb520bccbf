"""The page on which a provider is tried: simulated, with a phone beside it, or for real with one message."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import filetype
from django.conf import settings
from django.contrib import admin, messages
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from integrations import setup
from integrations.models import Integration, Template, TemplateRevision
from integrations.models.templates import webhook_url
from integrations.studio.cases import results
from integrations.studio.pages import page, revision_of, template_of
from integrations.studio.trial import for_real
from integrations.studio.trial.for_real import Attempt
from integrations.studio.trial.forms import RealForm, ReplyForm, SendForm
from integrations.studio.trial.simulated import Trial
from integrations.studio.trial.trips import Trip
from portal.administration.base import user_of
from portal.ids import key_of
from portal.models import Organization
from portal.throttling import HOUR

TRIPS = 10
CHOICES = 100  # integrations


def of_template(request: HttpRequest, pk: int) -> HttpResponse:
    """A draft, or another revision of a template, for those who may change it."""
    template = template_of(request, pk)
    revision = revision_of(request, template, template.latest)
    if revision is None:
        return page(request, template, "trial", {})
    owner = template.account.accountid if template.account else ""
    answer = _respond(request, template, revision, "studio", owner)
    if isinstance(answer, HttpResponse):
        return answer
    revisions = list(dict.fromkeys(filter(None, (template.draft, template.published, revision))))
    context = {**answer, "revisions": revisions}
    return page(request, template, "trial", context, status=answer["status"])


def of_organization(request: HttpRequest, pk: int, template: int) -> HttpResponse:
    """What an organization uses, or may use: simulated for its administrators, for real for the account's."""
    user = user_of(request)
    organization = get_object_or_404(Organization.objects.administered_by(user), pk=pk)
    chosen = get_object_or_404(
        Template.objects.published_in(organization.account).select_related("published"), pk=template
    )
    integration = setup.integration_of(organization, chosen)
    revision = integration.revision or chosen.published
    assert revision is not None
    answer = _respond(request, chosen, revision, f"of-{pk}", organization.orgid, integration)
    if isinstance(answer, HttpResponse):
        return answer
    title = _("Try %(provider)s") % {"provider": chosen}
    context = {**admin.site.each_context(request), "title": title, "organization": organization, **answer}
    return render(request, "admin/integrations/trial.html", context, status=answer["status"])


def _respond(
    request: HttpRequest,
    template: Template,
    revision: TemplateRevision,
    place: str,
    owner: str,
    integration: Integration | None = None,
) -> HttpResponse | dict[str, Any]:
    """What the page shows, or the redirect after something was done."""
    user = user_of(request)
    key = f"trial:{user.pk}:{template.pk}:{place}"
    do = request.POST.get("do") if request.method == "POST" else ""
    here = f"{request.path}?revision={revision.number}" if integration is None else request.path
    if do == "clear":
        cache.delete(key)
        return redirect(here)
    url = webhook_url(revision.compiled.id, owner or "0" * 20)
    trial = Trial(revision.compiled, results.contents_of(template), url)
    ours, contact = trial.numbers
    real = _real(request, template, revision, integration)
    forms_ = {
        "send": SendForm(request.POST if do == "send" else None, request.FILES if do == "send" else None),
        "reply": ReplyForm(request.POST if do == "reply" else None),
    }
    trip: Trip | None = None
    if do == "send" and forms_["send"].is_valid():
        found = forms_["send"].cleaned_data
        file = _file(found["file"])
        trip = trial.send(ours, contact, found["text"], file, answer=found["answer"], report=found["report"])
    elif do == "reply" and forms_["reply"].is_valid():
        found = forms_["reply"].cleaned_data
        trip = trial.reply(contact, ours, found["text"], files=found["picture"])
    elif do == "real":
        trip = _send_for_real(request, real, revision)
    if trip is not None:
        cache.set(key, [trip.as_data(), *cache.get(key, [])][:TRIPS], HOUR)
        query = (
            f"{'&' if '?' in here else '?'}integration={real['attempt'].integration.pk}"
            if do == "real"
            else ""
        )
        return redirect(f"{here}{query}#{'trips' if do == 'real' else 'phone'}")
    trips = [Trip.from_data(stored) for stored in cache.get(key, [])]
    status = 422 if do and (real["form"].errors or any(form.errors for form in forms_.values())) else 200
    return {
        "template": template,
        "revision": revision,
        "forms": forms_,
        "real": real,
        "trips": trips,
        "bubbles": [bubble for trip in reversed(trips) for bubble in trip.bubbles],
        "contact": contact,
        "ours": ours,
        "receives": trial.receives(),
        "receives_files": trial.receives(files=True),
        "status": status,
    }


def _file(uploaded: UploadedFile[Any] | None) -> Mapping[str, Any] | None:
    """An uploaded file as an element of `$media$`."""
    if uploaded is None:
        return None
    content = uploaded.read()
    kind = filetype.guess(content)
    media_type = kind.mime if kind is not None else "application/octet-stream"
    name = f"file.{kind.extension if kind is not None else 'bin'}"
    return {
        "url": f"{settings.PUBLIC_URL}/media/trial/{name}",
        "content_type": media_type,
        "filename": name,
        "size": len(content),
        "content": content,
    }


def _real(
    request: HttpRequest, template: Template, revision: TemplateRevision, integration: Integration | None
) -> dict[str, Any]:
    """What the page shows of sending for real: the integrations to choose from, and the chosen one."""
    reach = for_real.integrations_for(user_of(request), template)
    if integration is not None:
        reach = reach.filter(pk=integration.pk)
    choices = list(reach[:CHOICES])
    wanted = key_of(request.POST.get("integration") or request.GET.get("integration") or "")
    chosen = reach.filter(pk=wanted).first() if wanted else choices[0] if len(choices) == 1 else None
    posted = request.method == "POST" and request.POST.get("do") == "real"
    initial = {"token": secrets.token_urlsafe(16), "text": _("A test of Patchbay")}
    return {
        "choices": choices,
        "attempt": Attempt.through(chosen, revision) if chosen is not None else None,
        "form": RealForm(request.POST if posted else None, initial=initial),
    }


def _send_for_real(request: HttpRequest, real: Mapping[str, Any], revision: TemplateRevision) -> Trip | None:
    """Sends one message for real, unless something is wrong with it, which the form then says."""
    form, attempt = real["form"], real["attempt"]
    if attempt is None:
        raise Http404
    if not form.is_valid():
        return None
    found = form.cleaned_data
    try:
        part = attempt.part(found["sender"], found["to"], found["text"])
        trip = for_real.send(attempt, revision, part, user_of(request), found["token"])
    except ValidationError as error:
        form.add_error(None, error)
        return None
    messages.success(request, _("One request has been sent. Its answer is below."))
    return trip
