"""Exports of the administration's lists, as they are filtered: at once, or by a task for a later download."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from messaging.models import DeliveryAttempt, Message, Transfer, WebhookRequest
from messaging.transfer import work
from messaging.transfer.imports import KINDS
from messaging.transfer.work import State
from portal import audit
from portal.models import User

BLOCK = 500  # rows that are read at once, and of a part
AT_ONCE = 2000  # rows of an export that needs no task
MAX_ROWS = 100_000  # of one export, newest first


class List(NamedTuple):
    """A list of the administration: its model, the header, the rows with what cells need, and the cells."""

    model: type[Model]
    header: Sequence[str]
    prepared: Callable[[QuerySet[Any]], QuerySet[Any]]
    lines: Callable[[Any], Iterable[Sequence[str]]]


def lists(user: User) -> dict[str, List]:
    """All lists that can be exported, by name, as the user sees them."""
    kinds = {name: kind(user) for name, kind in KINDS.items()}
    return {
        name: List(made.model, made.header(), partial(made.exported, user=user), made.lines)
        for name, made in kinds.items()
    } | _LOGS


def models() -> dict[str, type[Model]]:
    """The model of each list, by its name."""
    return {name: kind.model for name, kind in KINDS.items()} | {
        name: log.model for name, log in _LOGS.items()
    }


def filtered(user: User, name: str, query: str) -> QuerySet[Any]:
    """The rows that the list shows to the user with this query.

    Raises BadRequest, as the list does, for a filter that it does not have.
    """
    request = HttpRequest()
    request.method, request.user, request.GET = "GET", user, QueryDict(query)
    page: Any = admin.site._registry[models()[name]]
    rows: QuerySet[Any] = page.get_changelist_instance(request).get_queryset(request)
    return rows


def start(user: User, name: str, query: str) -> Transfer | Iterator[Sequence[str]]:
    """The rows of a short list, with the header; for a long one an export, by a task. Records it."""
    rows = filtered(user, name, query)
    count = rows.order_by()[: MAX_ROWS + 1].count()
    with transaction.atomic():
        audit.record(
            audit.Action.EXPORTED,
            name=str(rows.model._meta.verbose_name_plural),
            changes=audit.filters(query),
            scope=(None, None) if user.is_operator else audit.scope_of(user),
        )
        if count > AT_ONCE:
            row = Transfer.objects.create(
                author=user,
                direction=Transfer.Direction.OUT,
                kind=name,
                query=query,
                state=State.EXPORTING,
                total=min(count, MAX_ROWS),
            )
            work.wake(row)
            return row
    return _lines(lists(user)[name], rows)


def carry_out(row: Transfer) -> None:
    """Reads the rows part by part, from where it was stopped."""
    what = lists(row.author)[row.kind]
    rows = filtered(row.author, row.kind, row.query)
    last = row.counts.get("last")
    place = row.parts.count()
    while row.done < row.total:
        batch = _block(what, rows, last, min(BLOCK, row.total - row.done))
        if not batch:
            break
        last = batch[-1].pk
        with transaction.atomic():
            row.add_part(place, [list(cells) for each in batch for cells in what.lines(each)])
            work.progress(row, done=row.done + len(batch), counts={"last": last})
        place += 1
    work.progress(row, total=row.done)
    work.finish(row, State.FINISHED)


def lines(row: Transfer) -> Iterator[Sequence[str]]:
    """The rows of a finished export, with the header."""
    yield lists(row.author)[row.kind].header
    for part in row.read():
        yield from json.loads(part)


def _lines(what: List, rows: QuerySet[Any]) -> Iterator[Sequence[str]]:
    yield what.header
    last, left = None, AT_ONCE + BLOCK
    while left > 0 and (batch := _block(what, rows, last, BLOCK)):
        for each in batch:
            yield from what.lines(each)
        last, left = batch[-1].pk, left - len(batch)


def _block(what: List, rows: QuerySet[Any], last: Any, size: int) -> list[Any]:
    """The next rows, newest first, after the one with the key `last`; none if there are no more."""
    # Prepared here, too: what an export leaves out must not fill a block, which would end it when empty.
    found = what.prepared(rows).prefetch_related(None).order_by("-pk")
    if last is not None:
        found = found.filter(pk__lt=last)
    keys = list(found.values_list("pk", flat=True)[:size])
    read = what.prepared(what.model._default_manager.filter(pk__in=keys)).order_by("-pk")
    return list(read)


def _time(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _message(row: Message) -> Iterator[Sequence[str]]:
    yield [
        str(row.uuid),
        _time(row.created_at),
        str(row.get_direction_display()),
        row.organization.domain,
        row.conversation.number.number,
        row.conversation.contact.address,
        row.sender.address if row.sender else "",
        _("received") if row.is_inbound else str(row.get_status_display()),
        row.status_text,
        row.text,
    ]


def _attempt(row: DeliveryAttempt) -> Iterator[Sequence[str]]:
    yield [
        str(row.message.uuid),
        _time(row.started_at),
        row.organization.domain,
        str(row.integration.template) if row.integration else "",
        row.result,
        str(row.answer_status or ""),
        str(row.milliseconds),
        f"{row.part}/{row.parts}",
        row.text,
    ]


def _webhook(row: WebhookRequest) -> Iterator[Sequence[str]]:
    yield [
        _time(row.received_at),
        str(row.template or ""),
        row.organization.domain if row.organization else "",
        str(row.get_verdict_display()),
        row.reason,
        str(row.more),
    ]


_BODIES = ("headers", "body", "answer_headers", "answer_body")
_LOGS = {
    "messages": List(
        Message,
        [
            *("id", "created", "direction", "organization", "number", "contact", "member"),
            *("status", "problem", "text"),
        ],
        lambda rows: rows.select_related(
            "organization", "conversation__number", "conversation__contact", "sender"
        ),
        _message,
    ),
    "attempts": List(
        DeliveryAttempt,
        [
            *("message", "started", "organization", "provider", "result", "response", "milliseconds"),
            *("part", "reason"),
        ],
        lambda rows: rows.select_related("organization", "message", "integration__template").defer(*_BODIES),
        _attempt,
    ),
    "webhooks": List(
        WebhookRequest,
        ["received", "provider", "organization", "verdict", "reason", "similar"],
        lambda rows: rows.select_related("organization", "template").defer("query", *_BODIES),
        _webhook,
    ),
}
