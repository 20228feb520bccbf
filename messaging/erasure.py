"""Erases a contact: texts, files, traces and raw webhooks, in small steps, with a protocol of it."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Set
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_plus

import phonenumbers
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.language import phones
from integrations.senders import sender
from integrations.studio import captures
from messaging import numbers, retention, wakeups
from messaging.models import (
    Contact,
    Conversation,
    Draft,
    Erasure,
    Message,
    OptOut,
    Remark,
    WebhookEvent,
    WebhookRequest,
)
from messaging.models.contacts import members_in
from messaging.models.erasures import fingerprints, masked
from messaging.statuses import UNFIT, EventState, QueueState, Status
from messaging.wakeups import Task
from portal import audit
from portal.database import text_search
from portal.models import Membership, Organization, SavedView, User

logger = logging.getLogger(__name__)

BATCH = 20  # requests, each of up to a megabyte
CLAIM_SECONDS = 60
# National numbers that are shorter than this are found in texts by chance.
SHORTEST_NATIONAL = 6


def start(
    organization: Organization, given: str, user: User | None, *, with_opt_outs: bool = False
) -> Erasure:
    """Requests an erasure, which a task carries out. Raises ValueError for what can be no contact."""
    address = address_of(organization, given)
    with transaction.atomic():
        with audit.covered():
            row = Erasure.objects.create(
                organization=organization,
                requested_by=user,
                requester=user.email if user else _("the command line"),
                address=address,
                masked=masked(address),
                fingerprint=fingerprints(address)[0],
                with_opt_outs=with_opt_outs,
                whole_account=user is None
                or user.is_operator
                or organization.account_id in user.administered_accounts,
            )
        audit.record(audit.Action.ERASED, row, name=row.masked)
        wakeups.after_commit(Task.ERASE)
    return row


def drain() -> None:
    """Carries out what was requested. What cannot be finished now is tried again."""
    for key in Erasure.objects.filter(finished_at=None).order_by("pk").values_list("pk", flat=True):
        try:
            carry_out(key)
        except (InterfaceError, OperationalError):
            raise  # the database is away
        except Exception:
            logger.exception("Erasure %d failed. It is tried again in a minute.", key)


def carry_out(key: int) -> bool:
    """Whether the contact is erased; if not, another process is at it, or a message is being sent now.

    It may be repeated, from the beginning, until it is finished: the counts go on.
    """
    if not _claim(key):
        return False
    row = Erasure.objects.select_related("organization__account").get(pk=key)
    address, organization = row.address, row.organization
    if not address:  # its key was given up: the list shows it as unfinished, and it is requested anew
        return False
    counts = Counter(row.counts)
    _cancel(organization, address)
    for counted in _webhooks(organization, address, whole_account=row.whole_account):
        counts += counted
        _go_on(key, counts)
    if row.whole_account and (pattern := _pattern(address)) is not None:
        counts["captured"] += captures.erase(organization.account, pattern)
    done = _messages(organization, address).filter(queue_state=QueueState.DONE)
    for counted in retention.delete_messages(done):
        counts += counted
        _go_on(key, counts)
    if _messages(organization, address).exists():
        Erasure.objects.filter(pk=key).update(claimed_until=None)
        return False
    with transaction.atomic():
        ways = phones.ways(address)
        # Who was in a group is known by its number, so that groups go as a whole.
        about = _about(organization, address)
        conversations = Conversation.objects.filter(organization=organization, contact__in=about)
        counts["conversations"] += conversations.count()
        Draft.objects.filter(conversation__in=conversations).delete()
        counts["notes"] += Remark.objects.filter(
            conversation__in=conversations, kind=Remark.Kind.NOTE
        ).count()
        conversations.delete()
        keys = list(about.values_list("pk", flat=True))
        others = list(Contact.objects.filter(groups__in=keys).values_list("pk", flat=True))
        Contact.objects.filter(pk__in=keys).delete()
        retention.forget_nobodies(others)
        if row.with_opt_outs:
            found = OptOut.objects.filter(organization=organization, address__in=ways)
            counts["opt-outs"] += found.delete()[0]
        Erasure.objects.filter(pk=key).update(
            counts=+counts, address="", finished_at=Now(), claimed_until=None
        )
    _forget_views(organization, address)
    text_search.forget(Message._meta.db_table)
    return True


def _forget_views(organization: Organization, address: str) -> None:
    """Deletes the saved views of lists that search for the contact, of people of the account."""
    people = Membership.objects.filter(account=organization.account).values("user")
    for view in SavedView.objects.filter(Q(account=organization.account) | Q(owner__in=people)):
        said, pattern = unquote_plus(view.query), _pattern(address)
        if address in said or (pattern is not None and pattern.search(said)):
            view.delete()


def _claim(key: int) -> bool:
    """Whether this process has the erasure for the next minute."""
    free = Q(claimed_until=None) | Q(claimed_until__lt=Now())
    waiting = Erasure.objects.filter(free, pk=key, finished_at=None)
    return bool(waiting.update(claimed_until=Now() + timedelta(seconds=CLAIM_SECONDS)))


def _go_on(key: int, counts: Counter[str]) -> None:
    """Stores how far it has come, and keeps the claim."""
    until = Now() + timedelta(seconds=CLAIM_SECONDS)
    Erasure.objects.filter(pk=key).update(counts=+counts, claimed_until=until)


def _messages(organization: Organization, address: str) -> QuerySet[Message]:
    about = _about(organization, address)
    return Message.objects.filter(organization=organization, conversation__contact__in=about)


def _about(organization: Organization, address: str) -> QuerySet[Contact]:
    """The contact, and the groups that it is a member of."""
    known = Contact.objects.filter(organization=organization, address__in=phones.ways(address))
    return Contact.objects.filter(Q(pk__in=known) | Q(pk__in=known.groups()))


def _cancel(organization: Organization, address: str) -> None:
    """What waits is not sent any more."""
    waiting = _messages(organization, address).filter(queue_state=QueueState.WAITING)
    keys = list(waiting.values_list("pk", flat=True))
    Message.objects.filter(pk__in=keys, queue_state=QueueState.WAITING).update(
        queue_state=QueueState.DONE, status=Status.FAILED, status_text=_("The contact was erased.")
    )


def _webhooks(organization: Organization, address: str, *, whole_account: bool) -> Iterator[Counter[str]]:
    """Empties the contact's events, which still tell repeats apart, and the requests that they came in.

    A phone number is also searched for in all other requests of the organization; and in those of the account
    of which nobody knows whose they are, if an admin of the account has asked for it.
    """
    pattern, ways = _pattern(address), phones.ways(address)
    about = set(_about(organization, address).values_list("pk", flat=True))
    for batch in _requests(organization, whole_account=whole_account):
        events = [
            event
            for event in WebhookEvent.objects.filter(request__in=batch).select_related(
                "message__conversation", "number"
            )
            if event.organization_id in (None, organization.pk) and _erased_from(event, ways, about)
        ]
        mine = {event.request_id for event in events}
        found = [
            item
            for item in batch
            if (item.query or item.body)
            and (item.pk in mine or (pattern is not None and pattern.search(_text_of(item))))
        ]
        for item in found:
            item.query, item.headers, item.body = b"", {}, b""
            item.answer_body, item.answer_headers, item.tried = "", {}, []
            item.reason = _("Its content was erased at the request of a contact.")
        with transaction.atomic():
            WebhookRequest.objects.bulk_update(
                found, ["query", "headers", "body", "answer_body", "answer_headers", "tried", "reason"]
            )
            WebhookEvent.objects.bulk_update(events, ["payload", "provider_id", "state"])
            # What fits no event is described by what it says.
            unfit = WebhookEvent.objects.filter(request__in=found, type=UNFIT)
            unfit.update(reason="", state=EventState.DONE)
        yield Counter(webhooks=len(found), events=len(events))


def _erased_from(event: WebhookEvent, ways: Collection[str], about: Set[int]) -> bool:
    """Whether the event told of the contact, who is not in it any more.

    What they have sent, and what is about a message of theirs or of their groups, is emptied.
    """
    before, country = event.payload, event.number.country if event.number else ""

    def names(given: str) -> bool:
        return bool(given) and sender(given, country) in ways

    message = event.message
    if names(before.get("sender", "")) or (message and message.conversation.contact_id in about):
        event.payload = _emptied(before)
        if event.payload != before:
            event.provider_id, event.state = "", EventState.DONE
    else:  # others have written to them, too
        lists = {name: before[name] for name in ("recipients", "members") if name in before}
        left = {name: [each for each in given if not names(each)] for name, given in lists.items()}
        event.payload = {**before, **left}
    return bool(event.payload != before)


def _text_of(item: WebhookRequest) -> str:
    """What the request says, as it came and decoded; its headers are the provider's."""
    raw = (bytes(item.query) + b" " + bytes(item.body)).decode("utf-8", "replace")
    return f"{raw} {unquote_plus(raw)} {item.reason}"


