"""Out, first step: what people submit at one moment becomes messages in one transaction.

It takes the same number of statements for any number of submissions. The tables have the last word: who may
send through a number, who has opted out, and what was sent before are read in the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _

from messaging import wakeups
from messaging.engine import outbox
from messaging.engine.group_commit import GroupCommit
from messaging.engine.outbox import Entry, Submission, Submitted
from messaging.engine.quotas import Quotas
from messaging.errors import Refused
from messaging.groups import Group, contacts_of
from messaging.models import Assignment, Contact, Conversation, Message, Number, OptOut
from messaging.models.contacts import members_in
from messaging.rules import stickiness
from messaging.wakeups import Task
from portal import metrics, process
from portal.database import bulk


class Submissions(GroupCommit[Submission, "Submitted | Refused"]):
    """The submissions of this process, committed together."""

    def write(self, batch: Sequence[Submission]) -> list[Submitted | Refused]:
        return _write(batch)

    def after(self, batch: Sequence[Submission], results: Sequence[Submitted | Refused]) -> None:
        for result in results:
            metrics.SUBMISSIONS.labels("refused" if isinstance(result, Refused) else "accepted").inc()
        wakeups.wake(Task.DISPATCH_DUE)


def enqueue(submission: Submission) -> Submitted:
    """Commits a submission as a message. Raises Refused; then nothing is stored.

    Returns the existing message if its author has used the uuid before, or if the original was resent before.
    """
    result = process.get(Submissions).put(submission)
    if isinstance(result, Refused):
        raise result
    return result


def enqueue_many(batch: Sequence[Submission]) -> Sequence[Submitted | Exception]:
    """`enqueue` for many, in as few statements as for one: what it returns or raises for each."""
    return process.get(Submissions).put_all(batch)


def not_yours() -> Refused:
    """The number is not among the author's."""
    return Refused(lambda: _("You cannot send through this number."), "from")


def without_integration(number: Number) -> Refused:
    """The number sends through no integration that is switched on."""
    return Refused(
        lambda: (
            _("%(number)s has no provider to send through. Ask an administrator to set one up.")
            % {"number": number}
        ),
        "from",
    )


def opted_out(contact: str) -> Refused:
    """The contact wants no messages from the number; with commas between, several want none."""
    return Refused(
        lambda: _("%(contact)s has opted out of messages from this number.") % {"contact": contact}, "to"
    )


def _write(batch: Sequence[Submission]) -> list[Submitted | Refused]:
    """The result of each submission, in the caller's transaction: a message, or why there is none."""
    entries = [Entry(submission) for submission in _to_known(batch)]
    outbox.look_up(entries)
    first: dict[UUID, Entry] = {}
    for entry in entries:
        if not entry.facts.before:
            first.setdefault(entry.submission.uuid, entry)
    _refuse(list(first.values()))
    new = _open(list(first.values()))
    _begin([entry for entry in new if entry.facts.conversation is None])
    if any(entry.facts.sticky for entry in new):
        _keep_private(new)
        new = _open(new)
    outbox.insert(new)
    _find_those_before(_open(entries), {uuid: entry.result for uuid, entry in first.items()})
    return [entry.result for entry in entries if entry.result is not None]


def _begin(entries: Sequence[Entry]) -> None:
    """Creates the missing conversations, and for groups their contacts first."""
    groups = [
        Group(entry.submission.number.organization_id, entry.submission.members)
        for entry in entries
        if entry.submission.members
    ]
    if groups:
        people = {
            (entry.submission.number.organization_id, address)
            for entry in entries
            for address in entry.submission.members or (entry.submission.address,)
        }
        contacts_of(groups, Contact.objects.get_or_make(people))
    outbox.begin(entries)


def _to_known(batch: Sequence[Submission]) -> list[Submission]:
    """The submissions with the addresses under which their contacts are known."""
    known = Contact.objects.known_as(
        (each.number.organization_id, address)
        for each in batch
        for address in each.members or (each.address,)
    )
    return [_known(each, known) for each in batch]


