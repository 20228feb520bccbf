"""Assignments of people who are invited, and have not accepted yet."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from messaging.models.numbers import Number
from portal.models import Invitation


class PlannedAssignment(models.Model):
    """Whoever accepts the invitation is assigned to the number; it ends with the invitation."""

    number = models.ForeignKey(Number, models.CASCADE, related_name="planned", db_index=False)
    invitation = models.ForeignKey(Invitation, models.CASCADE, related_name="+")

    class Meta:
        verbose_name = _("planned assignment")
        verbose_name_plural = _("planned assignments")
        constraints = [
            models.UniqueConstraint(fields=["number", "invitation"], name="planned_assignment_once")
        ]

    def __str__(self) -> str:
        return f"{self.invitation}: {self.number}"
