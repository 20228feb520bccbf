"""Claimed messages with everything that their requests need, read in a constant number of statements."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import Model, prefetch_related_objects

from integrations.events import HttpRequest, Outcome
from integrations.prepared import PreparedIntegration
from integrations.requests import Part
from messaging.engine.queue import Claim
from messaging.models import Attachment, Contact, DeliveryAttempt, Message, Number, OptOut
from portal.database import sql


@dataclass
class Job:
    """A claimed message with its next parts and their requests; `done` parts are sent.

    Where files are to be uploaded, the parts are these uploads; with their results, the others are rendered.
    It goes `to` a contact, or to the members of a group, if several of them had not opted out at first.
    `refusal`: why it can never be sent; `obstacle`: why it cannot be sent now.
    """

    message: Message
    claim: Claim
    number: Number
    to: str | list[str]
    expires: float  # by time.monotonic(): the database's clock decides, but is not asked for every request
    submitted: float  # by time.monotonic(), too; for a scheduled message, its time
    author: str = ""
    extension: str = ""  # of the author, in the organization
    opted_out: bool = False
    files: list[Attachment] = field(default_factory=list)
    through: PreparedIntegration | None = None
    parts: list[Part] = field(default_factory=list)
    requests: list[HttpRequest] = field(default_factory=list)
    done: int = 0
    refusal: str = ""
    obstacle: Outcome | None = None

    @property
    def seconds_left(self) -> float:
        """Until the message expires."""
        return self.expires - time.monotonic()

    @property
    def seconds_since_submission(self) -> float:
        """Since the message was stored, or since the time that was chosen for it."""
        return max(0.0, time.monotonic() - self.submitted)

    @property
    def idempotent(self) -> bool:
        """Whether the provider suppresses a repeat of the next request."""
        if self.through is None or not self.parts:
            return False
        return self.through.compiled.methods[self.parts[0].method].idempotent


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


def read(claims: Sequence[Claim]) -> list[Job]:
    """The jobs of claimed messages, in the order in which they are due.

    One statement reads nearly all: joins are cheap, and a further statement costs as much as all these rows.
    """
    claim_of = {claim.id: claim for claim in claims}
    statement = f"""
        SELECT contact.address, CASE WHEN contact.is_group THEN contact.id END,
            {sql.seconds_until("message.expires_at")},
            {sql.seconds_until("COALESCE(message.send_at, message.created_at)")},
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
    of_groups: dict[int, list[Job]] = defaultdict(list)
    for to, group, seconds_left, age, opted_out, has_files, name, extension, *fields in rows:
        message = _message(fields[: len(_OF_MESSAGE)])
        of_number = fields[len(_OF_MESSAGE) :]
        number = numbers.get(of_number[0])
        if number is None:
            number = numbers[of_number[0]] = Number.from_db(connection.alias, _OF_NUMBER, of_number)
        expires, submitted = clock + seconds_left, clock + age
        claim = claim_of[message.pk]
        job = Job(message, claim, number, to, expires, submitted, name, extension, bool(opted_out))
        jobs.append(job)
        if group is not None:
            of_groups[group].append(job)
        if has_files:
            with_files.append(job)
    _skip_sent(jobs)
    _add_members(of_groups)
    _add_files(with_files)
    return jobs


def _message(values: list[Any]) -> Message:
    message = Message.from_db(connection.alias, _OF_MESSAGE, values)
    message.uuid, message.expires_at = sql.uuid_of(message.uuid), sql.moment(message.expires_at)
    return message


def _add_members(of_groups: Mapping[int, Sequence[Job]]) -> None:
    """Messages to groups go to the members who want them; two statements, if there are any."""
    if not of_groups:
        return
    members = Contact.objects.members_of(of_groups)
    found = OptOut.objects.filter(
        number__in={job.number.pk for jobs in of_groups.values() for job in jobs},
        address__in={address for addresses in members.values() for address in addresses},
    )
    out = set(found.values_list("number", "address"))
    for group, jobs in of_groups.items():
        for job in jobs:
            left = [address for address in members[group] if (job.number.pk, address) not in out]
            job.opted_out = not left
            # What has begun as a message to a group goes on as one: to one member it may have other parts.
            job.to = left[0] if len(left) == 1 and not job.done else left


def _add_files(jobs: Sequence[Job]) -> None:
    if jobs:
        prefetch_related_objects([job.message for job in jobs], "attachments")
        for job in jobs:
            job.files = list(job.message.attachments.all())


def _skip_sent(jobs: Sequence[Job]) -> None:
    """Requests that earlier attempts have sent are never repeated."""
    again = {job.message.pk: job for job in jobs if job.message.attempts > 1}
    if again:
        rows = DeliveryAttempt.objects.sent().filter(message__in=again)
        for pk, part in rows.values_list("message", "part"):
            again[pk].done = max(again[pk].done, part)
