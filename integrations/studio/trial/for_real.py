"""A single request for real: through an organization's integration, to a number that somebody enters."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from integrations import as_text, http, origins, responses
from integrations.language import phones
from integrations.language.document import Template as Compiled
from integrations.language.errors import RenderError
from integrations.models import Integration, Template, TemplateRevision
from integrations.origins import Ask, Held
from integrations.properties import ACCESS_TOKEN, Credentials, credentials_of
from integrations.requests import Part, plan
from integrations.studio.trial.trips import Step, Trip, answered
from portal import audit
from portal.models import User
from portal.throttling import HOUR, count

PER_HOUR = 10


def integrations_for(user: User, template: Template) -> QuerySet[Integration]:
    """Those that are switched on, in the accounts that the user administers."""
    found = Integration.objects.ready().filter(template=template, enabled=True)
    if not user.is_operator:
        found = found.filter(organization__account__in=user.administered_accounts)
    return found.order_by("organization__name")


@dataclass(frozen=True)
class Attempt:
    """What a request through an integration, with a revision, is made of, and where its secrets go."""

    integration: Integration
    compiled: Compiled
    credentials: Credentials

    @classmethod
    def through(cls, integration: Integration, revision: TemplateRevision) -> Attempt:
        """The attempt with the integration's own values, as the revision reads them."""
        compiled = revision.compiled
        return cls(integration, compiled, credentials_of([integration], compiled)[integration.pk])

    @property
    def asks(self) -> list[Ask]:
        """What must be answered first; until then nothing is sent."""
        return origins.blocking(self.compiled, self.credentials, self._fixed)

    @property
    def questions(self) -> list[str]:
        """The `asks` in sentences."""
        return [ask.sentence(self.integration.template) for ask in self.asks]

    @property
    def destinations(self) -> list[tuple[str, list[str]]]:
        """Each secret that the revision knows, with the origins that it reaches."""
        reached = origins.reach(self.compiled, self.credentials.values, self._fixed)
        names = {ACCESS_TOKEN: _("access token")}
        return [(names.get(label, label), sorted(filter(None, found))) for label, found in reached.items()]

    @property
    def _fixed(self) -> dict[str, Any]:
        return origins.fixed_for(self.integration)

    def part(self, ours: str, contact: str, words: str) -> Part:
        """The only request that the message takes. Raises ValidationError with the reason why not."""
        if questions := self.questions:
            raise ValidationError(questions)
        if self.compiled.grant is not None and ACCESS_TOKEN not in self.credentials.values:
            raise ValidationError(_("The integration is not connected. Connect it first."))
        message: Mapping[str, Any] = {
            "from": ours,
            "to": contact,
            "text": words,
            "media": [],
            "message_uuid": str(uuid4()),
            "country": phones.country_of(contact),
            "attempt_no": 1,
            **self._fixed,
        }
        try:
            parts = plan(self.compiled, self.credentials.values, message)
        except RenderError as error:
            raise ValidationError(self.credentials.redactor().text(str(error))) from None
        if len(parts) != 1:
            reason = _("This text takes %(number)d requests, and a trial sends one. Shorten the text.")
            raise ValidationError(reason % {"number": len(parts)})
        return parts[0]


def send(attempt: Attempt, revision: TemplateRevision, part: Part, user: User, token: str) -> Trip:
    """Sends the request once for each token, and returns the result; raises ValidationError instead.

    Nothing is stored but the entry in the audit, which is written first.
    """
    hide = attempt.credentials.redactor()
    try:
        request = origins.release(part.request, attempt.credentials)
    except Held as held:
        template = attempt.integration.template
        raise ValidationError([ask.sentence(template) for ask in held.asks]) from None
    tried = f"tried:{user.pk}:{token}"
    if not token or not cache.add(tried, True, HOUR):
        raise ValidationError(_("This was sent already. Open the page anew to send another one."))
    if (wait := count(f"trial:{user.pk}", PER_HOUR, HOUR)) is not None:
        cache.delete(tried)
        reason = _("You have sent %(number)d messages in this hour. Wait %(minutes)d minutes.")
        raise ValidationError(reason % {"number": PER_HOUR, "minutes": wait // 60 + 1})
    audit.record(audit.Action.TRIED, attempt.integration, {str(_("revision")): ("", str(revision.number))})
    trip = Trip(str(part.variables["text"]), simulated=False)
    trip.steps.append(Step(0.0, "out", _("Patchbay sends a request"), as_text.request(part.shown, hide)))
    began = time.monotonic()
    received = http.send(request).result()
    seconds = time.monotonic() - began
    outcome = responses.read(
        attempt.compiled, part.method, attempt.credentials.values, part.variables, received
    )
    trip.steps.append(answered(received, outcome, seconds, hide))
    return trip
