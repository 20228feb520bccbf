"""The audit as CSV, streamed in blocks that are found by key, whatever the number of entries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from django.utils.translation import gettext as _

from portal.csv_lines import csv_lines
from portal.models.audit_entries import AuditEntry, AuditEntryQuerySet

MAX_ROWS = 100_000  # of one export, newest first
BLOCK = 1000


def lines(entries: AuditEntryQuerySet) -> Iterator[str]:
    """The lines of the file, with a header."""
    return csv_lines(_rows(entries))


def _rows(entries: AuditEntryQuerySet) -> Iterator[list[str]]:
    yield _header()
    newest, left = None, MAX_ROWS
    while left > 0:
        block = entries.order_by("-pk").select_related("account", "organization")
        rows = list((block if newest is None else block.filter(pk__lt=newest))[: min(BLOCK, left)])
        yield from map(_cells, rows)
        if len(rows) < BLOCK:
            return
        newest, left = rows[-1].pk, left - len(rows)


def _header() -> list[str]:
    return [
        _("time (UTC)"),
        _("who"),
        _("API token"),
        _("IP address"),
        _("request id"),
        _("action"),
        _("kind"),
        _("object id"),
        _("object"),
        _("count"),
        _("changes"),
        _("account"),
        _("organization"),
    ]


def _cells(entry: AuditEntry) -> list[str]:
    return [
        entry.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        entry.who,
        entry.token,
        entry.address,
        entry.request_id,
        entry.get_action_display(),
        entry.kind_name,
        entry.object_id,
        entry.name,
        str(entry.count),
        "; ".join(entry.details),
        str(entry.account or ""),
        str(entry.organization or ""),
    ]
