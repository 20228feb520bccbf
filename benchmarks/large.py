"""Run in the environment of a Patchbay that is measured: a million messages of ten thousand organizations.

A thousand of the organizations send and receive: each has a user, a hundred conversations, and texts that
wait for another attempt tomorrow. All rows look like those that are there: an organization with all that
belongs to it, one message out that was delivered, and one message in. The messages are of the last thirty
days, and the webhooks of seven days are kept.

The numbers of those who send, and their tokens, go into the file that is named.
"""

import json
import os
import sys
from pathlib import Path

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
django.setup()

from benchmarks.multiply import Multiplier, ago, digits, uuid  # noqa: E402
from integrations.models import Integration, PropertyValues  # noqa: E402
from messaging.models import (  # noqa: E402
    Assignment,
    Contact,
    Conversation,
    DeliveryAttempt,
    Message,
    Number,
    WebhookEvent,
)
from messaging.statuses import Direction, QueueState, Status  # noqa: E402
from portal.models import Membership, Organization, PersonalToken, User  # noqa: E402

ORGANIZATIONS, SENDERS = 10_000, 1_000
# Those of senders come first, sender after sender; the other organizations have one each.
CONVERSATIONS_OF_SENDERS = SENDERS * 100
CONVERSATIONS = CONVERSATIONS_OF_SENDERS + ORGANIZATIONS - SENDERS
EACH_WAY = 500_000
WITH_WEBHOOK = EACH_WAY * 7 // 30
WAITING = 3 * SENDERS
DAY = 86_400
AGE = f"({EACH_WAY} - n) * {30 * DAY / EACH_WAY}"


def fill() -> list[tuple[str, str]]:
    """Makes everything; returns numbers and tokens of their users."""
    rows = Multiplier()
    first = organizations(rows)
    conversations(rows, first)
    messages(rows, first)
    rows.finish()
    users = User.objects.filter(pk__gte=first["user"]).order_by("pk")
    numbers = Number.objects.filter(pk__gte=first["number"]).order_by("pk")[:SENDERS]
    return [
        (number.number, PersonalToken.objects.issue(user, "The load generator"))
        for number, user in zip(numbers, users, strict=True)
    ]


def organizations(rows: Multiplier) -> dict[str, int]:
    """Each with an integration and a number, those who send with a user; returns the first ids."""
    acme, alice = Organization.objects.get(), Membership.objects.get()
    organization = rows.add(
        ORGANIZATIONS, acme, orgid=f"'80000000000000' || {digits('n', 6)}",
        name="'Organization ' || n", domain="'o' || n || '.example'",
    )  # fmt: skip
    integration = rows.add(ORGANIZATIONS, Integration.objects.get(), organization_id=f"{organization} + n")
    rows.add(ORGANIZATIONS, PropertyValues.objects.get(), integration_id=f"{integration} + n")
    written = f"'+6188300' || {digits('n', 4)}"
    number = rows.add(
        ORGANIZATIONS, Number.objects.get(), organization_id=f"{organization} + n",
        integration_id=f"{integration} + n", number=written, spelling=written,
    )  # fmt: skip
    user = rows.add(SENDERS, alice.user, email="'user' || n || '@example.com'")
    rows.add(SENDERS, alice, user_id=f"{user} + n", organization_id=f"{organization} + n")
    rows.add(SENDERS, Assignment.objects.get(), user_id=f"{user} + n", number_id=f"{number} + n")
    return {"organization": organization, "integration": integration, "number": number, "user": user}


def owner(conversation: str) -> str:
    """Which organization a conversation belongs to."""
    others = f"{SENDERS} + {conversation} - {CONVERSATIONS_OF_SENDERS}"
    return (
        f"CASE WHEN {conversation} < {CONVERSATIONS_OF_SENDERS} THEN {conversation} % {SENDERS} "
        f"ELSE {others} END"
    )


def belonging(first: dict[str, int], conversation: str, *names: str) -> dict[str, str]:
    """Columns that refer to what a conversation's organization has."""
    return {f"{name}_id": f"{first[name]} + {owner(conversation)}" for name in names}