def _emptied(payload: dict[str, Any]) -> dict[str, Any]:
    """An event of the same kind that says nothing."""
    kept = ("kind", "type", "status")
    return {
        name: value
        if name in kept
        else []
        if isinstance(value, list)
        else ""
        if isinstance(value, str)
        else value
        for name, value in payload.items()
    }


def _requests(organization: Organization, *, whole_account: bool) -> Iterator[list[WebhookRequest]]:
    """In batches, the latest first."""
    whose = Q(organization=organization)
    whose |= Q(organization=None, about=organization)
    if whole_account:
        whose |= Q(organization=None, account=organization.account)
    rows = WebhookRequest.objects.filter(whose).order_by("-pk")
    last = None
    while batch := list((rows if last is None else rows.filter(pk__lt=last))[:BATCH]):
        last = batch[-1].pk
        yield batch


def _pattern(address: str) -> re.Pattern[str] | None:
    """Finds a phone number however it is spelled: with or without the country, spaces, dashes and brackets.

    Short codes and names are no pattern: they would be found by chance.
    """
    if not address.startswith("+") or members_in(address):
        return None
    code = str(phonenumbers.parse(address).country_code)
    return re.compile("|".join(_spelled(code, way.removeprefix(f"+{code}")) for way in phones.ways(address)))


