"""All that is stored of a person, in one ZIP: what was said, the files, and what the users noted."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from django.db import transaction
from django.db.models import Q

from integrations.language import phones
from messaging.models import Attachment, Contact, Conversation, Message, OptOut, Remark
from messaging.models.erasures import masked
from messaging.statuses import AttachmentState
from portal import audit

BATCH = 500
_UNSAFE = re.compile(r"[^\w.-]+")


def write(contact: Contact, file: IO[bytes]) -> None:
    """Writes `contact.json`, with everything in words, and the files beside it; the audit names who did it.

    All numbers of the person are exported. Messages are read in batches, however many there are.
    """
    person = contact.person
    with transaction.atomic():
        audit.record(audit.Action.EXPORTED, person, name=masked(person.address))
    contacts = list(Contact.objects.of_person(person).order_by("pk"))
    groups = Contact.objects.of_person(person).groups()
    own = Q(contact__in=contacts) | Q(contact__in=groups)
    conversations = list(Conversation.objects.filter(own).select_related("number", "contact").order_by("pk"))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("contact.json", "w", force_zip64=True) as out:
            for piece in _document(person, contacts, conversations):
                out.write(piece.encode())
        for conversation in conversations:
            for message in _messages(conversation):
                for attachment in _kept(message):
                    with attachment.file.open("rb") as source, archive.open(_path(attachment), "w") as target:
                        for chunk in source.chunks():
                            target.write(chunk)


def _document(person: Contact, contacts: list[Contact], conversations: list[Conversation]) -> Iterator[str]:
    """The JSON in pieces: a conversation may have more messages than fit into memory."""
    head = {
        "name": person.name,
        "company": person.company,
        "note": person.note,
        "tags": [tag.name for tag in person.tags.all()],
        "numbers": [
            {"number": row.address, "name": row.name, "blocked": row.blocked_at is not None}
            for row in contacts
        ],
        "optOuts": _opt_outs(person, contacts),
    }
    yield json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "conversations": ['
    for place, conversation in enumerate(conversations):
        named = {"with": conversation.contact.address, "number": conversation.number.number}
        yield ("," if place else "") + json.dumps(named, ensure_ascii=False)[:-1] + ', "messages": ['
        comma = ""
        for message in _messages(conversation):
            yield comma + "\n  " + json.dumps(_said(message), ensure_ascii=False)
            comma = ","
        remarks = [_noted(remark) for remark in conversation.remarks.select_related("author").order_by("pk")]
        yield '\n ], "remarks": ' + json.dumps(remarks, ensure_ascii=False) + "}"
    yield "]}\n"


def _said(message: Message) -> dict[str, Any]:
    return {
        "id": str(message.uuid),
        "direction": message.direction,
        "at": message.created_at.isoformat(),
        "status": message.status_name,
        "author": str(message.author) if message.author else "",
        **({"from": message.sender.address} if message.sender else {}),
        "text": message.text,
        "files": [_path(attachment) for attachment in _kept(message)],
    }


def _noted(remark: Remark) -> dict[str, Any]:
    return {
        "kind": remark.kind,
        "at": remark.created_at.isoformat(),
        "author": str(remark.author) if remark.author else "",
        "text": remark.text,
    }


def _opt_outs(person: Contact, contacts: list[Contact]) -> list[dict[str, str]]:
    ways = [way for contact in contacts for way in phones.ways(contact.address)]
    found = OptOut.objects.filter(organization=person.organization_id, address__in=ways)
    return [
        {"number": row.number.number, "since": row.since.isoformat()}
        for row in found.select_related("number").order_by("pk")
    ]


def _messages(conversation: Conversation) -> Iterator[Message]:
    rows = (
        conversation.messages.select_related("author", "sender")
        .prefetch_related("attachments")
        .order_by("pk")
    )
    last = 0
    while batch := list(rows.filter(pk__gt=last)[:BATCH]):
        last = batch[-1].pk
        yield from batch


def _kept(message: Message) -> list[Attachment]:
    return [item for item in message.attachments.all() if item.state == AttachmentState.KEPT and item.file]


def _path(attachment: Attachment) -> str:
    return f"files/{attachment.uuid}-{_UNSAFE.sub('_', attachment.name)[-80:]}"
