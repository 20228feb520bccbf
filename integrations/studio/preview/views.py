"""The page that shows what a template makes of a message, an answer and a webhook before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from integrations import as_text, case_http, cases
from integrations.case_exchanges import response_of
from integrations.events import InboundRequest
from integrations.language.document import Template as Compiled
from integrations.language.values import Value, text
from integrations.models import CapturedRequest, Template
from integrations.redact import Redactor
from integrations.studio import case_storage
from integrations.studio.cases import making, results
from integrations.studio.invented.values import secrets_in, values_for
from integrations.studio.pages import page, revision_of, template_of
from integrations.studio.preview.forms import Presets, PreviewForm, as_fields
from integrations.studio.preview.pasted import UnreadableText, webhook_in
from integrations.studio.preview.receiving import Check, preview_webhook
from integrations.studio.preview.sending import preview_answer, preview_message
from portal.ids import key_of

MAX_PRESETS = 40


@sensitive_post_parameters()
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Previews the draft, or another revision; nothing that is entered here is stored.

    Only a case is, where one asks for it: with invented property values.
    """
    template = template_of(request, pk)
    revision = revision_of(request, template, template.latest)
    if revision is None:
        return page(request, template, "preview", {})
    compiled = revision.compiled
    answers, webhooks = _presets(template)
    captured = _captured(request, template)
    name = _("captured %s") % f"{captured.received_at:%Y-%m-%d %H:%M:%S}" if captured is not None else ""
    form = PreviewForm(compiled, answers, webhooks, request.POST or None, captured=name)
    if form.is_bound:
        form.is_valid()
    if "fill" in request.POST:
        filled = {**form.initial, **form.cleaned_data, **as_fields(form.written_answer)}
        form = PreviewForm(compiled, answers, webhooks, initial=filled, captured=name)
    values = values_for(compiled, form.properties)
    # Who signs webhooks has entered a key, also where it is optional.
    signing = values_for(compiled, form.properties, compiled.webhook.reads)
    wanted, problem = _wanted(form, compiled, captured)
    if keep := request.POST.get("keep"):
        try:
            case = _case(form, compiled, keep, wanted, signing)
            row = case_storage.keep(template, case)
        except (making.NoCase, ValidationError) as error:
            messages.error(request, " ".join(getattr(error, "messages", [str(error)])))
        else:
            messages.success(request, _("This is the new case. Property values in it are invented."))
            return redirect("admin:integrations_studio_case", template.pk, row.pk)
    shown = _shown(form, compiled, values, signing, wanted)
    context = {"form": form, "revision": revision, "problem": problem, "captured": captured, **shown}
    return page(request, template, "preview", context)


def _shown(
    form: PreviewForm,
    compiled: Compiled,
    values: Mapping[str, Any],
    signing: Mapping[str, Any],
    wanted: InboundRequest | None,
) -> dict[str, Any]:
    """What the template makes of what was entered."""
    hide = Redactor(secrets_in(compiled, {**values, **signing}))
    case = cases.completed(compiled, {"kind": "send", "properties": values, "message": form.message})
    found: dict[str, Any] = {"sent": preview_message(compiled, case, hide)}
    found["answer"] = preview_answer(compiled, case, form.written_answer, hide)
    if wanted is not None:
        country = form.message.get("country") or None
        check: Check = form.value("check") or "signed"
        found["webhook"] = preview_webhook(
            compiled, wanted, signing, hide, check=check, country=country, number=form.message["from"]
        )
        found["request_text"] = as_text.received(wanted, hide)
    return found


def _wanted(
    form: PreviewForm, compiled: Compiled, captured: CapturedRequest | None
) -> tuple[InboundRequest | None, str]:
    """The webhook request to look at, or why there is none."""
    written: Mapping[str, Value] | None = form.chosen_webhook
    if written is None and captured is not None and form.value("source") == "captured":
        written = captured.request
    try:
        if written is not None:
            return case_http.inbound(written, f"https://sms.example.com/services/{compiled.id}/a1"), ""
        pasted = form.value("pasted") or ""
        return (webhook_in(pasted, compiled), "") if pasted.strip() else (None, "")
    except UnreadableText as error:
        return None, str(error)
    except (ValueError, TypeError, AttributeError):
        return None, _("The request of this case cannot be read.")


def _case(
    form: PreviewForm,
    compiled: Compiled,
    keep: str,
    wanted: InboundRequest | None,
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """The case for a part of the preview. Raises NoCase."""
    if keep == "answer":
        return making.send_case(compiled, form.message, form.written_answer)
    if keep != "webhook":
        return making.send_case(compiled, form.message)
    if wanted is None:
        raise making.NoCase(_("There is no webhook to make a case of."))
    private = {text(value): label for label, value in form.properties.items()}
    return making.webhook_case(
        compiled, wanted, country=form.message.get("country", ""), values=values, private=private
    )


def _presets(template: Template) -> tuple[Presets, Presets]:
    """The answers and the webhook requests in the template's cases."""
    answers: dict[str, tuple[str, Mapping[str, Value]]] = {}
    webhooks: dict[str, tuple[str, Mapping[str, Value]]] = {}
    for index, (name, case, _row) in enumerate(results.cases_of(template)):
        if not isinstance(case, dict):
            continue
        if isinstance(case.get("request"), dict) and len(webhooks) < MAX_PRESETS:
            webhooks[f"case-{index}"] = name, case["request"]
        given = case.get("responses")
        first = given[0] if isinstance(given, list) and given else None
        known = any(first == answer for _name, answer in answers.values())
        if (
            case.get("kind") == "send"
            and isinstance(first, dict)
            and not known
            and len(answers) < MAX_PRESETS
            and _is_readable(first)
        ):
            answers[f"case-{index}"] = name, first
    return answers, webhooks


def _is_readable(answer: Mapping[str, Value]) -> bool:
    """Whether it is an answer: cases that do not pass their checks are kept, too."""
    try:
        response_of(answer)
    except (ValueError, TypeError, AttributeError, KeyError):
        return False
    return True


def _captured(request: HttpRequest, template: Template) -> CapturedRequest | None:
    """The captured request that the page is asked for, of an open capture of the template."""
    key = request.POST.get("capture") or request.GET.get("capture") or ""
    if not key:
        return None
    own = CapturedRequest.objects.open().filter(capture__template=template)
    captured = get_object_or_404(own, pk=key_of(key))
    if captured.request is None:
        raise Http404
    return captured
