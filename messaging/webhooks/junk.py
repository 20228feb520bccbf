"""How much of what nobody has verified is stored: a sample, with the number of the others.

Anybody can post to a webhook URL. Of the requests of a minute that could not be filed, the first few of each
address are stored, and of each service; the others are counted on the last of them. Requests that are
accepted, or that a key has verified, are always stored.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from django.db.models import F
from django.db.models.functions import Now

from messaging.models import WebhookRequest
from messaging.statuses import Verdict
from messaging.webhooks.cache import Cache
from messaging.webhooks.owners import Owner
from portal import process

MINUTE = timedelta(seconds=60)


class Most(NamedTuple):
    """How many requests are stored in a minute, of one address and of one service."""

    address: int
    service: int


# Nothing can become of a request with a wrong signature. An unmatched one shows what the template lacks, and
# a text for an unknown number is filed once the number is there.
MOST = {
    Verdict.UNVERIFIED: Most(1, 30),
    Verdict.UNMATCHED: Most(10, 50),
    Verdict.UNPARSABLE: Most(10, 50),
    Verdict.UNKNOWN_NUMBER: Most(100, 300),
    Verdict.DISABLED: Most(100, 300),
}


def is_one_more(owner: Owner, ip: str, verdict: str) -> bool:
    """Counts a request that nobody has verified with one of the last minute, if there are enough of these."""
    most = MOST.get(Verdict(verdict))
    if most is None:
        return False
    key = "junk", owner.account.pk, owner.template.pk, verdict, ip
    last = process.get(Cache).get(key, lambda: _last(owner, ip, verdict, most))
    return last is not None and bool(
        WebhookRequest.objects.filter(pk=last).update(more=F("more") + 1)  # it may be gone
    )


def _last(owner: Owner, ip: str, verdict: str, most: Most) -> int | None:
    """The key of the last request of the minute, of the address if it has any; None if one more is stored."""
    rows = WebhookRequest.objects.filter(account=owner.account, verdict=verdict)
    if verdict == Verdict.UNVERIFIED:
        latest = rows.filter(template=owner.template).order_by("-received_at")
    else:
        # Two steps, each by the index of the quarantine: the latest of the account, then those of the minute.
        latest = WebhookRequest.objects.filter(pk__in=rows.order_by("-pk").values("pk")[: 2 * most.service])
        latest = latest.filter(template=owner.template).order_by("-pk")
    recent = latest.filter(received_at__gt=Now() - MINUTE).values_list("pk", "ip")
    found = list(recent[: most.service])
    mine = [pk for pk, address in found if address == ip[:45]]
    if len(mine) < most.address and len(found) < most.service:
        return None
    return mine[0] if mine else found[0][0]
