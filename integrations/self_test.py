"""The self test of an integration: are its credentials good, and do webhooks reach this installation?"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations import credentials, http, origins, probes
from integrations.events import Fault, HttpResponse
from integrations.models import Integration
from integrations.properties import credentials_of

TIMEOUT = 10  # seconds
MAX_BYTES = 64 * 1024
# What a proxy answers when what is behind it does not.
_FROM_PROXY = (502, 503, 504, 520, 521, 522, 523, 524)


def run(integration: Integration) -> list[str]:
    """What is wrong, in sentences; nothing if the test passes. The integration keeps the result.

    The provider is asked where the template has CheckCredentials, and the public webhook URL is called where
    it has webhook events. Nothing is sent or received as a message.
    """
    problems = list(_problems(integration))
    integration.tested_problem = " ".join(problems)
    if not problems:
        integration.tested_at = timezone.now()
    Integration.objects.filter(pk=integration.pk).update(
        tested_at=integration.tested_at, tested_problem=integration.tested_problem
    )
    return problems


def _problems(integration: Integration) -> Iterator[str]:
    known = credentials_of([integration])[integration.pk]
    asks = origins.blocking(integration.compiled, known, origins.fixed_for(integration))
    if asks:
        yield " ".join(ask.sentence(integration.template) for ask in asks)
    elif credentials.can_check(integration):
        checked = credentials.check(integration, known)
        if not checked.good:
            yield checked.text
    if integration.compiled.webhook.events:
        yield from filter(None, [webhook_problem(integration)])


def webhook_problem(integration: Integration) -> str:
    """Why the provider's requests would not reach this installation; "" if they do."""
    url = integration.webhook_url
    owner = integration.organization.orgid
    token = probes.token(integration.template.service_id, owner)
    answer = http.fetch(
        url,
        method="POST",
        headers={"Content-Type": "application/json", probes.HEADER: token},
        body=b'{"self_test": true}',
        timeout=TIMEOUT,
        max_bytes=MAX_BYTES,
        max_redirects=0,
        trusted=[settings.PUBLIC_URL],
    )
    if isinstance(answer, Fault):
        return _unreached(answer)
    return "" if probes.is_proof(token, answer.headers) else _not_ours(answer)


def _unreached(fault: Fault) -> str:
    place = {"url": settings.PUBLIC_URL, "reason": fault.text}
    if fault.kind == "tls":
        return _("Providers cannot reach %(url)s: its certificate is not accepted. %(reason)s") % place
    if fault.kind == "unanswered":
        return _("The connection to %(url)s works, but nothing answers there. %(reason)s") % place
    return _("Providers may not reach %(url)s: %(reason)s") % place


def _not_ours(answer: HttpResponse) -> str:
    place = {"url": settings.PUBLIC_URL, "status": _status(answer.status)}
    if location := answer.headers.get("location"):
        place["host"] = f"{urlsplit(location).scheme}://{urlsplit(location).netloc}"
        return (
            _(
                "%(url)s redirects to %(host)s, and providers do not follow redirects. Set "
                "PATCHBAY_PUBLIC_URL to the address that answers itself."
            )
            % place
            if urlsplit(location).netloc
            else _("%(url)s redirects webhook requests instead of taking them. Correct the proxy.") % place
        )
    if answer.status in _FROM_PROXY:
        return _("The proxy at %(url)s answers %(status)s: it does not reach Patchbay.") % place
    if answer.status in (401, 403, 407):
        return (
            _(
                "Something in front of Patchbay at %(url)s refuses the request with %(status)s. Let the "
                "proxy pass what is below /services/ without a sign-in."
            )
            % place
        )
    return (
        _(
            "Another application answers at %(url)s, with %(status)s. Check the name, the port and the "
            "proxy, and that it passes the path and the header X-Patchbay-Probe unchanged."
        )
        % place
    )


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
