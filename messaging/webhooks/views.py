"""The webhook endpoint: providers call it in any way that their templates describe."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.http import HttpResponse
from django.utils.translation import gettext as _
from rest_framework.request import Request

from integrations.provider_views import BrokenOff, ProviderView, TooLarge, answered, plain
from messaging.webhooks import accept, refusals
from portal import callers, tracing

# Why a request that was read is answered with an error, by its status.
REASONS = {401: "bad signature", 429: "too many that are not accepted"}

logger = logging.getLogger(__name__)


class WebhookView(ProviderView):
    """Stores what a provider sends, by any method, and answers as its template says.

    Who calls is for the template's `verify` to say.
    """

    def take(self, request: Request, named: Mapping[str, str]) -> HttpResponse:
        service_id = named["service_id"]
        place = f"{request.method} {request.path[:200]!r} from {callers.address_of(request)}"
        try:
            inbound = self.inbound(request, named["path"])
        except BrokenOff:
            refusals.count("broken off", place)
            return plain(400, _("The request broke off.\n"))
        except TooLarge:
            refusals.count("larger than 1 MiB", place)
            return plain(413, _("The body is larger than 1 MiB.\n"))
        try:
            with tracing.span("webhook.accept", {"patchbay.service": service_id}):
                answer = accept.accept(service_id, named["owner"], inbound)
        except Exception:
            logger.exception("Could not store the request to %r.", request.path)
            refusals.count("could not be stored", place)
            return plain(500, _("The request could not be stored. Please send it again.\n"))
        if answer is None:
            refusals.count("unknown service or account", place)
            return plain(404, _("There is no such webhook.\n"))
        if answer.status >= 400:
            refusals.count(REASONS.get(answer.status, "not accepted"), place)
        return answered(answer)
