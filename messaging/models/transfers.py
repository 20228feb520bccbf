"""Imports and exports: what a task reads or writes step by step, and its content until that expires."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from portal.encryption import EncryptedBinaryField


class Transfer(models.Model):
    """An import or export of one person.

    `due_at` says when a task must look at it: now while there is work, in a while when another process is at
    it or people have been invited, and at its expiry when nothing is left to do but to delete its content.
    """

    class Direction(models.TextChoices):
        IN = "in", _("import")
        OUT = "out", _("export")

    class State(models.TextChoices):
        CHECKING = "checking", _("being checked")
        CHECKED = "checked", _("checked, not imported")
        IMPORTING = "importing", _("being imported")
        INVITING = "inviting", _("inviting people")
        EXPORTING = "exporting", _("being exported")
        FINISHED = "finished", _("finished")
        CANCELLED = "cancelled", _("cancelled")
        FAILED = "failed", _("failed")

    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("author"), related_name="+"
    )
    direction = models.CharField(_("direction"), max_length=3, choices=Direction.choices)
    kind = models.CharField(_("list"), max_length=20)
    name = models.CharField(_("file"), max_length=120, blank=True)
    query = models.TextField(blank=True)  # of an export: the filters of the list
    state = models.CharField(_("state"), max_length=10, choices=State.choices)
    problem = models.TextField(blank=True)  # why it failed, in a sentence
    total = models.PositiveIntegerField(default=0)  # rows
    done = models.PositiveIntegerField(default=0)
    counts = models.JSONField(default=dict)  # rows by verdict
    created_at = models.DateTimeField(_("started"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("import or export")
        verbose_name_plural = _("imports and exports")
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="transfer_due"),
            models.Index(fields=["author", "-id"], name="transfer_author"),
        ]

    def __str__(self) -> str:
        return f"{self.get_direction_display()}: {self.name or self.kind}"

    @property
    def working(self) -> bool:
        """Whether a task has work with it."""
        return self.state in WORKING

    def add_part(self, place: int, content: Any, role: str = "rows") -> None:
        """Keeps a part of the content, bytes or JSON, in place of an earlier one at this place."""
        data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        self.parts.update_or_create(role=role, place=place, defaults={"data": data})

    def read(self, role: str = "rows") -> Iterator[bytes]:
        """The parts in order, one at a time."""
        for key in self.parts.filter(role=role).order_by("place").values_list("pk", flat=True):
            yield bytes(self.parts.get(pk=key).data)

    def rows(self) -> Iterator[list[Any]]:
        """The rows in order, part by part."""
        return (json.loads(part) for part in self.read())

    def part(self, place: int) -> list[Any]:
        """The rows of one part; none if there is no such part."""
        found = self.parts.filter(role="rows", place=place).first()
        return json.loads(bytes(found.data)) if found else []


WORKING = (
    Transfer.State.CHECKING,
    Transfer.State.IMPORTING,
    Transfer.State.INVITING,
    Transfer.State.EXPORTING,
)


class TransferPart(models.Model):
    """A part of what is imported or exported: of the file, or some of its rows."""

    transfer = models.ForeignKey(Transfer, models.CASCADE, related_name="parts", db_index=False)
    role = models.CharField(max_length=4, choices=[("file", "file"), ("rows", "rows")])
    place = models.PositiveIntegerField()
    data = EncryptedBinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["transfer", "role", "place"], name="transfer_part")]

    def __str__(self) -> str:
        return f"{self.role} {self.place}"
