"""Captures: URLs that take a provider's next requests for a day, and keep them without credentials."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations import case_http, webhooks
from integrations.decoded import decoded
from integrations.events import HttpResponse, InboundRequest
from integrations.language.document import Template as Compiled
from integrations.models import Capture, CapturedRequest, Integration, PropertyValues, Template
from integrations.properties import combined, credentials_of
from integrations.received import Accepted
from integrations.redact import Redactor
from integrations.studio.example.private import proofs_in, written
from portal import audit
from portal.models import Account, User

MAX_OPEN, MAX_REQUESTS = 20, 20  # of an account, of a capture
MAX_BODY = 256 * 1024
BATCH = 100


def open_for(template: Template, author: User) -> Capture:
    """A URL for requests of the template's provider.

    Raises ValidationError for a built-in template, and if the account has 20 captures already.
    """
    if template.account_id is None:
        raise ValidationError(_("A built-in template belongs to no account. Copy it into one first."))
    with transaction.atomic(), audit.covered():
        account = Account.objects.select_for_update(no_key=True).get(pk=template.account_id)
        if account.captures.open().count() >= MAX_OPEN:
            count = {"count": MAX_OPEN}
            raise ValidationError(
                _("%(count)d captures are open. Close one of them, or wait until one expires.") % count
            )
        capture = Capture.objects.create(account=account, template=template, author=author)
        audit.record(audit.Action.ADDED, capture, name=template.name)
    return capture


def share(capture: Capture, *, shared: bool) -> None:
    """Shows what is understood to whoever has the link, or to nobody any more."""
    if capture.shared == shared:
        return
    with transaction.atomic(), audit.covered():
        capture.shared = shared
        capture.save(update_fields=["shared"])
        said = {True: str(_("yes")), False: str(_("no"))}
        changes = {str(_("shared")): (said[not shared], said[shared])}
        audit.record(audit.Action.CHANGED, capture, changes, name=str(capture.template))


def close(capture: Capture) -> None:
    """Ends a capture, and deletes what it has received."""
    with transaction.atomic(), audit.covered():
        audit.record(audit.Action.DELETED, capture, name=str(capture.template))
        capture.delete()


def record(capture: Capture, request: InboundRequest) -> HttpResponse | None:
    """Stores a request and returns what to answer; None if the capture has ended meanwhile.

    Stored are the last 20 requests, without credentials; not HEAD and OPTIONS, which say nothing. The answer
    is 200 and empty, unless an event of the draft matches: then it is the event's, made without properties.
    """
    if request.method in webhooks.PROBES:
        return HttpResponse(200)
    compiled, answer = compiled_of(capture), HttpResponse(200)
    proofs: frozenset[str] = frozenset()
    if compiled is not None:
        proofs = proofs_in(compiled.document.get("Webhook"))
        received = webhooks.unproven(compiled, request)
        answer = received.answer if isinstance(received, Accepted) else answer
    row = CapturedRequest(capture=capture, request=written(request, _redactor(capture), proofs))
    with transaction.atomic():
        if not Capture.objects.select_for_update(no_key=True).open().filter(pk=capture.pk):
            return None
        row.save()
        kept = list(capture.requests.values_list("pk", flat=True)[:MAX_REQUESTS])
        capture.requests.exclude(pk__in=kept).delete()
    return answer


def compiled_of(capture: Capture) -> Compiled | None:
    """The document that the capture's requests are read by: the draft, else what is published."""
    latest = capture.template.latest
    return latest.compiled if latest is not None else None


def expire() -> None:
    """Deletes the captures that have expired, with their requests."""
    expired = Capture.objects.filter(expires_at__lte=timezone.now())
    while keys := list(expired.values_list("pk", flat=True)[:BATCH]):
        with audit.covered():
            Capture.objects.filter(pk__in=keys).delete()


def erase(account: Account, pattern: re.Pattern[str]) -> int:
    """Deletes the captured requests that the pattern is found in; returns how many there were.

    What cannot be decrypted any more may have it, and is of use to nobody: it is deleted, too.
    """
    rows = CapturedRequest.objects.filter(capture__account=account).iterator(BATCH)
    found = [row.pk for row in rows if row.request is None or pattern.search(_text_of(row))]
    CapturedRequest.objects.filter(pk__in=found).delete()
    return len(found)


def _text_of(row: CapturedRequest) -> str:
    """What the request says, as it came and decoded."""
    request = case_http.inbound(row.request)
    return decoded(f"{request.path} {request.query} {request.body.decode('utf-8', 'replace')}")


def _redactor(capture: Capture) -> Redactor:
    """Masks the secrets of all integrations of the account that use the template."""
    template, account = capture.template_id, capture.account_id
    integrations = Integration.objects.ready().filter(template=template, organization__account=account)
    private = [value for each in credentials_of(integrations).values() for value in each.private]
    compiled = compiled_of(capture)
    inherited = PropertyValues.objects.filter(account=account, template=template).first()
    if compiled is not None and inherited is not None:
        private += combined(compiled, None, inherited).private
    return Redactor(set(private))
