"""Where people are signed in, so that they can see it and end it."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from portal.models.people import User


class SeenSessionQuerySet(models.QuerySet["SeenSession"]):
    def idle(self) -> SeenSessionQuerySet:
        """Those that nobody has used for IDLE_HOURS."""
        if not settings.IDLE_HOURS:
            return self.none()
        return self.filter(seen_at__lte=Now() - timedelta(hours=settings.IDLE_HOURS))

    def in_use(self) -> SeenSessionQuerySet:
        """The others."""
        if not settings.IDLE_HOURS:
            return self
        return self.filter(seen_at__gt=Now() - timedelta(hours=settings.IDLE_HOURS))


class SeenSession(models.Model):
    """A session of a user with the browser and address that it was last seen with; it ends with the session.

    `seen_at` is when somebody used it last, give or take five minutes; what open pages ask by themselves does
    not count.

    Its own key names it on pages, since whoever knows the key of a session has it.
    """

    session = models.OneToOneField(Session, models.CASCADE, related_name="seen")
    user = models.ForeignKey(User, models.CASCADE, related_name="seen_sessions")
    browser = models.CharField(_("browser"), max_length=200, blank=True)
    address = models.CharField(_("address"), max_length=45, blank=True)
    since = models.DateTimeField(_("since"), db_default=Now())
    seen_at = models.DateTimeField(_("last seen"), db_default=Now())

    objects = SeenSessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")

    def __str__(self) -> str:
        return self.address
