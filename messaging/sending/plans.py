"""From claimed rows to requests: everything about the messages is read in a constant number of queries."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db import InterfaceError, OperationalError
from django.db.models import Exists, F, OuterRef, prefetch_related_objects
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from integrations import services
from integrations.language.errors import RenderError
from integrations.requests import Part, plan
from integrations.services import Service
from messaging import media
from messaging.models import Attachment, DeliveryAttempt, Message, Number, OptOut
from messaging.rules import optout
from messaging.sending import outcomes
from messaging.sending.queue import Claim
from portal.models import Membership, User

logger = logging.getLogger(__name__)


@dataclass
class Job:
    """A claimed message with its requests; the first `done` of them are sent.

    `refusal`: why it can never be sent; `obstacle`: why it cannot be now.
    """

    message: Message
    claim: Claim
    number: Number
    to: str
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


def prepare(claims: Sequence[Claim], known: Mapping[int, Service] | None = None) -> list[Job]:
    """The jobs of claimed messages, rendered, or with the reason why they cannot be sent.

    `known` are their services, where the claim has just looked them up.
    """
    try:
        return _prepare(claims, known)
    except (OperationalError, InterfaceError):
        raise  # the database is away
    except Exception:
        # One row that cannot be read (a secret under a lost key) must not hold up the others.
        if len(claims) > 1:
            return [job for claim in claims for job in prepare([claim], known)]
        logger.exception("Message %d could not be prepared.", claims[0].id)
        job = _read(claims)[0]
        job.refusal = _not_made()
        return [job]


def _prepare(claims: Sequence[Claim], known: Mapping[int, Service] | None) -> list[Job]:
    if not claims:
        return []
    jobs = _read(claims)
    if known is None:
        known = services.ready({job.message.integration_id for job in jobs if job.message.integration_id})
    people = _People([job.message for job in jobs])
    for job in jobs:
        job.service = service = known.get(job.message.integration_id or 0)
        if job.refusal:
            continue
        if not job.number.active:
            job.refusal = _("The number %(number)s has moved away, or is switched off.") % {
                "number": job.number
            }
        elif job.seconds_left <= 0:
            job.refusal = outcomes.expired()
        elif service is None:
            job.refusal = outcomes.unrouted() if job.message.integration_id is None else _not_made()
        elif not service.integration.enabled:
            job.refusal = _("%(service)s is switched off for the organization.") % {
                "service": service.integration.template.name
            }
        elif service.compiled.oauth is not None and "access_token" not in service.values:
            job.obstacle = _("%(service)s has given no access token: is it connected?") % {
                "service": service.integration.template.name
            }
        else:
            _render(job, service, people)
    return jobs


def _read(claims: Sequence[Claim]) -> list[Job]:
    """The messages with all that belongs to them; those to contacts who have opted out since are refused."""
    claim_of = {claim.id: claim for claim in claims}
    opted_out = OptOut.objects.filter(
        number=OuterRef("conversation__number"), address=OuterRef("conversation__contact__address")
    )
    messages = list(
        Message.objects.filter(pk__in=claim_of)
        .only(
            "uuid", "organization", "conversation", "integration", "author", "text", "automatic", "attempts",
            "expires_at",
        )
        .annotate(
            now=Now(),
            number=F("conversation__number"),
            to=F("conversation__contact__address"),
            opted_out=Exists(opted_out),
            has_files=Exists(Attachment.objects.filter(message=OuterRef("pk"))),
        )
        .order_by("next_attempt_at", "pk")
    )  # fmt: skip
    also = {message.pk: vars(message) for message in messages}
    numbers = Number.objects.in_bulk({also[message.pk]["number"] for message in messages})
    prefetch_related_objects([item for item in messages if also[item.pk]["has_files"]], "attachments")
    sent = _sent_parts(messages)
    clock = time.monotonic()
    jobs = []
    for message in messages:
        found = also[message.pk]
        expires = clock + (message.expires_at - found["now"]).total_seconds()
        job = Job(message, claim_of[message.pk], numbers[found["number"]], found["to"], expires)
        job.done = sent[message.pk]
        job.refusal = optout.refusal(message.automatic, found["opted_out"])
        jobs.append(job)
    return jobs


class _People:
    """The authors of messages: their names, and the extension that each has in the organization."""

    def __init__(self, messages: Sequence[Message]) -> None:
        authors = {message.author_id for message in messages if message.author_id is not None}
        organizations = {message.organization_id for message in messages}
        self._names = {user.pk: str(user) for user in User.objects.filter(pk__in=authors)}
        members = Membership.objects.filter(user__in=authors, organization__in=organizations)
        self._extensions = {
            (user, organization): extension
            for user, organization, extension in members.values_list("user", "organization", "extension")
        }

    def name(self, message: Message) -> str:
        return self._names.get(message.author_id or 0, "")

    def extension(self, message: Message) -> str:
        return self._extensions.get((message.author_id or 0, message.organization_id), "")


def _not_made() -> str:
    return _("The request could not be made. The server's log says more.")


def _render(job: Job, service: Service, people: _People) -> None:
    message, number, organization = job.message, job.number, service.integration.organization
    files = message.attachments.all() if vars(message)["has_files"] else []
    try:
        job.parts = plan(
            service.compiled,
            service.values,
            {
                "from": number.as_sender,
                "to": job.to,
                "text": number.dressed(message.text),
                "media": [
                    media.variable(item, message, with_content=service.compiled.needs_content)
                    for item in files
                ],
                "extension": people.extension(message),
                "domain": organization.domain,
                "orgid": organization.orgid,
                "userid": str(message.author_id or ""),
                "username": people.name(message),
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


def _sent_parts(messages: Sequence[Message]) -> dict[int, int]:
    """How many requests of each message went out in earlier attempts; they are never repeated."""
    found: dict[int, int] = defaultdict(int)
    again = [message.pk for message in messages if message.attempts > 1]
    if again:
        rows = DeliveryAttempt.objects.filter(message__in=again, result="sent")
        for pk, part in rows.values_list("message", "part"):
            found[pk] = max(found[pk], part)
    return found
