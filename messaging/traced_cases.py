"""Cases for the studio, made of webhook requests and delivery attempts as they are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from integrations.events import HttpResponse
from integrations.language.document import Template as Compiled
from integrations.models import Integration, Template, TemplateCase
from integrations.properties import Credentials, credentials_of
from integrations.studio import case_storage
from integrations.studio.cases.making import NoCase, answer_case, webhook_case
from messaging.models import DeliveryAttempt, WebhookRequest
from portal.models import User


def of_webhook(row: WebhookRequest) -> dict[str, Any]:
    """The case for a webhook request, with nobody's values in it. Raises NoCase."""
    if row.polled:
        raise NoCase(_("This is an answer to ReceiveMessages. Only webhook requests can be made a case."))
    found = _credentials(row)
    values = next(iter(found)).values if len(found) == 1 else {}
    event = row.events.select_related("number").exclude(number=None).first()
    country = event.number.country if event is not None and event.number is not None else ""
    private = {secret: "" for item in found for secret in item.private}
    private |= {text: label for item in found for label, text in _texts(item) if text in private}
    return webhook_case(
        _compiled(row.template), row.as_received(), country=country, values=values, private=private
    )


def of_attempt(attempt: DeliveryAttempt) -> dict[str, Any]:
    """The case for the answer to a delivery attempt, with nobody's values in it. Raises NoCase."""
    if attempt.integration is None:
        raise NoCase(_("The integration of this attempt has been deleted."))
    if attempt.upload:
        raise NoCase(_("This attempt uploads a file. Only those that send the message can be made a case."))
    answer = None
    if attempt.answer_status is not None:
        headers = {name.lower(): value for name, value in attempt.answer_headers.items()}
        answer = HttpResponse(attempt.answer_status, headers, attempt.answer_body.encode())
    found = credentials_of([attempt.integration])[attempt.integration.pk]
    files = attempt.message.attachments.exists()
    compiled = _compiled(attempt.integration.template)
    return answer_case(compiled, answer, attempt.result, files=files, private=found.private)


def keep(user: User, template: Template, make: Callable[[], dict[str, Any]]) -> TemplateCase:
    """The new case that `make` makes. Raises NoCase or ValidationError, and Http404 for others' templates."""
    template = get_object_or_404(Template.objects.editable_by(user), pk=template.pk)
    return case_storage.keep(template, make())


def may_keep(user: User, template: Template | None) -> bool:
    """Whether the user may add cases to a template."""
    return template is not None and Template.objects.editable_by(user).filter(pk=template.pk).exists()


def templates(user: User, message: int) -> set[int]:
    """The keys of the templates to which the user may add cases of attempts to send a message."""
    used = DeliveryAttempt.objects.filter(message=message).values("integration__template")
    return set(Template.objects.editable_by(user).filter(pk__in=used).values_list("pk", flat=True))


def sentence(error: Exception) -> str:
    """Why there is no case, for a person."""
    return " ".join(getattr(error, "messages", [str(error)]))


def _compiled(template: Template) -> Compiled:
    if template.latest is None:
        raise NoCase(_("The template has no document."))
    return template.latest.compiled


def _credentials(row: WebhookRequest) -> list[Credentials]:
    """The credentials of the request's integration or, if that is unknown, of all that it may be for."""
    found = Integration.objects.ready().filter(template=row.template)
    if row.integration_id is not None:
        found = found.filter(pk=row.integration_id)
    else:
        found = found.filter(organization__account=row.account)
    return list(credentials_of(found).values())


def _texts(credentials: Credentials) -> list[tuple[str, str]]:
    return [(label, value) for label, value in credentials.values.items() if isinstance(value, str)]
