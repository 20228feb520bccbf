"""Templates, each in numbered revisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import Max, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from integrations import signals
from integrations.language import document
from integrations.language.errors import DocumentError
from portal import audit
from portal.database import locks
from portal.models import Account, User

NAME = 200  # characters


@lru_cache(maxsize=1024)
def compiled_document(source: str) -> document.Template:
    """The compiled document of a text, kept for as long as the process uses it. Raises DocumentError."""
    return document.compile_document(source)


@lru_cache(maxsize=1024)
def compiled_revision(source: str) -> document.Template:
    """`compiled_document` of a text that was accepted, if only by an earlier version."""
    try:
        return compiled_document(source)
    except DocumentError:
        return document.compile_document(source, stored=True)


def webhook_url(service_id: str, owner: str) -> str:
    """A webhook URL; `owner` is an accountid or an orgid."""
    return f"{settings.PUBLIC_URL}/services/{service_id}/a{owner}"


class TemplateQuerySet(models.QuerySet["Template"]):
    def visible_to(self, account: Account) -> TemplateQuerySet:
        """The account's own templates and the built-in ones."""
        return self.filter(Q(account=account) | Q(account=None))

    def seen_by(self, user: User) -> TemplateQuerySet:
        """The built-in templates, and those of the accounts in which the user has any role."""
        accounts = [member.account_id for member in user.active_memberships]
        return self if user.is_operator else self.filter(Q(account=None) | Q(account__in=accounts))

    def editable_by(self, user: User) -> TemplateQuerySet:
        """Those whose document the user may see and change: of the accounts that the user administers."""
        return self if user.is_operator else self.filter(account__in=user.administered_accounts)

    def copied_by(self, user: User) -> TemplateQuerySet:
        """Those that the user may copy: those of `editable_by`, and the built-in ones that are published."""
        mine = Q(account=None, published__isnull=False) | Q(account__in=user.administered_accounts)
        return self if user.is_operator else self.filter(mine)

    def published_in(self, account: Account) -> TemplateQuerySet:
        """The templates of `visible_to` that organizations may enable."""
        return self.visible_to(account).filter(published__isnull=False)