def _known(given: Submission, known: Mapping[tuple[int, str], str]) -> Submission:
    organization = given.number.organization_id
    if group := Group.of(organization, (known[organization, each] for each in given.members)):
        return replace(given, address=group.address, members=group.members)
    address = known[organization, given.members[0] if given.members else given.address]
    return given if address == given.address else replace(given, address=address, members=())


def _open(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.result is None]


def _refuse(entries: Sequence[Entry]) -> None:
    counted = [
        (entry.submission.author, entry.submission.number)
        for entry in entries
        if entry.submission.author is not None and entry.submission.resend_of is None
    ]
    quotas, out = Quotas(counted), _opted_out(entries)
    for entry in entries:
        entry.result = _refusal(entry, out, quotas)


def _opted_out(entries: Sequence[Entry]) -> set[tuple[int, str]]:
    """The members of groups that somebody has named, who have opted out: by number and address."""
    named = [entry.submission for entry in entries if entry.submission.members]
    if not named:
        return set()
    found = OptOut.objects.filter(
        number__in={given.number.pk for given in named},
        address__in={address for given in named for address in given.members},
    )
    return set(found.values_list("number", "address"))


def _refusal(entry: Entry, out: Set[tuple[int, str]], quotas: Quotas) -> Refused | None:
    submission = entry.submission
    number, address = submission.number, submission.address
    if not entry.facts.may:
        return not_yours()
    if not entry.facts.enabled:
        return without_integration(number)
    left = [each for each in submission.members if (number.pk, each) in out]
    if entry.facts.opted_out or left:
        return opted_out(", ".join(left) or address)
    if entry.facts.conversation is None and members_in(address) and not submission.members:
        return Refused(lambda: _("This group is no longer there."), "to")
    if submission.author is None or submission.resend_of is not None:
        return None
    return quotas.take(submission.author, number)


def _keep_private(entries: Sequence[Entry]) -> None:
    """Applies session stickiness, with all conversations locked in one order."""
    rows = Conversation.objects.filter(pk__in={entry.facts.conversation for entry in entries}).order_by("pk")
    locked = {row.pk: row for row in rows.select_for_update(of=("self",), no_key=True)}
    numbers = Number.objects.in_bulk({entry.submission.number.pk for entry in entries})
    users_of = Assignment.objects.filter(number__in=numbers).users_by_number()
    begun = {entry.facts.conversation for entry in entries if entry.begins}
    for entry in entries:
        if (
            entry.facts.sticky
            and entry.submission.author is not None
            and entry.facts.conversation is not None
        ):
            conversation = locked[entry.facts.conversation]
            number = numbers[conversation.number_id]
            try:
                stickiness.on_sent(
                    conversation,
                    entry.submission.author,
                    number,
                    started=conversation.pk in begun,
                    shared=len(users_of[number.pk]) > 1,
                )
            except Refused as refusal:
                entry.result = refusal
            begun.discard(entry.facts.conversation)  # by its first message
    bulk.update(list(locked.values()), "private_to", "private_until")


def _find_those_before(entries: Sequence[Entry], results: Mapping[UUID, Submitted | Refused | None]) -> None:
    """Finds what was sent before, or by somebody else at the same time; `results` are those of the batch."""
    if not entries:
        return
    copies = [entry.submission.resend_of for entry in entries if entry.submission.resend_of is not None]
    found = Message.objects.select_related("conversation__number", "conversation__contact").filter(
        Q(uuid__in=[entry.submission.uuid for entry in entries]) | Q(resend_of__in=copies)
    )
    by_uuid = {message.uuid: message for message in found}
    by_origin = {message.resend_of_id: message for message in found}
    for entry in entries:
        origin, author = entry.submission.resend_of, entry.submission.author
        message = by_origin.get(origin.pk) if origin is not None else by_uuid.get(entry.submission.uuid)
        if message is None:  # a repeat within the batch of one that was refused
            entry.result = results.get(entry.submission.uuid)
            continue
        if origin is None and message.author_id != (author.pk if author else None):
            entry.result = Refused(
                lambda: _("This message has been sent already. Reload the page and write a new one.")
            )
        else:
            entry.result = Submitted(message.pk, entry.submission.address, message)
