"""An account with twenty organizations of uneven sizes, and two smaller ones: what the lists are measured on.

The words of the texts are as uneven as those of a language, and every fifth text has a number of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from benchmarks.multiply import Multiplier, ago, uuid
from integrations import catalog
from integrations.models import Integration, Template
from messaging.models import (
    Assignment,
    Contact,
    Conversation,
    DeliveryAttempt,
    Message,
    Number,
    WebhookEvent,
    WebhookRequest,
)
from messaging.statuses import Direction, QueueState, Status
from portal.database import text_search
from portal.models import Account, Membership, Organization, User

# Organizations of each account, and how much of everything is theirs.
ACCOUNTS = {"Southern Voice": (20, 85), "Northern Voice": (8, 14), "Island Voice": (2, 1)}
VOCABULARY = 20_000
DAY = 86_400
PERIOD = 90 * DAY
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True)
class Line:
    """A number with its organization, provider and user, and how much of everything is theirs."""

    number: Number
    author: User
    weight: float


def word(rank: int) -> str:
    """A word of the vocabulary; the lower the rank, the more frequent."""
    return "".join(
        CONSONANTS[rest % len(CONSONANTS)] + VOWELS[rest // len(CONSONANTS) % len(VOWELS)]
        for rest in (rank, rank // 70, rank // 4900)
    )


def fill(count: int) -> None:
    """Makes so many messages, and what belongs to them."""
    catalog.install()
    templates = list(Template.objects.filter(account=None).order_by("pk")[:3])
    lines = [
        line
        for place, (name, (organizations, weight)) in enumerate(ACCOUNTS.items())
        for line in _lines(name, place, organizations, weight, templates)
    ]
    rows = Multiplier()
    conversations = count // 10
    first = _conversations(rows, lines, conversations)
    _messages(rows, lines, count, first, conversations)
    text_search.fill("messaging_message", "text")
    _reading()
    rows.finish()


def _lines(name: str, place: int, organizations: int, weight: int, templates: list[Template]) -> list[Line]:
    """Numbers of an account: each organization has two thirds of what the one before it has."""
    account = Account.objects.create(name=name)
    admin = User.objects.create_user(f"account{place}@example.com", name=f"Admin of {name}")
    Membership.objects.create(user=admin, account=account, role=Membership.Role.ACCOUNT_ADMIN)
    lines, shares = [], [(2 / 3) ** rank for rank in range(organizations)]
    for rank, share in enumerate(shares):
        domain = f"o{place}-{rank}.example"
        organization = Organization.objects.create(account=account, name=f"{name} {rank}", domain=domain)
        admin = User.objects.create_user(f"admin@{domain}", name=f"Admin {rank}")
        role = Membership.Role.ORGANIZATION_ADMIN
        Membership.objects.create(user=admin, organization=organization, role=role, extension="100")
        services = [
            Integration.objects.create(organization=organization, template=template) for template in templates
        ]
        for turn in range(4):
            user = User.objects.create_user(f"user{turn}@{domain}", name=f"User {rank}.{turn}")
            Membership.objects.create(user=user, organization=organization, extension=str(101 + turn))
            number = Number.objects.create(
                organization=organization,
                integration=services[turn % len(services)],
                number=f"+618{place}{rank:03d}{turn:04d}",
                country="AU",
            )
            Assignment.objects.create(number=number, user=user)
            # 60, 30, 9 and 1 per cent of the organization's.
            lines.append(Line(number, user, weight * share / sum(shares) * (0.6, 0.3, 0.09, 0.01)[turn]))
    return lines


def _conversations(rows: Multiplier, lines: list[Line], count: int) -> int:
    """Conversations line after line; returns the first id."""
    sample = Contact.objects.create(organization=lines[0].number.organization, address="+61400000000")
    organization = _of_line(lines, [line.number.organization_id for line in lines], "n", count)
    number = _of_line(lines, [line.number.pk for line in lines], "n", count)
    contact = rows.add(
        count,
        sample,
        organization_id=organization,
        address="'+614' || (20000000 + n)",
        name="CASE WHEN n % 3 = 0 THEN 'Contact ' || n ELSE '' END",
    )
    talk = Conversation.objects.create(
        organization=lines[0].number.organization, number=lines[0].number, contact=sample
    )
    return rows.add(
        count,
        talk,
        organization_id=organization,
        number_id=number,
        contact_id=f"{contact} + n",
        last_at=ago(f"n % {PERIOD}"),
    )


def _messages(rows: Multiplier, lines: list[Line], count: int, first: int, conversations: int) -> None:
    """Three of five sent, the others received, in the order of their times."""
    line = lines[0]
    common = {
        "organization": line.number.organization,
        "conversation": Conversation.objects.get(pk=first - 1),
        "integration": line.number.integration,
        "expires_at": "2000-01-01T00:00Z",
        "queue_state": QueueState.DONE,
    }
    sample = Message.objects.create(direction=Direction.OUT, status=Status.DELIVERED, attempts=1, **common)
    talk = f"floor({conversations} * ({_chance('n', 104_729)}))::bigint"

    def of_line(keys: list[int]) -> str:
        return _of_line(lines, keys, talk, conversations)

    out = "n % 5 < 3"
    status = (
        f"CASE WHEN NOT {out} THEN {int(Status.SENT)} WHEN n % 67 = 0 THEN {int(Status.FAILED)} "
        f"WHEN n % 501 = 0 THEN {int(Status.UNKNOWN)} WHEN n % 7 = 0 THEN {int(Status.SENT)} "
        f"ELSE {int(Status.DELIVERED)} END"
    )
    moments = dict.fromkeys(
        ("created_at", "changed_at", "next_attempt_at"), ago(f"({count} - n) * {PERIOD / count}")
    )
    words = " || ' ' || ".join(_word(f"n * 31 + {place}") for place in range(10))
    organization = of_line([line.number.organization_id for line in lines])
    integration = of_line([line.number.integration_id or 0 for line in lines])
    author = of_line([line.author.pk for line in lines])
    message = rows.add(
        count,
        sample,
        uuid=uuid(),
        organization_id=organization,
        integration_id=integration,
        **moments,
        conversation_id=f"{first} + {talk}",
        direction=f"CASE WHEN {out} THEN 'out' ELSE 'in' END",
        author_id=f"CASE WHEN {out} THEN {author} END",
        status=status,
        status_code=f"CASE WHEN {out} AND n % 67 = 0 THEN (30001 + n / 67 % 9)::text ELSE '' END",
        text=f"{words} || CASE WHEN n % 5 = 0 THEN ' ' || (5000000 + n) ELSE '' END",
    )
    _traces(rows, sample, message, count)


def _reading() -> None:
    """Conversations end with their last messages; users have read all but every twentieth."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE messaging_conversation c SET last_message_id = m.id, last_at = m.created_at
            FROM messaging_message m WHERE m.id = (
                SELECT id FROM messaging_message n WHERE n.conversation_id = c.id ORDER BY id DESC LIMIT 1)"""
        )
        cursor.execute(
            """INSERT INTO messaging_reading (conversation_id, user_id, read_to)
            SELECT c.id, a.user_id, c.last_message_id FROM messaging_conversation c
            JOIN messaging_assignment a ON a.number_id = c.number_id
            WHERE c.id % 20 > 0 AND c.last_message_id IS NOT NULL"""
        )


def _traces(rows: Multiplier, message: Message, first: int, count: int) -> None:
    """An attempt for each message that was sent; webhooks for those received, and half of the others."""
    sent, all_webhooks = count * 3 // 5, count * 7 // 10
    attempt = DeliveryAttempt.objects.create(
        message=message,
        organization=message.organization,
        integration=message.integration,
        fence=1,
        started_at=message.created_at,
        milliseconds=80,
        method="POST",
        url="https://api.example.com/messages",
        headers={"Content-Type": "application/json"},
        body='{"text": "***"}',
        answer_status=200,
        answer_body='{"id": "1"}',
        result="sent",
        status=Status.SENT,
    )
    about = f"({first} + n / 3 * 5 + n % 3)"  # the messages that were sent

    def of_message(key: str, column: str) -> str:
        return f"(SELECT m.{column} FROM messaging_message m WHERE m.id = {key})"

    failed = f"{of_message(about, 'status')} = {int(Status.FAILED)}"
    rows.add(
        sent,
        attempt,
        message_id=about,
        started_at=of_message(about, "created_at"),
        organization_id=of_message(about, "organization_id"),
        integration_id=of_message(about, "integration_id"),
        provider_id=f"'made-' || {about}",
        result=f"CASE WHEN {failed} THEN 'failed' ELSE 'sent' END",
        answer_status=f"CASE WHEN {failed} THEN 400 + n % 4 ELSE 200 END",
    )
    integration = message.integration
    assert integration is not None
    request = WebhookRequest.objects.create(
        account=message.organization.account,
        organization=message.organization,
        template=integration.template,
        integration=integration,
        method="POST",
        query=b"",
        headers={"Content-Type": "application/json"},
        body=b'{"method": "message"}',
        digest="",
        verdict="accepted",
        answer_status=200,
    )
    event = WebhookEvent.objects.create(
        request=request,
        organization=message.organization,
        integration=integration,
        type="message",
        payload={},
        state="done",
    )
    # Of ten messages in a row 3, 4, 8 and 9 came in; 0, 2 and 6 have reports.
    about = f"({first} + n / 7 * 10 + (ARRAY[0, 2, 3, 4, 6, 8, 9])[1 + n % 7])"
    organization, used = (of_message(about, f"{name}_id") for name in ("organization", "integration"))
    odd = "n % 331 = 0"
    requests = rows.add(
        all_webhooks,
        request,
        received_at=of_message(about, "created_at"),
        integration_id=used,
        organization_id=f"CASE WHEN n % 1000 = 0 THEN NULL ELSE {organization} END",
        digest="'d' || n",
        account_id=f"(SELECT account_id FROM portal_organization o WHERE o.id = {organization})",
        template_id=f"(SELECT template_id FROM integrations_integration i WHERE i.id = {used})",
        verdict=f"CASE WHEN {odd} THEN 'unmatched' ELSE 'accepted' END",
        reason=f"CASE WHEN {odd} THEN 'No template fits.' ELSE '' END",
    )
    rows.add(
        all_webhooks,
        event,
        request_id=f"{requests} + n",
        message_id=about,
        key="'k' || n",
        message_uuid=uuid(),
        organization_id=organization,
        integration_id=used,
        provider_id=f"'made-' || {about}",
        created_at=of_message(about, "created_at"),
    )


def _of_line(lines: list[Line], keys: list[int], place: str, count: int) -> str:
    """The key that belongs to the line of a conversation, given by its place."""
    bounds, total, so_far = [], sum(line.weight for line in lines), 0.0
    for line in lines[:-1]:
        so_far += line.weight
        bounds.append(int(count * so_far / total))
    return f"(ARRAY{keys})[1 + width_bucket({place}, ARRAY{bounds}::bigint[])]"


def _chance(number: str, factor: int) -> str:
    """Evenly between 0 and 1, always the same for a number."""
    return f"(({number}) * {factor}::bigint % 1000003) / 1000003.0::float8"


def _word(seed: str) -> str:
    """The same as `word`, of a rank that the seed gives."""
    rank = f"floor(power({_chance(seed, 15_485_863)}, 3) * {VOCABULARY})::integer"
    return " || ".join(
        f"substr('{CONSONANTS}', 1 + {rest} % 14, 1) || substr('{VOWELS}', 1 + {rest} / 14 % 5, 1)"
        for rest in (rank, f"({rank} / 70)", f"({rank} / 4900)")
    )
