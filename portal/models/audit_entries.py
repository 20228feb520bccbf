"""The audit: one row for each thing that was done, never changed afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn

from django.apps import apps
from django.db import models
from django.db.models.functions import Now
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

# What is shown of one value, before and after; None says that it changed and is not shown.
Change = tuple[str, str] | None


class Action(models.TextChoices):
    """What was done; `SENTENCES` says it in words."""

    ADDED = "added", gettext_lazy("added")
    CHANGED = "changed", gettext_lazy("changed")
    DELETED = "deleted", gettext_lazy("deleted")
    REVISED = "revised", gettext_lazy("new revision")
    VALUES = "values", gettext_lazy("values of an integration")
    CONNECTED = "connected", gettext_lazy("connected with OAuth")
    ORIGINS_CONFIRMED = "origins_confirmed", gettext_lazy("new hosts for secrets confirmed")
    RETRIED = "retried", gettext_lazy("paused integration retried")
    TRIED = "tried", gettext_lazy("test message sent")
    MOVED = "moved", gettext_lazy("number moved")
    SIGNED_IN = "signed_in", gettext_lazy("signed in")
    SIGNED_OUT = "signed_out", gettext_lazy("signed out")
    SIGN_IN_FAILED = "sign_in_failed", gettext_lazy("sign-in failed")
    LOCKED_OUT = "locked_out", gettext_lazy("sign-in locked")
    PASSWORD_CHANGED = "password_changed", gettext_lazy("password changed")
    PASSWORD_RESET = "password_reset", gettext_lazy("password reset")
    SECOND_FACTOR = "second_factor", gettext_lazy("second factor changed")
    IDENTITY = "identity", gettext_lazy("sign-in with a provider changed")
    INVITED_AGAIN = "invited_again", gettext_lazy("invited again")
    RESENT = "resent", gettext_lazy("message resent")
    RESENT_MANY = "resent_many", gettext_lazy("messages resent in bulk")
    SETTLED = "settled", gettext_lazy("outcome of a message decided")
    REPROCESSED = "reprocessed", gettext_lazy("webhook reprocessed")
    REPROCESSED_MANY = "reprocessed_many", gettext_lazy("webhooks reprocessed in bulk")
    PROCESSED_ANYWAY = "processed_anyway", gettext_lazy("duplicate webhook processed")
    CLEARED = "cleared", gettext_lazy("cleared from quarantine")
    EXPORTED = "exported", gettext_lazy("exported")
    ERASED = "erased", gettext_lazy("contact erased")
    EVENT_TESTED = "event_tested", gettext_lazy("test event sent")
    EVENTS_AGAIN = "events_again", gettext_lazy("events sent again")
    CONSENT = "consent", gettext_lazy("consent recorded")
    COMMAND = "command", gettext_lazy("command of an operator")


# Whole sentences, each with %(who)s and, where the action has an object, %(kind)s and %(name)s.
SENTENCES: dict[str, Any] = {
    Action.ADDED: gettext_lazy("%(who)s added the %(kind)s %(name)s."),
    Action.CHANGED: gettext_lazy("%(who)s changed the %(kind)s %(name)s."),
    Action.DELETED: gettext_lazy("%(who)s deleted the %(kind)s %(name)s."),
    Action.REVISED: gettext_lazy("%(who)s stored a new revision of the %(kind)s %(name)s."),
    Action.VALUES: gettext_lazy("%(who)s entered values for the %(kind)s %(name)s."),
    Action.CONNECTED: gettext_lazy("%(who)s connected the %(kind)s %(name)s with OAuth."),
    Action.ORIGINS_CONFIRMED: gettext_lazy(
        "%(who)s confirmed where the secrets of the %(kind)s %(name)s go."
    ),
    Action.RETRIED: gettext_lazy("%(who)s retried the paused %(kind)s %(name)s."),
    Action.TRIED: gettext_lazy("%(who)s sent a test message through the %(kind)s %(name)s."),
    Action.MOVED: gettext_lazy("%(who)s moved the %(kind)s %(name)s to another organization."),
    Action.SIGNED_IN: gettext_lazy("%(who)s signed in."),
    Action.SIGNED_OUT: gettext_lazy("%(who)s signed out."),
    Action.SIGN_IN_FAILED: gettext_lazy("%(who)s failed to sign in as %(name)s."),
    Action.LOCKED_OUT: gettext_lazy("%(who)s may not try to sign in as %(name)s for a while."),
    Action.PASSWORD_CHANGED: gettext_lazy("%(who)s set a new password of the %(kind)s %(name)s."),
    Action.PASSWORD_RESET: gettext_lazy("%(who)s reset the password of %(name)s by the link in an email."),
    Action.SECOND_FACTOR: gettext_lazy("%(who)s changed the second factor of the %(kind)s %(name)s."),
    Action.IDENTITY: gettext_lazy("%(who)s changed the sign-in with a provider of the %(kind)s %(name)s."),
    Action.INVITED_AGAIN: gettext_lazy("%(who)s sent the %(kind)s %(name)s again."),
    Action.RESENT: gettext_lazy("%(who)s resent the %(name)s."),
    Action.SETTLED: gettext_lazy("%(who)s decided the outcome of the %(name)s."),
    Action.REPROCESSED: gettext_lazy("%(who)s reprocessed the %(kind)s %(name)s."),
    Action.PROCESSED_ANYWAY: gettext_lazy("%(who)s processed the duplicate %(kind)s %(name)s."),
    Action.CLEARED: gettext_lazy("%(who)s cleared the %(kind)s %(name)s away."),
    Action.EXPORTED: gettext_lazy("%(who)s exported the %(name)s."),
    Action.ERASED: gettext_lazy("%(who)s had the contact %(name)s erased."),
    Action.EVENT_TESTED: gettext_lazy("%(who)s sent a test event to the %(kind)s %(name)s."),
    Action.EVENTS_AGAIN: gettext_lazy("%(who)s had events sent to the %(kind)s %(name)s again."),
    Action.CONSENT: gettext_lazy(
        "%(who)s recorded that the contact of the %(kind)s %(name)s wants messages again."
    ),
    Action.COMMAND: gettext_lazy("%(who)s ran the command %(name)s."),
}


def _counted(action: str, count: int) -> str:
    """The sentence of an action on several objects at once."""
    if action == Action.RESENT_MANY:
        return ngettext("%(who)s resent %(count)d message.", "%(who)s resent %(count)d messages.", count)
    return ngettext(
        "%(who)s reprocessed %(count)d webhook request.",
        "%(who)s reprocessed %(count)d webhook requests.",
        count,
    )


def actions() -> list[tuple[str, Any]]:
    """The choices of actions; a function, so that a new one needs no migration."""
    return list(Action.choices)


def refused() -> NoReturn:
    """What every way to change an entry does."""
    raise TypeError("Audit entries are written once. Only the retention deletes them.")


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    """Entries can be added and read."""

    def update(self, **values: Any) -> NoReturn:
        refused()

    def delete(self) -> NoReturn:
        refused()

    def expire(self, before: datetime, batch: int = 1000) -> int:
        """Deletes the entries from before a time, in small transactions; returns how many there were."""
        expired = self.filter(at__lt=before).order_by("at")
        count = 0
        while keys := list(expired.values_list("pk", flat=True)[:batch]):
            rows = AuditEntry.objects.filter(pk__in=keys)
            count += rows._raw_delete(self.db)
        return count


class AuditEntry(models.Model):
    """Who did what to which object, when and from where.

    Names are kept as text, since people and objects change and go. An entry without an organization is seen
    by the admins of its account, and one without an account by operators. It contains no secret, no message
    and no contact's number: `portal.audit` writes it, and the class of a field decides what is shown.
    """

    at = models.DateTimeField(gettext_lazy("time"), db_default=Now())
    account = models.ForeignKey(
        "portal.Account",
        models.SET_NULL,
        verbose_name=gettext_lazy("account"),
        related_name="+",
        null=True,
        db_index=False,
    )
    organization = models.ForeignKey(
        "portal.Organization",
        models.SET_NULL,
        verbose_name=gettext_lazy("organization"),
        related_name="+",
        null=True,
        db_index=False,
    )
    actor = models.ForeignKey(
        "portal.User",
        models.SET_NULL,
        verbose_name=gettext_lazy("user"),
        related_name="+",
        null=True,
        db_index=False,
    )
    who = models.CharField(gettext_lazy("who"), max_length=400)
    token = models.CharField(gettext_lazy("API token"), max_length=60, blank=True)
    address = models.CharField(gettext_lazy("IP address"), max_length=60, blank=True)
    request_id = models.CharField(gettext_lazy("request id"), max_length=64, blank=True)
    action = models.CharField(gettext_lazy("action"), max_length=30, choices=actions)
    kind = models.CharField(gettext_lazy("kind"), max_length=60, blank=True)  # a model, such as portal.user
    object_id = models.CharField(gettext_lazy("object id"), max_length=40, blank=True)
    name = models.CharField(gettext_lazy("object"), max_length=400, blank=True)
    count = models.PositiveIntegerField(gettext_lazy("count"), default=1)
    changes = models.JSONField(gettext_lazy("changes"), default=dict)  # label → [before, after], or null

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        verbose_name = gettext_lazy("audit entry")
        verbose_name_plural = gettext_lazy("audit entries")
        indexes = [
            models.Index(fields=["organization", "-id"], name="audit_organization"),
            models.Index(fields=["account", "-id"], name="audit_account"),
            models.Index(fields=["actor", "-id"], name="audit_actor"),
            models.Index(fields=["kind", "object_id", "-id"], name="audit_object"),
            models.Index(fields=["at"], name="audit_age"),
        ]

    def __str__(self) -> str:
        return self.sentence

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            refused()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        refused()

    @property
    def kind_name(self) -> str:
        """What the object is, in words."""
        try:
            return str(apps.get_model(self.kind)._meta.verbose_name) if self.kind else ""
        except LookupError:  # of a version that had more models
            return self.kind

    @property
    def sentence(self) -> str:
        """Who did what, as a sentence."""
        who = self.who
        if self.token:
            who = _("%(who)s (API token %(token)s)") % {"who": who, "token": self.token}
        pattern = SENTENCES.get(self.action) or _counted(self.action, self.count)
        values = {"who": who, "kind": self.kind_name, "name": self.name, "count": self.count}
        return str(capfirst(pattern % values))

    @property
    def details(self) -> list[str]:
        """What changed, one text for each value."""
        return [in_words(label, change) for label, change in self.changes.items()]


def in_words(label: str, change: Any) -> str:
    """One change: `name: Bob → Rob`, `users: Bob`, or `API key: changed` for what is not shown."""
    if change is None:
        return _("%(label)s: changed") % {"label": label}
    before, after = change
    if not before:
        return f"{label}: {after}"
    return f"{label}: {before} → {after or '–'}"