class Template(models.Model):
    """The description of a messaging provider, built in or of one account; its document is in revisions."""

    account = models.ForeignKey(
        Account,
        models.PROTECT,
        verbose_name=_("account"),
        related_name="templates",
        null=True,
        blank=True,
        help_text=_("Leave empty for a built-in template, which all accounts can see."),
    )
    service_id = models.CharField(_("id"), max_length=64, editable=False)
    name = models.CharField(_("name"), max_length=NAME, editable=False)
    logo = models.FileField(_("logo"), upload_to="logos", blank=True, editable=False)
    published = models.ForeignKey(
        "TemplateRevision",
        models.PROTECT,
        verbose_name=_("published revision"),
        related_name="+",
        null=True,
        blank=True,
        editable=False,
    )
    draft = models.ForeignKey(
        "TemplateRevision",
        models.SET_NULL,
        verbose_name=_("draft"),
        related_name="+",
        null=True,
        blank=True,
        editable=False,
    )

    objects = TemplateQuerySet.as_manager()

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "service_id"],
                condition=Q(account__isnull=False),
                name="template_of_account",
            ),
            models.UniqueConstraint(
                fields=["service_id"], condition=Q(account__isnull=True), name="template_built_in"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def latest(self) -> TemplateRevision | None:
        """What an author works on: the draft, else the published revision."""
        return self.draft or self.published

    def revise(self, source: str, author: User | None = None, *, moves: bool = False) -> TemplateRevision:
        """A new revision from the text of a document, published at once.

        The id and name come from the document. Raises DocumentError for a wrong document, and ValidationError
        for an id that is taken or, unless it `moves`, would change this template's webhook URL.
        """
        self.check_id(compiled_document(source).id, moves=moves)
        with transaction.atomic():
            revision = self._add(source, author)
            self.publish(revision, moves=moves)
        return revision

    def save_draft(self, source: str, author: User | None = None) -> TemplateRevision:
        """A new revision that nobody uses until it is published; what is published stays in use.

        It takes the place of an earlier draft: `studio.saving` does so only if its author has seen that.

        Raises DocumentError for a wrong document, and ValidationError for an id that is taken.
        """
        self.check_id(compiled_document(source).id, moves=True)
        with transaction.atomic(), audit.covered():
            revision = self._add(source, author)
            before = self.draft.number if self.draft else ""
            self.draft = revision
            self.save(update_fields=["draft"])
            audit.record(audit.Action.REVISED, self, {str(_("draft")): (str(before), str(self.draft.number))})
        return self.draft

    def _add(self, source: str, author: User | None) -> TemplateRevision:
        if not self.pk:
            compiled = compiled_document(source)
            self.service_id, self.name = compiled.id, compiled.name[:NAME]
            with audit.covered(), self._taking_the_id():
                self.save()
        self.lock()
        last = self.revisions.aggregate(last=Max("number"))["last"] or 0
        return self.revisions.create(number=last + 1, source=source, author=author)

    def lock(self) -> None:
        """Has others who save or publish wait, and reads what they have left. Needs a transaction.

        Rows that refer to the template can be added meanwhile: webhooks do not wait.
        """
        # Without joins: of a row that was waited for, PostgreSQL joins what it referred to before.
        locked = Template.objects.select_for_update(no_key=True).get(pk=self.pk)
        self.draft_id, self.published_id = locked.draft_id, locked.published_id
        self.service_id = locked.service_id

    def publish(
        self, revision: TemplateRevision, *, moves: bool = False, settle: Callable[[], None] | None = None
    ) -> None:
        """Has all organizations use the revision that are not pinned to another one; also an older one.

        `settle` does what has to be done before it is looked at whose messages must wait.

        Raises ValidationError for an id that is taken or, unless it `moves`, would change the webhook URL.
        """
        compiled = revision.compiled
        with transaction.atomic():
            self.lock()
            self.check_id(compiled.id, moves=moves)
            signals.publishing.send(sender=None, template=self, revision=revision)
            before = self.published.number if self.published else ""
            changes = {str(_("published revision")): (str(before), str(revision.number))}
            if self.published is not None and compiled.id != self.service_id:
                changes[str(_("id"))] = (self.service_id, compiled.id)
            self.service_id, self.name = compiled.id, compiled.name[:NAME]
            self.published = revision
            if self.draft is not None and self.draft.number <= revision.number:
                self.draft = None
            revision.mark_published()
            with audit.covered(), self._taking_the_id():
                self.save(update_fields=["service_id", "name", "published", "draft"])
            audit.record(audit.Action.REVISED, self, changes)
            if settle is not None:
                settle()
            # Before the commit: after a crash, integrations must know that they wait for answers.
            signals.published.send(sender=None, template=self)

    def check_id(self, service_id: str, *, moves: bool = False) -> None:
        """Raises ValidationError for an id that is taken or, unless it `moves`, changes the webhook URL.

        The error that asks has the code `moves`; it names both URLs.
        """
        if self.published is not None and service_id != self.service_id and not moves:
            owner = self.account.accountid if self.account else "…"
            urls = {"old": webhook_url(self.service_id, owner), "new": webhook_url(service_id, owner)}
            raise ValidationError(
                _(
                    "The id has changed, and with it the webhook URL: %(old)s becomes %(new)s. Nothing will "
                    "be received at the old one, so the provider must be told the new one. Confirm this, or "
                    "write the old id again."
                ),
                code="moves",
                params=urls,
            )
        if other := self._others(service_id).first():
            taken = _("The built-in template %(name)s already has the id %(id)r. Choose another id.")
            if other.account is not None:
                taken = _("The template %(name)s of %(owner)s already has the id %(id)r. Choose another id.")
            raise ValidationError(taken % {"id": service_id, "name": other.name, "owner": other.account})

    def _others(self, service_id: str) -> TemplateQuerySet:
        """The templates because of which this one cannot have the id."""
        others = Template.objects.filter(service_id=service_id).exclude(pk=self.pk)
        return others if self.account is None else others.visible_to(self.account)

    @contextmanager
    def _taking_the_id(self) -> Iterator[None]:
        """Raises ValidationError if somebody else has taken the id since its check; needs a transaction."""
        # No constraint keeps a built-in template and one of an account apart.
        locks.hold(locks.key_of(f"template {self.service_id}"))
        taken = ValidationError(_("This id has just been taken. Choose another id."))
        if self._others(self.service_id).exists():
            raise taken
        try:
            with transaction.atomic():
                yield
        except IntegrityError:
            raise taken from None


class TemplateRevision(models.Model):
    """An immutable version of a template's document, as it was written."""

    template = models.ForeignKey(
        Template, models.CASCADE, verbose_name=_("template"), related_name="revisions"
    )
    number = models.PositiveIntegerField(_("number"))
    source = models.TextField(_("document"))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("author"),
        related_name="+",
        null=True,
        blank=True,
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    # When organizations could use it first, all or some; null for one that has only been a draft.
    published_at = models.DateTimeField(_("published"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("revision")
        verbose_name_plural = _("revisions")
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="revision_number")]

    def __str__(self) -> str:
        return f"{self.template}, {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk:
            raise TypeError("A revision cannot be changed. Make a new one.")
        super().save(*args, **kwargs)

    def mark_published(self) -> None:
        """Keeps that organizations could use it, since the first time."""
        TemplateRevision.objects.filter(pk=self.pk, published_at=None).update(published_at=Now())

    @cached_property
    def compiled(self) -> document.Template:
        """The compiled document, once per process."""
        return compiled_revision(self.source)
