"""From claimed rows to requests: everything about the messages is read in a constant number of queries."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from django.db.models import Model, prefetch_related_objects
from django.utils.translation import gettext as _

from integrations import prepared
from integrations.language.errors import RenderError
from integrations.prepared import PreparedIntegration
from integrations.requests import Part, plan
from messaging import media
from messaging.database import sql
from messaging.models import Attachment, DeliveryAttempt, Message, Number
from messaging.rules import optout
from messaging.sending import outcomes
from messaging.sending.queue import Claim

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
    author: str = ""
    extension: str = ""  # of the author, in the organization
    files: list[Attachment] = field(default_factory=list)
    service: PreparedIntegration | None = None
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


def prepare(claims: Sequence[Claim], known: Mapping[int, PreparedIntegration] | None = None) -> list[Job]:
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


def _prepare(claims: Sequence[Claim], known: Mapping[int, PreparedIntegration] | None) -> list[Job]:
    if not claims:
        return []
    jobs = _read(claims)
    if known is None:
        known = prepared.prepare({job.message.integration_id for job in jobs if job.message.integration_id})
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
            _render(job, service)
    return jobs


def _columns(model: type[Model], names: str) -> list[str]:
    """In the order in which `from_db` takes them."""
    wanted = names.split()
    return [field.attname for field in model._meta.concrete_fields if field.attname in wanted]


_OF_MESSAGE = _columns(
    Message,
    "id uuid organization_id conversation_id integration_id author_id text automatic attempts expires_at",
)
_OF_NUMBER = _columns(
    Number, "id organization_id number country display_name outbound_format header footer active"
)


def _read(claims: Sequence[Claim]) -> list[Job]:
    """The messages with all that belongs to them; those to contacts who have opted out since are refused.

    One statement reads it: joins are cheap, and each further one costs as much as all the rows of this.
    """
    claim_of = {claim.id: claim for claim in claims}
    statement = f"""
        SELECT contact.address, {sql.seconds_until("message.expires_at")},
            EXISTS (
                SELECT 1 FROM messaging_optout AS optout
                WHERE optout.number_id = number.id AND optout.address = contact.address
            ),
            EXISTS (SELECT 1 FROM messaging_attachment AS file WHERE file.message_id = message.id),
            COALESCE(NULLIF(author.name, ''), author.email, ''), COALESCE(member.extension, ''),
            {", ".join(f"message.{name}" for name in _OF_MESSAGE)},
            {", ".join(f"number.{name}" for name in _OF_NUMBER)}
        FROM messaging_message AS message
        JOIN messaging_conversation AS conversation ON conversation.id = message.conversation_id
        JOIN messaging_contact AS contact ON contact.id = conversation.contact_id
        JOIN messaging_number AS number ON number.id = conversation.number_id
        LEFT JOIN portal_user AS author ON author.id = message.author_id
        LEFT JOIN portal_membership AS member
            ON member.user_id = message.author_id AND member.organization_id = message.organization_id
        WHERE {sql.among("message.id")}
        ORDER BY message.next_attempt_at, message.id
    """  # noqa: S608 (constants)
    with connection.cursor() as cursor:
        cursor.execute(statement, [sql.array(claim_of)])
        rows = cursor.fetchall()
    clock, jobs, numbers, with_files = time.monotonic(), [], dict[int, Number](), []
    for to, seconds_left, opted_out, has_files, name, extension, *fields in rows:
        message = _message(fields[: len(_OF_MESSAGE)])
        of_number = fields[len(_OF_MESSAGE) :]
        number = numbers.get(of_number[0])
        if number is None:
            number = numbers[of_number[0]] = Number.from_db(connection.alias, _OF_NUMBER, of_number)
        job = Job(message, claim_of[message.pk], number, to, clock + seconds_left, name, extension)
        job.refusal = optout.refusal(message.automatic, bool(opted_out))
        jobs.append(job)
        if has_files:
            with_files.append(job)
    _add_files(with_files)
    _skip_sent(jobs)
    return jobs


def _message(values: list[Any]) -> Message:
    message = Message.from_db(connection.alias, _OF_MESSAGE, values)
    message.uuid, message.expires_at = sql.uuid_of(message.uuid), sql.moment(message.expires_at)
    return message


def _add_files(jobs: Sequence[Job]) -> None:
    if jobs:
        prefetch_related_objects([job.message for job in jobs], "attachments")
        for job in jobs:
            job.files = list(job.message.attachments.all())


def _skip_sent(jobs: Sequence[Job]) -> None:
    """The requests of each message that went out in earlier attempts are never repeated."""
    again = {job.message.pk: job for job in jobs if job.message.attempts > 1}
    if again:
        rows = DeliveryAttempt.objects.filter(message__in=again, result="sent")
        for pk, part in rows.values_list("message", "part"):
            again[pk].done = max(again[pk].done, part)


def _not_made() -> str:
    return _("The request could not be made. The server's log says more.")


def _render(job: Job, service: PreparedIntegration) -> None:
    message, number, organization = job.message, job.number, service.integration.organization
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
                    for item in job.files
                ],
                "extension": job.extension,
                "domain": organization.domain,
                "orgid": organization.orgid,
                "userid": str(message.author_id or ""),
                "username": job.author,
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
