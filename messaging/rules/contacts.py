"""What people do with contacts: name them, block and unblock them, and merge the numbers of one person.

The audit tells who did it and what kind of thing changed. It shows no names, numbers or notes: these would
outlive the erasure of the contact.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from messaging.errors import Refused
from messaging.models import Contact, ContactTag, Conversation, Remark
from messaging.models.erasures import masked
from messaging.rules import teamwork
from portal import audit
from portal.models import Organization, User
from portal.models.audit_entries import Change

MAX_TAGS = 30


def edit(
    contact: Contact,
    by: User,
    *,
    name: str | None = None,
    company: str | None = None,
    note: str | None = None,
    tags: Iterable[str] | None = None,
) -> None:
    """Changes what is known of the person whom the contact stands for; None leaves it as it is."""
    with transaction.atomic(), audit.covered():
        person = Contact.objects.select_for_update(of=("self",), no_key=True).get(pk=contact.person.pk)
        before = audit.snapshot(person)
        given = {"name": name, "company": company, "note": note}
        fields = {field: value for field, value in given.items() if value is not None}
        for field, value in fields.items():
            setattr(person, field, value)
        person.save(update_fields=fields)
        if tags is not None:
            person.tags.set(tags_of(person.organization, tags))
        changed = audit.difference(before, audit.snapshot(person))
        if changed:
            _record(person, changed)
            teamwork.remark_in_all(_conversations(person), Remark.Kind.EDITED, by)


def tag_names(words: str) -> list[str]:
    """The tags in a text, separated by commas. Raises Refused for too many or too long ones."""
    tags = list(dict.fromkeys(tag for word in words.split(",") if (tag := " ".join(word.split()))))
    longest = ContactTag._meta.get_field("name").max_length or 0
    if any(len(tag) > longest for tag in tags):
        raise Refused(_("A tag has at most %(most)d characters.") % {"most": longest})
    if len(tags) > MAX_TAGS:
        raise Refused(_("A contact has at most %(most)d tags.") % {"most": MAX_TAGS})
    return tags


def tags_of(organization: Organization, names: Iterable[str]) -> list[ContactTag]:
    """The tags with these names, in upper or lower case; missing ones are created."""
    wanted = {name.casefold(): name for name in reversed(list(names))}
    found = _known_tags(organization, wanted)
    if missing := wanted.keys() - found.keys():
        ContactTag.objects.bulk_create(
            [ContactTag(organization=organization, name=wanted[key]) for key in sorted(missing)],
            ignore_conflicts=True,
        )
        found = _known_tags(organization, wanted)
    return [found[key] for key in wanted if key in found]


def block(contact: Contact, by: User) -> None:
    """From now on its texts are kept and shown nowhere but among the blocked; it gets no replies."""
    _set_blocked(contact, by, blocked=True)


def unblock(contact: Contact, by: User) -> None:
    """Shows its conversations again, including messages received in the meantime."""
    _set_blocked(contact, by, blocked=False)


def merge(contact: Contact, into: Contact, by: User) -> None:
    """Makes two contacts of an organization one person, who keeps all conversations. Raises Refused."""
    with transaction.atomic(), audit.covered():
        keys = sorted({contact.person.pk, into.person.pk})
        rows = Contact.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=keys)
        locked = {row.pk: row for row in rows.order_by("pk")}
        if len(locked) < 2 or any(row.merged_into_id for row in locked.values()):
            raise Refused(_("These two are the same person already."))
        if any(row.is_group for row in locked.values()):
            raise Refused(_("A group is no person: it cannot be merged."))
        gone, kept = locked[contact.person.pk], locked[into.person.pk]
        if gone.organization_id != kept.organization_id:
            raise Refused(_("The contacts belong to different organizations."))
        Contact.objects.filter(merged_into=gone).update(merged_into=kept)
        gone.merged_into = kept
        gone.save(update_fields=["merged_into"])
        for field in ("name", "company", "note"):
            if not getattr(kept, field):
                setattr(kept, field, getattr(gone, field))
        kept.save(update_fields=["name", "company", "note"])
        kept.tags.add(*gone.tags.all())
        _record(gone, {_("merged into"): ("", masked(kept.address))})
        teamwork.remark_in_all(_conversations(kept), Remark.Kind.MERGED, by)


def separate(contact: Contact, by: User) -> None:
    """Undoes a merge: the number stands for itself again, with what was known of it before."""
    with transaction.atomic(), audit.covered():
        row = Contact.objects.select_for_update(of=("self",), no_key=True).get(pk=contact.pk)
        if row.merged_into_id is None:
            return
        person = Contact.objects.get(pk=row.merged_into_id)
        rows = list(_conversations(person))
        row.merged_into = None
        row.save(update_fields=["merged_into"])
        _record(row, {_("merged into"): (masked(person.address), "")})
        teamwork.remark_in_all(rows, Remark.Kind.SEPARATED, by)


def _set_blocked(contact: Contact, by: User, *, blocked: bool) -> None:
    with transaction.atomic(), audit.covered():
        row = Contact.objects.select_for_update(of=("self",), no_key=True).get(pk=contact.pk)
        if (row.blocked_at is not None) == blocked:
            return
        row.blocked_at = timezone.now() if blocked else None
        row.save(update_fields=["blocked_at"])
        state = {True: _("yes"), False: _("no")}
        _record(row, {_("blocked"): (state[not blocked], state[blocked])})
        kind = Remark.Kind.BLOCKED if blocked else Remark.Kind.UNBLOCKED
        teamwork.remark_in_all(row.conversations.all(), kind, by)


def _conversations(person: Contact) -> list[Conversation]:
    return list(Conversation.objects.filter(contact__in=Contact.objects.of_person(person)))


def _known_tags(organization: Organization, wanted: Iterable[str]) -> dict[str, ContactTag]:
    return {
        tag.name.casefold(): tag for tag in organization.contact_tags.all() if tag.name.casefold() in wanted
    }


def _record(contact: Contact, changes: dict[str, Change]) -> None:
    """An entry that says what changed, but no values of the contact."""
    said: dict[str, Change] = {
        label: value if label in (_("blocked"), _("merged into")) else None
        for label, value in changes.items()
    }
    audit.record(audit.Action.CHANGED, contact, said, name=masked(contact.address))
