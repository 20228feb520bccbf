"""From claimed rows to requests: everything about the messages is read in a constant number of queries."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext as _

from integrations.language import document
from integrations.language.errors import RenderError
from integrations.models import Integration
from integrations.properties import secrets_of, values_of
from integrations.redact import Redactor
from integrations.requests import Part, plan
from messaging import media, optout
from messaging.models import DeliveryAttempt, Message, OptOut
from messaging.outcomes import seconds_left
from messaging.queue import Claim
from portal.models import Membership

logger = logging.getLogger(__name__)


@dataclass
class Job:
    """A claimed message with its requests; the first `done` of them are sent.

    `refusal`: why it can never be sent; `obstacle`: why it cannot be now.
    """

    message: Message
    fence: int
    integration: Integration | None = None
    compiled: document.Template | None = None
    values: dict[str, Any] = field(default_factory=dict)
    redactor: Redactor = field(default_factory=lambda: Redactor([]))
    parts: list[Part] = field(default_factory=list)
    done: int = 0
    refusal: str = ""
    obstacle: str = ""

    @property
    def idempotent(self) -> bool:
        """Whether the service suppresses a repeat of the request that is next."""
        if self.compiled is None or self.done >= len(self.parts):
            return False
        return self.compiled.methods[self.parts[self.done].method].idempotent


def prepare(claims: Sequence[Claim]) -> list[Job]:
    """The jobs of claimed messages, rendered, or with the reason why they cannot be sent."""
    try:
        return _prepare(claims)
    except (OperationalError, InterfaceError):
        raise  # the database is away
    except Exception:
        # One row that cannot be read (a secret under a lost key) must not hold up the others.
        if len(claims) > 1:
            return [job for claim in claims for job in prepare([claim])]
        logger.exception("Message %d could not be prepared.", claims[0].id)
        reason = _("The request could not be made. The server's log says more.")
        return [Job(Message.objects.get(pk=claims[0].id), claims[0].fence, refusal=reason)]


def _prepare(claims: Sequence[Claim]) -> list[Job]:
    if not claims:
        return []
    fences = {claim.id: claim.fence for claim in claims}
    messages = list(
        Message.objects.filter(pk__in=fences)
        .select_related("conversation__number", "conversation__contact", "organization", "author")
        .prefetch_related("attachments")
        .order_by("next_attempt_at", "pk")
    )
    wanted = {pk for message in messages if (pk := message.conversation.number.integration_id) is not None}
    integrations = {item.pk: item for item in Integration.objects.ready().filter(pk__in=wanted)}
    values = values_of(integrations.values())
    redactors = {pk: Redactor(secrets_of(item, values[pk])) for pk, item in integrations.items()}
    extensions = _extensions(messages)
    opted_out = _opted_out(messages)
    sent = _sent_parts(messages)
    jobs = []
    for message in messages:
        job = Job(message, fences[message.pk], done=sent[message.pk])
        integration = integrations.get(message.conversation.number.integration_id or 0)
        if refusal := optout.refusal(message.automatic, message.conversation_id in opted_out):
            job.refusal = refusal
        elif integration is None:
            job.refusal = _("The number %(number)s sends through no service.") % {
                "number": message.conversation.number
            }
        elif not integration.enabled:
            job.refusal = _("%(service)s is switched off for the organization.") % {
                "service": integration.template.name
            }
        elif seconds_left(message.expires_at) <= 0:
            job.refusal = _("Not sent before it expired.")
        elif integration.compiled.oauth is not None and "access_token" not in values[integration.pk]:
            job.obstacle = _("%(service)s has given no access token: is it connected?") % {
                "service": integration.template.name
            }
        else:
            job.integration, job.values = integration, values[integration.pk]
            job.redactor = redactors[integration.pk]
            _render(job, extensions.get((message.author_id, message.organization_id), ""))
        jobs.append(job)
    return jobs


def _render(job: Job, extension: str) -> None:
    message, integration = job.message, job.integration
    assert integration is not None
    number = message.conversation.number
    try:
        job.compiled = integration.compiled
        job.parts = plan(
            job.compiled,
            job.values,
            {
                "from": number.as_sender,
                "to": message.conversation.contact.address,
                "text": number.dressed(message.text),
                "media": [
                    media.variable(item, message, with_content=job.compiled.needs_content)
                    for item in message.attachments.all()
                ],
                "extension": extension,
                "domain": message.organization.domain,
                "orgid": message.organization.orgid,
                "userid": str(message.author_id or ""),
                "username": str(message.author or ""),
                "message_uuid": str(message.uuid),
                "webhook_url": integration.webhook_url,
                "country": number.country,
                "attempt_no": message.attempts,
            },
        )
    except RenderError as error:
        job.refusal = _("The request could not be made: %(reason)s") % {
            "reason": job.redactor.text(str(error))
        }
    except Exception:
        logger.exception("Message %s could not be rendered.", message.uuid)
        job.refusal = _("The request could not be made. The server's log says more.")


def _extensions(messages: Sequence[Message]) -> dict[tuple[int | None, int | None], str]:
    authors = {message.author_id for message in messages}
    organizations = {message.organization_id for message in messages}
    rows = Membership.objects.filter(user__in=authors - {None}, organization__in=organizations)
    return {(user, org): ext for user, org, ext in rows.values_list("user", "organization", "extension")}


def _opted_out(messages: Sequence[Message]) -> set[int]:
    """Conversations whose contact opted out, asked again at the moment of sending."""
    pairs = {
        (message.conversation.number_id, message.conversation.contact.address): message.conversation_id
        for message in messages
    }
    rows = OptOut.objects.filter(
        number__in={number for number, _ in pairs}, address__in={address for _, address in pairs}
    ).values_list("number", "address")
    return {pairs[row] for row in rows if row in pairs}


def _sent_parts(messages: Sequence[Message]) -> dict[int, int]:
    """How many requests of each message went out in earlier attempts; they are never repeated."""
    found: dict[int, int] = defaultdict(int)
    again = [message.pk for message in messages if message.attempts > 1]
    if again:
        rows = DeliveryAttempt.objects.filter(message__in=again, result="sent")
        for pk, part in rows.values_list("message", "part"):
            found[pk] = max(found[pk], part)
    return found
