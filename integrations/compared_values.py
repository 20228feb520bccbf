"""The values that webhooks carry to say whose they are, kept where they are found by an index.

A template compares them in its webhook section: an account id, a user name. Values are encrypted, so these
are kept as digests beside them, and renewed whenever values or revisions change. Secrets are never among
them: the language lets no shape compare a secret.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.signals import post_save

from integrations.language.document import Template as Document
from integrations.language.errors import DocumentError
from integrations.language.properties import check_values
from integrations.language.values import text
from integrations.models import ComparedValue, Integration, PropertyValues, Template, TemplateRevision
from portal.batches import batches
from portal.encryption import WrongKey
from portal.models import Account

logger = logging.getLogger(__name__)

# Rows are locked in this order, or two that renew would wait for each other. An account's row is first, since
# it is locked already by whoever saves it.
ORDER = F("account").asc(nulls_last=True), F("pk").asc()
NOT_BLANK = ~Q(blank=True)  # also those of which it is not known


def digest(label: str, value: str) -> str:
    """What is kept of the value of a property."""
    return hashlib.sha256(f"{label}\x1f{value}".encode("utf-8", "replace")).hexdigest()


def holders(account: Account, template: Template, digests: Collection[str], most: int) -> list[int | None]:
    """The keys of organizations that have one of these values; None stands for those with the account's."""
    found = ComparedValue.objects.filter(account=account, template=template, digest__in=digests)
    return list(found.values_list("values__integration__organization", flat=True)[:most])


def renew(rows: QuerySet[PropertyValues]) -> None:
    """Keeps the compared values of these rows as they are now, in batches.

    Rows whose encryption key is lost are left as they are, and logged.
    """
    keys = list(rows.order_by(*ORDER).values_list("pk", flat=True))
    for batch in batches(keys):
        _renew_readable(batch)


def renew_for(integrations: QuerySet[Integration]) -> None:
    """Keeps the compared values of integrations of one template that use another revision now."""
    own = Q(integration__in=integrations.values("pk")) & NOT_BLANK
    accounts, templates = integrations.values("organization__account"), integrations.values("template")
    renew(PropertyValues.objects.filter(own | Q(account__in=accounts, template__in=templates)))


def adopt() -> None:
    """Takes over the values of version 0.1, which are not yet known to be blank or not.

    Each batch has a transaction of its own, while the portal works. What was taken over is not read again.
    """
    renew(PropertyValues.objects.filter(blank=None))


def are_adopted() -> bool:
    """Whether no values are left that `adopt` would take over, so that all compared values are known."""
    return not PropertyValues.objects.filter(blank=None).exists()


def _renew_readable(keys: list[int]) -> None:
    try:
        _renew(keys)
    except WrongKey:
        if len(keys) == 1:
            logger.exception("The values %d could not be read.", keys[0])
        else:
            for key in keys:
                _renew_readable([key])


@transaction.atomic
def _renew(keys: Collection[int]) -> None:
    rows = PropertyValues.objects.filter(pk__in=keys).select_related(
        "template__published",
        "integration__organization",
        "integration__revision",
        "integration__template__published",
    )
    list(PropertyValues.objects.select_for_update().filter(pk__in=keys).order_by(*ORDER).values_list("pk"))
    found = list(rows)  # read only now, with the revisions that whoever had the lock has left
    used = list(_documents(found))
    shared = PropertyValues.objects.filter(
        account__in={account for _, account, *_ in used},
        template__in={template for _, _, template, _ in used},
    )
    inherited = {(row.account_id, row.template_id): row.open_values for row in shared}
    wanted = [
        ComparedValue(values=row, account_id=account, template_id=template, digest=item)
        for row, account, template, documents in used
        for item in digests_of({**inherited.get((account, template), {}), **row.open_values}, documents)
    ]
    ComparedValue.objects.filter(values__in=keys).delete()
    ComparedValue.objects.bulk_create(wanted)
    for blank in (True, False):
        unknown = [row.pk for row in found if row.blank is None and blank is not bool(row.values)]
        PropertyValues.objects.filter(pk__in=unknown).update(blank=blank)


def _documents(rows: Iterable[PropertyValues]) -> Iterator[tuple[PropertyValues, int, int, list[Document]]]:
    """Each row with its account and template, and the documents by which it is used, if these compare."""
    for row in rows:
        if row.integration is not None:
            account, template = row.integration.organization.account_id, row.integration.template
            used = [row.integration.revision or template.published]
        else:
            assert row.account_id is not None and row.template is not None
            account, template = row.account_id, row.template
            used = [template.published, *_pinned(account, template)]
        documents = [document for revision in used for document in _compiled(revision)]
        if row.values and any(document.webhook.compared for document in documents):
            yield row, account, template.pk, documents


def _compiled(revision: TemplateRevision | None) -> list[Document]:
    """Nothing for one that does not compile any more: it reads no webhooks."""
    try:
        return [revision.compiled] if revision is not None else []
    except DocumentError:
        return []


def _pinned(account: int, template: Template) -> QuerySet[TemplateRevision]:
    pinned = Integration.objects.filter(template=template, organization__account=account)
    return TemplateRevision.objects.filter(pk__in=pinned.values("revision"))


def digests_of(given: Mapping[str, Any], documents: Iterable[Document]) -> set[str]:
    """The digests of those of the given values that one of the documents compares."""
    found = set()
    for document in documents:
        values = check_values(document.properties, given)[0]
        for label in document.webhook.compared & values.keys():
            value = values[label]
            for item in [value, *value] if isinstance(value, list) else [value]:
                found.add(digest(label, text(item)))
    return found


def connect() -> None:
    """Renews what is kept whenever values are saved, or another revision is used."""
    post_save.connect(_values_saved, PropertyValues, dispatch_uid="compared values")
    post_save.connect(_integration_saved, Integration, dispatch_uid="compared values of an integration")
    post_save.connect(_template_saved, Template, dispatch_uid="compared values of a template")


def _values_saved(
    instance: PropertyValues, raw: bool = False, update_fields: Collection[str] | None = None, **_: Any
) -> None:
    if raw or (update_fields is not None and "values" not in update_fields):
        return
    if instance.blank and not instance.compared.exists():
        return
    rows = Q(pk=instance.pk)
    if instance.integration_id is None:  # those that override only some of the account's values
        rows |= NOT_BLANK & Q(
            integration__organization__account=instance.account, integration__template=instance.template
        )
    renew(PropertyValues.objects.filter(rows))


def _integration_saved(
    instance: Integration,
    created: bool,
    raw: bool = False,
    update_fields: Collection[str] | None = None,
    **_: Any,
) -> None:
    if raw or (update_fields is not None and "revision" not in update_fields):
        return
    if not created or instance.revision_id is not None:
        account = instance.organization.account_id
        shared = Q(account=account, template=instance.template_id)
        renew(PropertyValues.objects.filter(Q(integration=instance.pk) & NOT_BLANK | shared))


def _template_saved(
    instance: Template, raw: bool = False, update_fields: Collection[str] | None = None, **_: Any
) -> None:
    # `Template.revise` publishes, and nothing else does: it names what it saves.
    if raw or instance.published is None or "published" not in (update_fields or ()):
        return
    rows = Q(template=instance) | Q(integration__template=instance)
    compares = instance.published.compiled.webhook.compared
    if compares or ComparedValue.objects.filter(template=instance).exists():
        renew(PropertyValues.objects.filter(rows, NOT_BLANK))
