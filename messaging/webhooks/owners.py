"""Whom a webhook URL names: an account or an organization of it, with the integrations that it may be for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from integrations import compared_values
from integrations.language.document import Template as Document
from integrations.models import Integration, Template
from messaging.webhooks.cache import Cache
from portal import process
from portal.models import Account, Organization

# Integrations that are looked at when nothing in a request says whose it is.
MOST_CANDIDATES = 50


@dataclass(frozen=True)
class Owner:
    """What a webhook URL names: a template, and an account or one organization of it.

    `pinned`: some organization of the account uses another revision than the published one.
    """

    template: Template
    account: Account
    organization: Organization | None
    pinned: bool = False

    @property
    def own(self) -> list[Integration]:
        """The organization's integration, if the URL names an organization that has one."""
        return self.integrations_of([self.organization.pk]) if self.organization is not None else []

    @property
    def documents(self) -> list[Document]:
        """The compiled documents by which a request to the URL may be read, the published one first."""
        assert self.template.published is not None
        if self.own:
            return [self.own[0].compiled]
        key = "pinned", self.template.pk, self.account.pk
        pinned = process.get(Cache).get(key, self._pinned) or [] if self.pinned else []
        return [self.template.published.compiled, *pinned]

    def _pinned(self) -> list[Document]:
        used = self._in_reach().filter(revision__isnull=False, enabled=True).values("revision")
        return [item.compiled for item in self.template.revisions.filter(pk__in=used)[:MOST_CANDIDATES]]

    def integrations_of(self, organizations: Collection[int]) -> list[Integration]:
        """Those of `integrations` that belong to these organizations (keys)."""

        def load(missing: Iterable[tuple[str, int, int]]) -> dict[tuple[str, int, int], Integration]:
            found = self._in_reach().filter(organization__in=[key for *_, key in missing])
            return {
                ("integration", item.template_id, item.organization_id): item for item in self._load(found)
            }

        if self.organization is not None:
            organizations = {self.organization.pk} & set(organizations)
        keys = [("integration", self.template.pk, key) for key in organizations]
        return list(process.get(Cache).get_many(keys, load).values())

    def integrations_with(self, values: Mapping[str, Collection[str]]) -> list[Integration]:
        """Enabled ones whose properties have one of these values, by label; at most 51, and `_sharing`."""
        digests = {compared_values.digest(label, value) for label in values for value in values[label]}
        if not digests:
            return []
        found = compared_values.holders(self.account, self.template, digests, MOST_CANDIDATES + 1)
        named = self.integrations_of({key for key in found if key is not None})
        own = [item for item in named if item.enabled]
        # Those that share have the account's values, or the defaults.
        if None in found or not digests.isdisjoint(compared_values.digests_of({}, self.documents)):
            own += self._sharing()
        return own

    @property
    def has_many(self) -> bool:
        """Whether more integrations than are tried have values of their own, which are all known."""
        key = "many", self.template.pk, self.account.pk

        def load() -> bool:
            own = self._with_values().values_list("pk")[: MOST_CANDIDATES + 1]
            return len(own) > MOST_CANDIDATES and compared_values.are_adopted()

        return process.get(Cache).get(key, load) or False

    @property
    def some_integrations(self) -> list[Integration]:
        """Enabled ones: 51 that have values of their own, and two that share the account's.

        Where the account has no more, these are all of them.
        """
        key = "some", self.template.pk, self.account.pk

        def load() -> list[Integration]:
            own = self._load(self._with_values()[: MOST_CANDIDATES + 1])
            return sorted([*own, *self._sharing()], key=lambda item: item.pk)

        return process.get(Cache).get(key, load) or []

    def _with_values(self) -> QuerySet[Integration]:
        return self._enabled().filter(values_row__isnull=False).exclude(values_row__blank=True)

    def _sharing(self) -> list[Integration]:
        """Two that use the account's values alone (all of them read alike), and those of other revisions."""
        sharing = self._enabled().filter(Q(values_row=None) | Q(values_row__blank=True))
        found = self._load(sharing.filter(revision=None)[:2])
        if self.pinned:
            found += self._load(sharing.filter(revision__isnull=False)[:MOST_CANDIDATES])
        return found

    def _enabled(self) -> QuerySet[Integration]:
        return self._in_reach().filter(enabled=True).order_by()

    def _in_reach(self) -> QuerySet[Integration]:
        found = Integration.objects.filter(template=self.template, organization__account=self.account)
        return found if self.organization is None else found.filter(organization=self.organization)

    def _load(self, found: QuerySet[Integration]) -> list[Integration]:
        """These rows of the account, in one query."""
        rows = list(found.select_related("organization", "revision"))
        for row in rows:  # these are known already
            row.template, row.organization.account = self.template, self.account
        return rows


def owner_of(service_id: str, owner_id: str) -> Owner | None:
    """What the URL names, or None; `owner_id` is an accountid or an orgid."""
    key = "owner", service_id, owner_id
    return process.get(Cache).get(key, lambda: _owner_of(service_id, owner_id))


def _owner_of(service_id: str, owner_id: str) -> Owner | None:
    organization: Organization | None = None
    account = Account.objects.filter(accountid=owner_id).first()
    if account is None:
        organization = Organization.objects.select_related("account").filter(orgid=owner_id).first()
        if organization is None:
            return None
        account = organization.account
    pinned = Integration.objects.filter(
        template=OuterRef("pk"), organization__account=account, revision__isnull=False
    )
    templates = Template.objects.published_in(account).select_related("published")
    template = templates.annotate(is_pinned=Exists(pinned)).filter(service_id=service_id).first()
    if template is None:
        return None
    return Owner(template, account, organization, template.is_pinned)  # type: ignore[attr-defined]
