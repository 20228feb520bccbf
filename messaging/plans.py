"""From claimed rows to requests: everything about the messages is read in a constant number of queries."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import InterfaceError, OperationalError
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from integrations import services
from integrations.language.errors import RenderError
from integrations.requests import Part, plan
from integrations.services import Service
from messaging import media, optout, outcomes
from messaging.models import DeliveryAttempt, Message, OptOut
from messaging.queue import Claim
from portal.models import Membership

logger = logging.getLogger(__name__)


@dataclass
class Job:
    """A claimed message with its requests; the first `done` of them are sent.

    `refusal`: why it can never be sent; `obstacle`: why it cannot be now.
    """

    message: Message
    claim: Claim
    expires: float  # by time.monotonic(): the clock of the database has the say, but not for every request
    service: Service | None = None
    parts: list[Part] = field(default_factory=list)
    done: int = 0
    refusal: str = ""
    obstacle: str = ""

    @property
    def seconds_left(self) -> float:
        """Until the message expires."""
        return self.expires - time.monotonic()

    @property
    def idempotent(self) -> bool:
        """Whether the service suppresses a repeat of the request that is next."""
        if self.service is None or self.done >= len(self.parts):
            return False
        return self.service.compiled.methods[self.parts[self.done].method].idempotent


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
        message = Message.objects.get(pk=claims[0].id)
        return [Job(message, claims[0], 0, refusal=_not_made())]


def _prepare(claims: Sequence[Claim]) -> list[Job]:
    if not claims:
        return []
    claim_of = {claim.id: claim for claim in claims}
    messages = list(
        Message.objects.filter(pk__in=claim_of)
        .select_related("conversation__number", "conversation__contact", "organization", "author")
        .prefetch_related("attachments")
        .annotate(read_at=Now())
        .order_by("next_attempt_at", "pk")
    )
    known = services.ready({message.integration_id for message in messages if message.integration_id})
    extensions = _extensions(messages)
    opted_out = _opted_out(messages)
    sent = _sent_parts(messages)
    clock = time.monotonic()
    jobs = []
    for message in messages:
        expires = clock + (message.expires_at - vars(message)["read_at"]).total_seconds()
        service = known.get(message.integration_id or 0)
        job = Job(message, claim_of[message.pk], expires, service, done=sent[message.pk])
        if refusal := optout.refusal(message.automatic, message.conversation_id in opted_out):
            job.refusal = refusal
        elif not message.conversation.number.active:
            job.refusal = _("The number %(number)s has moved away, or is switched off.") % {
                "number": message.conversation.number
            }
        elif job.seconds_left <= 0:
            job.refusal = outcomes.expired()
        elif service is None:
            job.refusal = outcomes.unrouted() if message.integration_id is None else _not_made()
        elif not service.integration.enabled:
            job.refusal = _("%(service)s is switched off for the organization.") % {
                "service": service.integration.template.name
            }
        elif service.compiled.oauth is not None and "access_token" not in service.values:
            job.obstacle = _("%(service)s has given no access token: is it connected?") % {
                "service": service.integration.template.name
            }
        else:
            _render(job, service, extensions.get((message.author_id, message.organization_id), ""))
        jobs.append(job)
    return jobs


def _not_made() -> str:
    return _("The request could not be made. The server's log says more.")


def _render(job: Job, service: Service, extension: str) -> None:
    message, number = job.message, job.message.conversation.number
    try:
        job.parts = plan(
            service.compiled,
            service.values,
            {
                "from": number.as_sender,
                "to": message.conversation.contact.address,
                "text": number.dressed(message.text),
                "media": [
                    media.variable(item, message, with_content=service.compiled.needs_content)
                    for item in message.attachments.all()
                ],
                "extension": extension,
                "domain": message.organization.domain,
                "orgid": message.organization.orgid,
                "userid": str(message.author_id or ""),
                "username": str(message.author or ""),
                "message_uuid": str(message.uuid),
                "webhook_url": service.integration.webhook_url,
                "country": number.country,
                "attempt_no": message.attempts,
            },
        )
    except RenderError as error:
        job.refusal = _("The request could not be made: %(reason)s") % {
            "reason": service.redactor.text(str(error))
        }
    except Exception:
        logger.exception("Message %s could not be rendered.", message.uuid)
        job.refusal = _not_made()


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