def conversations(rows: Multiplier, first: dict[str, int]) -> None:
    """With the contacts that the load generator writes to; what it sends opens no new ones."""
    address = f"(n % {SENDERS} + n / {SENDERS} * 10) % 1000"
    first["contact"] = rows.add(
        CONVERSATIONS, Contact.objects.earliest("pk"), address=f"'+61412' || {digits(address, 6)}",
        **belonging(first, "n", "organization"),
    )  # fmt: skip
    last_message = Message.objects.latest("pk").pk + 1 + EACH_WAY
    first["conversation"] = rows.add(
        CONVERSATIONS, Conversation.objects.earliest("pk"), **belonging(first, "n", "organization", "number"),
        contact_id=f"{first['contact']} + n", last_at=ago(f"n * {30 * DAY / CONVERSATIONS}"),
        # The last one in: they are filed conversation after conversation, over and over.
        last_message_id=f"{last_message} + n + ({EACH_WAY} - 1 - n) / {CONVERSATIONS} * {CONVERSATIONS}",
    )  # fmt: skip


def messages(rows: Multiplier, first: dict[str, int]) -> None:
    """Half of them out, half of them in, some of them with a webhook, and some that wait."""
    place = f"(n % {CONVERSATIONS})"
    sent, received = (Message.objects.filter(direction=way).latest("pk") for way in Direction)
    columns = belonging(first, place, "organization", "integration") | {
        "conversation_id": f"{first['conversation']} + {place}",
        "uuid": uuid(),
    }
    moments = dict.fromkeys(("created_at", "changed_at", "next_attempt_at", "expires_at"), ago(AGE))
    author = f"CASE WHEN ({owner(place)}) < {SENDERS} THEN {first['user']} + {owner(place)} END"
    out = rows.add(EACH_WAY, sent, **columns, **moments, author_id=author)
    came = rows.add(EACH_WAY, received, **columns, **moments)
    rows.add(
        EACH_WAY, DeliveryAttempt.objects.get(message=sent), message_id=f"{out} + n", started_at=ago(AGE),
        provider_id="'old-' || n", **belonging(first, place, "organization", "integration"),
    )  # fmt: skip
    webhooks(rows, first, WebhookEvent.objects.get(message=sent), out)
    webhooks(rows, first, WebhookEvent.objects.get(message=received), came)
    place = f"(n % {SENDERS})"
    rows.add(
        WAITING, sent, **belonging(first, place, "organization", "integration"), uuid=uuid(),
        conversation_id=f"{first['conversation']} + {place}", author_id=f"{first['user']} + {place}",
        status=str(int(Status.SENDING)), queue_state=str(int(QueueState.WAITING)), attempts="1",
        next_attempt_at=ago(f"-{DAY}"), expires_at=ago(f"-{2 * DAY}"),
    )  # fmt: skip


def webhooks(rows: Multiplier, first: dict[str, int], sample: WebhookEvent, message: int) -> None:
    """What brought, or reported, the latest of the messages from this one on."""
    skipped = EACH_WAY - WITH_WEBHOOK
    place = f"((n + {skipped}) % {CONVERSATIONS})"
    known = [name for name in ("organization", "integration", "number") if getattr(sample, f"{name}_id")]
    age = ago(f"({WITH_WEBHOOK} - n) * {30 * DAY / EACH_WAY}")
    of_request = [name for name in ("organization", "integration") if getattr(sample.request, f"{name}_id")]
    request = rows.add(
        WITH_WEBHOOK, sample.request, received_at=age, digest=f"'{message}-' || n",
        **belonging(first, place, *of_request),
    )  # fmt: skip
    rows.add(
        WITH_WEBHOOK, sample, request_id=f"{request} + n", message_id=f"{message + skipped} + n",
        key=f"'{message}-' || n", message_uuid=uuid(), created_at=age,
        provider_id=f"'old-' || (n + {skipped})" if sample.provider_id else "''",
        **belonging(first, place, *known),
    )  # fmt: skip


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(fill()))
