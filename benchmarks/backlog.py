"""Run in the environment of a Patchbay that is measured: queues texts as if a user had sent them."""

import os
import sys
from datetime import timedelta

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
django.setup()

from django.utils import timezone  # noqa: E402

from messaging.models import Assignment, Conversation, Message  # noqa: E402
from messaging.statuses import Direction  # noqa: E402


def queue(first: int, count: int) -> None:
    """Messages of the one user to her contacts in turn."""
    author = Assignment.objects.select_related("user", "number").get()
    conversations = list(Conversation.objects.order_by("pk"))
    Message.objects.bulk_create(
        [
            Message(
                organization_id=author.number.organization_id,
                conversation=conversations[number % len(conversations)],
                integration_id=author.number.integration_id,
                direction=Direction.OUT,
                author=author.user,
                text=str(number),
                expires_at=timezone.now() + timedelta(hours=24),
            )
            for number in range(first, first + count)
        ],
        batch_size=1000,
    )


if __name__ == "__main__":
    queue(int(sys.argv[1]), int(sys.argv[2]))
