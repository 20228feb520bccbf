"""Erases a contact: texts, files, traces and raw webhooks, in small steps, with a protocol of it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import unquote_plus

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.language import phones
from integrations.senders import sender
from integrations.studio import captures
from integrations.studio.example import kept as pasted
from messaging import erased_webhooks, numbers, retention, wakeups
from messaging.models import (
    Contact,
    Conversation,
    Draft,
    Erasure,
    Message,
    OptOut,
    Remark,
)
from messaging.models.erasures import fingerprints, masked
from messaging.receivers import outbox
from messaging.statuses import QueueState, Status
from messaging.transfer import work
from messaging.wakeups import Task
from portal import audit
from portal.database import text_search
from portal.models import Membership, Organization, SavedView, User

logger = logging.getLogger(__name__)

CLAIM_SECONDS = 60


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
    contacts = set(_about(organization, address).values_list("pk", flat=True))
    for counted in erased_webhooks.empty(organization, address, contacts, whole_account=row.whole_account):
        counts += counted
        _go_on(key, counts)
    if row.whole_account and (pattern := numbers.pattern(address)) is not None:
        counts["captured"] += captures.erase(organization.account, pattern)
        counts["pasted"] += pasted.erase(organization.account, pattern)
    done = _messages(organization, address).filter(queue_state=QueueState.DONE)
    for counted in retention.delete_messages(done):
        counts += counted
        _go_on(key, counts)
    if _messages(organization, address).exists():
        Erasure.objects.filter(pk=key).update(claimed_until=None)
        return False
    _forget_lists(organization, address)  # first, so that no import brings the contact back
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
        _go_on(key, counts)
    _forget_lists(organization, address)  # again: exports have read the contact until now
    text_search.forget(Message._meta.db_table)
    # Last of all: without its address it cannot be repeated.
    Erasure.objects.filter(pk=key).update(address="", finished_at=Now(), claimed_until=None)
    return True


def _forget_lists(organization: Organization, address: str) -> None:
    """Deletes the saved views that search for the contact, and the imports and exports that mention it."""
    pattern = numbers.pattern(address)

    def mentions(said: str) -> bool:
        return address in said or (pattern is not None and pattern.search(said) is not None)

    people = Membership.objects.filter(account=organization.account).values("user")
    for view in SavedView.objects.filter(Q(account=organization.account) | Q(owner__in=people)):
        if mentions(unquote_plus(view.query)):
            view.delete()
    work.erase(organization, mentions)


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
    """What waits is not sent any more, and receivers are told so."""
    waiting = _messages(organization, address).filter(queue_state=QueueState.WAITING)
    with transaction.atomic():
        keys = list(waiting.select_for_update(of=("self",)).values_list("pk", flat=True))
        Message.objects.filter(pk__in=keys).update(
            queue_state=QueueState.DONE,
            status=Status.FAILED,
            status_text=_("The contact was erased."),
            changed_at=Now(),
        )
        outbox.note_statuses(keys, erased=True)


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
        "pasted": ngettext(
            "what was pasted for %(count)d template",
            "what was pasted for %(count)d templates",
            counts.get("pasted", 0),
        ),
        "events": ngettext("%(count)d event", "%(count)d events", counts.get("events", 0)),
        "conversations": ngettext(
            "%(count)d conversation", "%(count)d conversations", counts.get("conversations", 0)
        ),
        "notes": ngettext("%(count)d internal note", "%(count)d internal notes", counts.get("notes", 0)),
        "opt-outs": ngettext("%(count)d opt-out", "%(count)d opt-outs", counts.get("opt-outs", 0)),
    }
    return [words[name] % {"count": counts[name]} for name in words if counts.get(name)]