def _spelled(code: str, national: str) -> str:
    gap = r"[ ().\-/]{0,3}"
    prefix = rf"(?:(?:\+|00)?{gap}{gap.join(code)}{gap}(?:0{gap})?|0{gap})"
    if len(national) >= SHORTEST_NATIONAL:
        prefix += "?"
    return rf"(?<!\d){prefix}{gap.join(national)}(?!\d)"


def address_of(organization: Organization, given: str) -> str:
    """The address of a contact that an administrator wrote: a number, a name, or as a text of it came.

    Raises ValueError for anything without letters that is no number and no contact of the organization. A
    contact may be a group.
    """
    came = sender(given, "")
    if any(letter.isalpha() for letter in given):
        return came
    known = Contact.objects.filter(organization=organization, address__in=[came, given.strip()])
    return known.values_list("address", flat=True).first() or numbers.parse(given).number


def of_number(given: str) -> list[str]:
    """The fingerprints of a phone number, in all ways in which it is written; none for anything else."""
    address = sender(given, "")
    if not address.startswith("+"):
        return []
    return [print_ for way in phones.ways(address) for print_ in fingerprints(way)]


def in_words(counts: Mapping[str, int]) -> list[str]:
    """What was erased, such as "12 messages"."""
    words = {
        "messages": ngettext("%(count)d message", "%(count)d messages", counts.get("messages", 0)),
        "files": ngettext("%(count)d file", "%(count)d files", counts.get("files", 0)),
        "attempts": ngettext(
            "%(count)d delivery attempt", "%(count)d delivery attempts", counts.get("attempts", 0)
        ),
        "webhooks": ngettext(
            "the content of %(count)d webhook",
            "the content of %(count)d webhooks",
            counts.get("webhooks", 0),
        ),
        "captured": ngettext(
            "%(count)d captured request", "%(count)d captured requests", counts.get("captured", 0)
        ),
        "events": ngettext("%(count)d event", "%(count)d events", counts.get("events", 0)),
        "conversations": ngettext(
            "%(count)d conversation", "%(count)d conversations", counts.get("conversations", 0)
        ),
        "notes": ngettext("%(count)d internal note", "%(count)d internal notes", counts.get("notes", 0)),
        "opt-outs": ngettext("%(count)d opt-out", "%(count)d opt-outs", counts.get("opt-outs", 0)),
    }
    return [words[name] % {"count": counts[name]} for name in words if counts.get(name)]
