"""Who did what, when and from where: `record` writes it, and the administration shows and exports it."""

from portal.audit.changes import Snapshot, difference, differing_labels, filters, labels, snapshot
from portal.audit.recording import record, record_each, record_many, record_rows, scope_of
from portal.audit.watching import covered, watch, watched
from portal.models.audit_entries import Action

__all__ = [
    "Action",
    "Snapshot",
    "covered",
    "difference",
    "differing_labels",
    "filters",
    "labels",
    "record",
    "record_each",
    "record_many",
    "record_rows",
    "scope_of",
    "snapshot",
    "watch",
    "watched",
]
