"""How: templates in numbered revisions, and the integrations of organizations with their property values."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Max, Q
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from integrations.language import document
from portal.encryption import EncryptedJSONField
from portal.models import Account, Organization, User


class TemplateQuerySet(models.QuerySet["Template"]):
    def visible_to(self, account: Account) -> TemplateQuerySet:
        """The account's own templates and the built-in ones."""
        return self.filter(Q(account=account) | Q(account=None))

    def seen_by(self, user: User) -> TemplateQuerySet:
        """The built-in templates, and those of the accounts that the user belongs to in any role."""
        accounts = [member.account_id for member in user.active_memberships]
        return self if user.is_operator else self.filter(Q(account=None) | Q(account__in=accounts))

    def published_in(self, account: Account) -> TemplateQuerySet:
        """Those of `visible_to` that organizations may enable."""
        return self.visible_to(account).filter(published__isnull=False)


class Template(models.Model):
    """A messaging service, of one account or built in; its document lives in revisions."""

    account = models.ForeignKey(
        Account,
        models.PROTECT,
        verbose_name=_("account"),
        related_name="templates",
        null=True,
        blank=True,
        help_text=_("Empty: built in, visible to all accounts."),
    )
    service_id = models.CharField(_("service id"), max_length=64, editable=False)
    name = models.CharField(_("name"), max_length=200, editable=False)
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

    def revise(self, source: str, author: User | None = None, *, publish: bool = True) -> TemplateRevision:
        """A new revision from the text of a document, published at once if so wished.

        The id and name come from the document. Raises DocumentError for one that is wrong, and
        ValidationError for an id that another template has, or that would change this one's webhook URL.
        """
        compiled = _compiled(source)
        self.check_id(compiled.id)
        with transaction.atomic():
            self.service_id = compiled.id
            if publish or not self.pk:
                self.name = compiled.name
            self.save()
            last = self.revisions.aggregate(last=Max("number"))["last"] or 0
            revision = self.revisions.create(number=last + 1, source=source, author=author)
            if publish:
                self.published = revision
                self.save(update_fields=["published"])
        return revision

    def check_id(self, service_id: str) -> None:
        """Raises ValidationError for an id that is taken, or that would change the webhook URL."""
        if self.pk and service_id != self.service_id:
            raise ValidationError(
                _("The id is part of the webhook URL and stays %(old)r. To use %(new)r, make a new template.")
                % {"old": self.service_id, "new": service_id}
            )
        others = Template.objects.filter(service_id=service_id).exclude(pk=self.pk)
        if self.account is not None:
            others = others.visible_to(self.account)
        if other := others.first():
            owner = other.account.name if other.account else _("the built-in services")
            raise ValidationError(
                _("The id %(id)r is taken by %(name)s of %(owner)s. Choose another 'id'.")
                % {"id": service_id, "name": other.name, "owner": owner}
            )


class TemplateRevision(models.Model):
    """One immutable version of a template's document, as it was written."""

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

    class Meta:
        verbose_name = _("revision")
        verbose_name_plural = _("revisions")
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="revision_number")]

    def __str__(self) -> str:
        return f"{self.template}, {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk:
            raise TypeError("A revision is never changed; make a new one.")
        super().save(*args, **kwargs)

    @cached_property
    def compiled(self) -> document.Template:
        """The compiled document, once per process."""
        return _compiled(self.source)


@lru_cache(maxsize=1024)
def _compiled(source: str) -> document.Template:
    return document.compile_document(source)


class IntegrationQuerySet(models.QuerySet["Integration"]):
    def ready(self) -> IntegrationQuerySet:
        """With all that `properties` and `compiled` read, in one query."""
        return self.select_related("organization__account", "template__published", "revision", "values_row")


class Integration(models.Model):
    """A template enabled for one organization, with the organization's own values."""

    organization = models.ForeignKey(
        Organization, models.PROTECT, verbose_name=_("organization"), related_name="integrations"
    )
    template = models.ForeignKey(
        Template, models.PROTECT, verbose_name=_("service"), related_name="integrations"
    )
    revision = models.ForeignKey(
        TemplateRevision,
        models.PROTECT,
        verbose_name=_("pinned revision"),
        related_name="+",
        null=True,
        blank=True,
        help_text=_("Empty: always the published revision."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    trouble = models.CharField(_("trouble"), max_length=500, blank=True, editable=False)
    trouble_since = models.DateTimeField(_("trouble since"), null=True, blank=True, editable=False)
    # The breaker: consecutive failures, and until when nothing is sent but one probe.
    failures = models.PositiveSmallIntegerField(default=0, editable=False)
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True, editable=False)
    pause_seconds = models.PositiveIntegerField(default=0, editable=False)
    tell_at = models.DateTimeField(null=True, blank=True, editable=False)  # when admins are to hear of it
    last_sent_at = models.DateTimeField(_("last sent"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = IntegrationQuerySet.as_manager()

    class Meta:
        verbose_name = _("integration")
        verbose_name_plural = _("integrations")
        ordering = ["template__name"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "template"],
                name="integration_once",
                violation_error_message=_("This service is set up for the organization already."),
            )
        ]
        indexes = [
            models.Index(fields=["tell_at"], condition=Q(tell_at__isnull=False), name="integration_tell")
        ]

    def __str__(self) -> str:
        return f"{self.template}, {self.organization}"

    @property
    def compiled(self) -> document.Template:
        """The compiled document that this organization uses: the pinned revision, or the published one."""
        revision = self.revision or self.template.published
        if revision is None:
            raise LookupError(f"The template {self.template} has no published revision.")
        return revision.compiled

    @property
    def own_values(self) -> dict[str, Any]:
        """The organization's own property values; secrets are in the clear."""
        try:
            return dict(self.values_row.values)
        except PropertyValues.DoesNotExist:
            return {}

    def note_trouble(self, text: str) -> None:
        """Shows the integration red, since the first time that it was in trouble."""
        Integration.objects.filter(pk=self.pk).update(
            trouble=text[:500], trouble_since=Coalesce("trouble_since", Now())
        )

    @property
    def account_webhook_url(self) -> str:
        """Where the service calls for all organizations of the account."""
        return webhook_url(self.template.service_id, self.organization.account.accountid)

    @property
    def webhook_url(self) -> str:
        """Where the service may call for this organization alone; the language's `$webhook_url$`."""
        return webhook_url(self.template.service_id, self.organization.orgid)


def webhook_url(service_id: str, owner: str) -> str:
    """The URL that a service calls; `owner` is an accountid or an orgid."""
    return f"{settings.PUBLIC_URL}/services/{service_id}/a{owner}"


class PropertyValues(models.Model):
    """Encrypted property values: of one integration, or of an account for all its organizations."""

    integration = models.OneToOneField(
        Integration, models.CASCADE, related_name="values_row", null=True, blank=True
    )
    account = models.ForeignKey(Account, models.CASCADE, related_name="+", null=True, blank=True)
    template = models.ForeignKey(Template, models.CASCADE, related_name="+", null=True, blank=True)
    values = EncryptedJSONField(default=dict)
    changed_at = models.DateTimeField(auto_now=True)
    # A service's limits belong to credentials: whoever shares them shares when the next request may leave.
    free_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(integration__isnull=False, account__isnull=True, template__isnull=True)
                | Q(integration__isnull=True, account__isnull=False, template__isnull=False),
                name="values_of_one_owner",
            ),
            models.UniqueConstraint(fields=["account", "template"], name="values_of_account"),
        ]

    def __str__(self) -> str:
        return f"Values of {self.integration or self.template}"
