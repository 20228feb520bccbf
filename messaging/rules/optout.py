"""Opt-outs: what contacts say (STOP, START, HELP), what services report, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from messaging import keywords, numbers
from messaging.models import Number, OptOut, WebhookEvent
from portal.database import bulk

OUT, IN, ASK = "optOut", "optIn", "help"
# `Message.automatic` of our answers, and of the texts that were understood so.
CONFIRMATION, RETURN, HELP_ANSWER = "opt-out", "opt-in", "help"
# What is sent even to those who opted out: they asked for it by the text before.
PASSING = frozenset({CONFIRMATION, HELP_ANSWER})


def wish(text: str, number: Number) -> str:
    """What the whole text asks of the number: `optOut`, `optIn`, `help` or nothing ("")."""
    said = keywords.word(text)
    if not said:
        return ""
    if said in keywords.STOP or said == keywords.word(number.opt_out_keyword):
        return OUT
    return IN if said in keywords.START else ASK if said in keywords.HELP else ""


def note(events: Sequence[WebhookEvent]) -> None:
    """Opt-outs hold from the commit that accepts their requests, in whose transaction this is called.

    `events` are those that were stored, in order: the copy of an old STOP changes nothing. Those that did
    change something are marked (`WebhookEvent.consent`). Without STOP or START among them nothing is queried,
    else as much as for one.
    """
    wishes = [(event, said, _sender(event)) for event in events if (said := _wish_of(event))]
    pairs = {(event.number.pk, address) for event, _, address in wishes if event.number and address}
    if not pairs:
        return
    before = set(_opt_outs(pairs).select_for_update().values_list("number", "address"))
    out, told = set(before), set[tuple[int, int, str]]()
    # What the service tells comes before the text beside it that says so.
    for event, said, address in sorted(
        wishes, key=lambda wish: (wish[0].request_id, wish[0].type not in (OUT, IN))
    ):
        if event.number is None or not address:
            continue
        pair, mention = (event.number.pk, address), (event.request_id, event.number.pk, address)
        if said == OUT:
            event.consent = OUT if pair not in out else ""
            out.add(pair)
        else:
            event.consent = IN if pair in out or mention in told else ""
            out.discard(pair)
            if event.consent and event.type == IN:
                told.add(mention)
    organizations = {event.number.pk: event.number.organization_id for event, _, _ in wishes if event.number}
    OptOut.objects.bulk_create(
        [
            OptOut(organization_id=organizations[number], number_id=number, address=address)
            for number, address in sorted(out - before)
        ],
        ignore_conflicts=True,
    )
    if lifted := before - out:
        _opt_outs(lifted).delete()
    bulk.update([event for event, _, _ in wishes if event.consent], "consent")


def note_refused(contacts: Iterable[tuple[Number, str]]) -> None:
    """The service sent to none of these, of a number each, because they opted out there: so they did here."""
    OptOut.objects.bulk_create(
        [
            OptOut(organization_id=number.organization_id, number=number, address=address)
            for number, address in contacts
        ],
        ignore_conflicts=True,
    )


def understood(event: WebhookEvent, text: str) -> str:
    """How a filed text was understood, for `Message.automatic`: "opt-out", "opt-in" or nothing."""
    assert event.number is not None
    if event.consent == IN:
        return RETURN
    return CONFIRMATION if wish(text, event.number) == OUT else ""


def confirmation(number: Number) -> str:
    """What a contact is told who opted out."""
    return number.opt_out_answer or _(
        "%(organization)s: you will get no more messages from this number. Reply START to get them again."
    ) % {"organization": number.organization}


def help_text(number: Number) -> str:
    """What a contact is told who asks for help."""
    return number.help_answer or _(
        "%(organization)s: reply to this number and we will help you. Reply STOP to get no more messages."
    ) % {"organization": number.organization}


def refusal(automatic: str, opted_out: bool) -> str:
    """Why a message (by its `automatic`) cannot go to a contact who has opted out, or has not; else ""."""
    if opted_out and automatic not in PASSING:
        return _("The contact has opted out of messages from this number.")
    if not opted_out and automatic == CONFIRMATION:
        return _("The contact wants messages again.")
    return ""


def _wish_of(event: WebhookEvent) -> str:
    if event.number is None:
        return ""
    if event.type in (OUT, IN):
        return event.type
    if event.payload.get("concat_count", 1) > 1:
        return ""  # a part of something longer
    said = wish(event.payload.get("text", ""), event.number)
    return said if said in (OUT, IN) else ""


def _opt_outs(pairs: Iterable[tuple[int, str]]) -> QuerySet[OptOut]:
    return OptOut.objects.filter(
        reduce(or_, (Q(number=number, address=address) for number, address in pairs))
    )


def _sender(event: WebhookEvent) -> str:
    """Who wrote, as contacts are kept; "" for what is no number: that is set aside when it is filed."""
    assert event.number is not None
    try:
        return numbers.parse(event.payload["sender"], event.number.country).number
    except ValueError:
        return ""
