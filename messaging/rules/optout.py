"""Opt-outs and opt-ins, by keyword (STOP, START, HELP) or reported by the provider."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from integrations.language import phones
from integrations.senders import sender
from messaging import keywords
from messaging.models import Number, OptOut, WebhookEvent
from portal.database import bulk

OUT, IN, HELP = "optOut", "optIn", "help"
# The values of `Message.automatic`: of our replies, and of the inbound messages that caused them.
CONFIRMATION, OPT_IN, HELP_REPLY = "opt-out", "opt-in", "help"
# The replies that are sent even to contacts who have opted out, since they have just asked for them.
ALWAYS_SENT = frozenset({CONFIRMATION, HELP_REPLY})


def keyword_meaning(text: str, number: Number) -> str:
    """What a text means if it is a keyword of the number: `optOut`, `optIn`, `help`, or nothing ("")."""
    word = keywords.word(text)
    if not word:
        return ""
    known = number.words
    if word in known.stop or word in keywords.listed(number.opt_out_keyword):
        return OUT
    return IN if word in known.start else HELP if word in known.help else ""


def apply(events: Sequence[WebhookEvent]) -> None:
    """Applies the opt-outs and opt-ins in new events, in the transaction that stores these.

    `events` are in order and without repeats, so an old STOP that is received again changes nothing. Events
    that change a contact's consent are marked (`WebhookEvent.consent`). The number of queries is constant,
    and none without opt-outs and opt-ins.
    """
    changes = [(event, meaning, _sender(event)) for event in events if (meaning := _meaning_of(event))]
    pairs = {(event.number.pk, address) for event, _, address in changes if event.number}
    if not pairs:
        return
    found = _opt_outs(pairs).select_for_update().values_list("number", "address")
    before = {(number, phones.ways(address)[0]) for number, address in found}
    out, reported = set(before), set[tuple[int, int, str]]()
    # Within a request, the provider's own report comes before the text that caused it.
    for event, meaning, address in sorted(
        changes, key=lambda change: (change[0].request_id, change[0].type not in (OUT, IN))
    ):
        if event.number is None:
            continue
        pair, report = (event.number.pk, address), (event.request_id, event.number.pk, address)
        if meaning == OUT:
            event.consent = OUT if pair not in out else ""
            out.add(pair)
        else:
            event.consent = IN if pair in out or report in reported else ""
            out.discard(pair)
            if event.consent and event.type == IN:
                reported.add(report)
    organizations = {event.number.pk: event.number.organization_id for event, _, _ in changes if event.number}
    OptOut.objects.bulk_create(
        [
            OptOut(organization_id=organizations[number], number_id=number, address=way)
            for number, address in sorted(out - before)
            for way in phones.ways(address)
        ],
        ignore_conflicts=True,
    )
    if lifted := before - out:
        _opt_outs(lifted).delete()
    bulk.update([event for event, _, _ in changes if event.consent], "consent")


def add(contacts: Iterable[tuple[Number, str]]) -> None:
    """Records the opt-outs of contacts, each from a number, as the provider reported them when sending."""
    OptOut.objects.bulk_create(
        [
            OptOut(organization_id=number.organization_id, number=number, address=way)
            for number, address in contacts
            for way in phones.ways(address)
        ],
        ignore_conflicts=True,
    )


def lift(number: Number, address: str) -> bool:
    """Whether the contact had opted out of the number's messages; from now on they have not."""
    return bool(_opt_outs([(number.pk, address)]).delete()[0])


def understood(event: WebhookEvent, text: str) -> str:
    """How an inbound text was understood, for `Message.automatic`: "opt-out", "opt-in" or nothing."""
    assert event.number is not None
    if event.consent == IN:
        return OPT_IN
    return CONFIRMATION if keyword_meaning(text, event.number) == OUT else ""


def confirmation(number: Number) -> str:
    """The reply to a contact who has opted out."""
    return number.opt_out_answer or _(
        "%(organization)s: You have opted out of messages from this number. Reply START to opt in again."
    ) % {"organization": number.organization}


def help_text(number: Number) -> str:
    """The reply to a contact who asks for help."""
    return number.help_answer or _(
        "%(organization)s: Reply to this number and we will help you. Reply STOP to opt out of messages."
    ) % {"organization": number.organization}


def refusal(automatic: str, opted_out: bool) -> str:
    """Why a message (by its `automatic`) must not be sent to a contact; empty if it may be sent."""
    if opted_out and automatic not in ALWAYS_SENT:
        return _("The contact has opted out of messages from this number.")
    if not opted_out and automatic == CONFIRMATION:
        return _("The contact has opted in again.")
    return ""


def _meaning_of(event: WebhookEvent) -> str:
    if event.number is None:
        return ""
    if event.type in (OUT, IN):
        return event.type
    if event.payload.get("concat_count", 1) > 1:
        return ""  # a part of a longer text
    meaning = keyword_meaning(event.payload.get("text", ""), event.number)
    return meaning if meaning in (OUT, IN) else ""


def _opt_outs(pairs: Iterable[tuple[int, str]]) -> QuerySet[OptOut]:
    # One condition for each number, not for each pair: SQLite takes at most 1,000.
    addresses: dict[int, list[str]] = defaultdict(list)
    for number, address in pairs:
        addresses[number] += phones.ways(address)
    return OptOut.objects.filter(
        reduce(or_, (Q(number=number, address__in=ways) for number, ways in addresses.items()))
    )


def _sender(event: WebhookEvent) -> str:
    """The contact's address, in the first of its ways."""
    assert event.number is not None
    return phones.ways(sender(event.payload["sender"], event.number.country))[0]
