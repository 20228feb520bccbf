"""Saved views: what a list is filtered by, under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from portal.models.organizations import Account, Organization

if TYPE_CHECKING:
    from portal.models.people import User

LONGEST_QUERY = 1000


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def for_user(self, user: User) -> SavedViewQuerySet:
        """The user's own, and those that are shared with the admins of what the user administers."""
        shared = Q(organization__in=user.administered_organizations)
        shared |= Q(account__in=user.administered_accounts)
        return self.filter(Q(owner=user, account=None) | shared)


class SavedView(models.Model):
    """The filters of a list, saved by a person for themselves, or for admins of an organization or account.

    Those of an organization are seen by its admins and the account's.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    account = models.ForeignKey(Account, models.CASCADE, related_name="+", null=True, blank=True)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="+", null=True, blank=True)
    page = models.CharField(_("list"), max_length=80)  # the label of the model that is listed
    name = models.CharField(_("name"), max_length=60)
    query = models.CharField(_("filters"), max_length=LONGEST_QUERY)
    created_at = models.DateTimeField(_("saved"), db_default=Now())

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_shared(self) -> bool:
        """Whether other admins see it, too."""
        return self.account_id is not None
