"""The page on which a provider is tried: simulated, with a phone beside it, or for real with one message."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

import filetype
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations import setup
from integrations.models import Integration, Template, TemplateRevision
from integrations.models.templates import webhook_url
from integrations.studio import case_results, trial_for_real
from integrations.studio.pages import page, template_of
from integrations.studio.trial import Trial, Trip
from integrations.studio.trial_for_real import Attempt
from portal.admin_base import user_of
from portal.ids import key_of
from portal.models import Organization
from portal.throttling import HOUR

TRIPS = 10
MOST_TEXT = 1_000  # characters
MOST_BYTES = 512 * 1024
CHOICES = 100  # integrations
ANSWERS = {
    "ok": gettext_lazy("As it should"),
    "429": gettext_lazy("Too many requests (429)"),
    "500": gettext_lazy("An error of its own (500)"),
    "slow": gettext_lazy("Slowly"),
    "garbage": gettext_lazy("Garbage: a web page"),
    "lost": gettext_lazy("Not at all: the answer is lost"),
}
REPORTS = {
    "delivered": gettext_lazy("Delivered"),
    "failed": gettext_lazy("Failed"),
    "": gettext_lazy("No report"),
}
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


class SendForm(forms.Form):
    """A message to the simulated phone, and how the provider answers."""

    prefix = "send"
    text = forms.CharField(
        label=gettext_lazy("Text"), required=False, max_length=MOST_TEXT, strip=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip
    file = forms.FileField(label=gettext_lazy("File"), required=False)
    answer = forms.ChoiceField(label=gettext_lazy("The provider answers"), choices=list(ANSWERS.items()))
    report = forms.ChoiceField(
        label=gettext_lazy("Delivery report"), required=False, choices=list(REPORTS.items())
    )

    def clean_file(self) -> UploadedFile | None:
        file: UploadedFile | None = self.cleaned_data["file"]
        if file is not None and (file.size or 0) > MOST_BYTES:
            raise ValidationError(_("The file is larger than 512 KiB. Choose a smaller one."))
        return file

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if not self.errors and not (found.get("text") or "").strip() and not found.get("file"):
            self.add_error("text", _("Write a text, or choose a file."))
        return found


class ReplyForm(forms.Form):
    """A message that is written on the phone."""

    prefix = "reply"
    text = forms.CharField(label=gettext_lazy("Answer"), required=False, max_length=MOST_TEXT, strip=False)
    picture = forms.BooleanField(label=gettext_lazy("with a picture"), required=False)

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if not self.errors and not (found.get("text") or "").strip() and not found.get("picture"):
            self.add_error("text", _("Write a text."))
        return found


class RealForm(forms.Form):
    """A message that really is sent; `token` is used once."""

    prefix = "real"
    sender = forms.CharField(label=gettext_lazy("From, a number of the organization"), max_length=20)
    to = forms.CharField(label=gettext_lazy("To, a phone of your own"), max_length=20)
    text = forms.CharField(label=gettext_lazy("Text"), max_length=MOST_TEXT)
    token = forms.CharField(widget=forms.HiddenInput)

    def clean_to(self) -> str:
        number = re.sub(r"[ ().-]", "", self.cleaned_data["to"])
        if not _NUMBER.fullmatch(number):
            raise ValidationError(_("Write the number with + and its country code, such as +61412345678."))
        return number


def of_template(request: HttpRequest, pk: int) -> HttpResponse:
    """A draft, or another revision of a template, for those who may change it."""
    template = template_of(request, pk)
    number = key_of(request.POST.get("revision") or request.GET.get("revision") or "")
    revision = get_object_or_404(template.revisions, number=number) if number else template.latest
    if revision is None:
        return page(request, template, "trial", {})
    answer = _respond(request, template, revision, "studio", template.account and template.account.accountid)
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
    answer = _respond(request, chosen, revision, f"of {pk}", organization.orgid, integration)
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
    owner: str | None,
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
    trial = Trial(revision.compiled, case_results.cases_of(template), url)
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
        query = f"{'&' if '?' in here else '?'}integration={real['attempt'].integration.pk}" if do == "real" else ""
        return redirect(f"{here}{query}#trips")
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


def _file(uploaded: UploadedFile | None) -> Mapping[str, Any] | None:
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
    reach = trial_for_real.integrations_for(user_of(request), template)
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
        trip = trial_for_real.send(attempt, revision, part, user_of(request), found["token"])
    except ValidationError as error:
        form.add_error(None, error)
        return None
    messages.success(request, _("One request has been sent. Its answer is below."))
    return trip
