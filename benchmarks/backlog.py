"""Run in the environment of a Patchbay that is measured: queues texts as if users had sent them."""

import os
import sys
from datetime import timedelta

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
django.setup()

from django.db.models import Window  # noqa: E402
from django.db.models.functions import RowNumber  # noqa: E402
from django.utils import timezone  # noqa: E402

from messaging.models import Assignment, Conversation, Message  # noqa: E402
from messaging.statuses import Direction  # noqa: E402

CONVERSATIONS = 1000


def queue(first: int, count: int) -> None:
    """Texts in a thousand conversations in turn, of as many numbers that have users as possible."""
    author = dict(Assignment.objects.values_list("number", "user"))
    turn = Window(RowNumber(), partition_by="number", order_by="id")
    own = Conversation.objects.filter(number__in=author).select_related("number")
    conversations = list(own.annotate(turn=turn).order_by("turn", "id")[:CONVERSATIONS])
    expiry = timezone.now() + timedelta(hours=24)
    Message.objects.bulk_create(
        [
            Message(
                organization_id=conversation.organization_id,
                conversation=conversation,
                integration_id=conversation.number.integration_id,
                direction=Direction.OUT,
                author_id=author[conversation.number_id],
                text=str(number),
                expires_at=expiry,
            )
            for number in range(first, first + count)
            if (conversation := conversations[number % CONVERSATIONS])
        ],
        batch_size=1000,
    )


if __name__ == "__main__":
    queue(int(sys.argv[1]), int(sys.argv[2]))
