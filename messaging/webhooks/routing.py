"""Whose webhook is it? The URL names an account or an organization; the number or message id does the rest.

What was found is remembered for two seconds (settings.WEBHOOK_CACHE_SECONDS), since it is asked for with each
request and people seldom change it: a change may take that long to be seen here. What was not found is asked
for again each time, and so are message ids.

What is looked up here comes from requests that nobody has verified: it only says whose keys to try.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote_plus

from cachetools import TTLCache
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from integrations import compared_values, properties
from integrations.events import Consent, InboundMessage, InboundRequest
from integrations.language.document import Template as Document
from integrations.models import Integration, Template
from integrations.received import Received
from messaging import numbers
from messaging.models import DeliveryAttempt, Message, Number
from messaging.statuses import Direction
from portal import process
from portal.models import Account, Organization

CACHE_SIZE = 20_000
# Rows that are looked at for the message ids of one request.
MOST_ATTEMPTS = 20_000
# Integrations that are looked at when nothing in a request says whose it is.
MOST_CANDIDATES = 50

# Different groups of digits in a request that are looked up as numbers.
MOST_DIGITS = 100
MOST_COUNTRIES = 5
_DIGITS = (
    re.compile(r"[0-9]{3,15}(?![0-9])", re.ASCII),
    re.compile(r"[0-9](?:[ ().\-/]{0,3}[0-9]){5,14}", re.ASCII),
)

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


class _Cache:
    """What routing has found in the last seconds, by what was asked and for which key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: TTLCache[Any, Any] = TTLCache(CACHE_SIZE, settings.WEBHOOK_CACHE_SECONDS)

    def get(self, key: Hashable, load: Callable[[], Found | None]) -> Found | None:
        """What is cached under the key, else what `load` finds; None is not cached."""
        return self.get_many([key], lambda _: {} if (found := load()) is None else {key: found}).get(key)

    def get_many(
        self, keys: Collection[Key], load: Callable[[list[Key]], Mapping[Key, Found]]
    ) -> dict[Key, Found]:
        """What is found under the keys; `load` is called with those that are not cached, if any."""
        with self._lock:
            known = {key: found for key in keys if (found := self._found.get(key)) is not None}
        if missing := [key for key in keys if key not in known]:
            loaded = load(missing)
            with self._lock:
                self._found.update(loaded)
            known |= loaded
        return known


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
        pinned = process.get(_Cache).get(key, self._pinned) or [] if self.pinned else []
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
        return list(process.get(_Cache).get_many(keys, load).values())

    def integrations_with(self, values: Mapping[str, Collection[str]]) -> list[Integration]:
        """Enabled ones whose properties have one of these values, by label; at most 51, and `_sharing`."""
        digests = {compared_values.digest(label, value) for label in values for value in values[label]}
        if not digests:
            return []
        found = compared_values.holders(self.account, self.template, digests, MOST_CANDIDATES + 1)
        own = self._known(item for item in found if item is not None and item.enabled)
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

        return process.get(_Cache).get(key, load) or False

    @property
    def some_integrations(self) -> list[Integration]:
        """Enabled ones: 51 that have values of their own, and two that share the account's.

        Where the account has no more, these are all of them.
        """
        key = "some", self.template.pk, self.account.pk

        def load() -> list[Integration]:
            own = self._load(self._with_values()[: MOST_CANDIDATES + 1])
            return sorted([*own, *self._sharing()], key=lambda item: item.pk)

        return process.get(_Cache).get(key, load) or []

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
        """These rows, in one query."""
        return self._known(found.select_related("organization", "revision"))

    def _known(self, found: Iterable[Integration]) -> list[Integration]:
        """Those of the account, each once, with the template and the account that are known already."""
        rows = {row.pk: row for row in found if row.organization.account_id == self.account.pk}
        for row in rows.values():
            row.template, row.organization.account = self.template, self.account
        return list(rows.values())


def owner_of(service_id: str, owner_id: str) -> Owner | None:
    """What the URL names, or None; `owner_id` is an accountid or an orgid."""
    key = "owner", service_id, owner_id
    return process.get(_Cache).get(key, lambda: _owner_of(service_id, owner_id))


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


def values_of(integrations: Collection[Integration]) -> dict[int, dict[str, Any]]:
    """The property values that each integration works with, by its key."""
    by_key = {("values", item.pk): item for item in integrations}

    def load(missing: Iterable[tuple[str, int]]) -> dict[tuple[str, int], dict[str, Any]]:
        found = properties.values_of(by_key[key] for key in missing)
        return {("values", pk): values for pk, values in found.items()}

    return {pk: values for (_, pk), values in process.get(_Cache).get_many(by_key, load).items()}


def digest_of(owner: Owner, request: InboundRequest) -> str:
    """A digest of the request, by which identical ones are known."""
    whose = f"{owner.account.pk} {owner.template.pk} {request.method} {request.path} {request.query}\n"
    return hashlib.sha256(whose.encode("utf-8", "replace") + request.body).hexdigest()


def recipients_of(received: Received) -> set[str]:
    """The recipients of messages and opt-outs, as the provider wrote them."""
    return {
        recipient
        for event in received.events
        if isinstance(event, InboundMessage | Consent)
        for recipient in event.recipients
    }


def numbers_named(owner: Owner, recipients: Collection[str]) -> dict[str, list[Number]]:
    """Our active numbers that each recipient may mean, by E.164 or by the number's inbound spelling."""

    def load(missing: Iterable[tuple[str, int, str]]) -> dict[tuple[str, int, str], list[Number]]:
        spelled = {key: numbers.spellings(key[-1]) for key in missing}
        wanted = set().union(*spelled.values())
        found: dict[tuple[str, int, str], list[Number]] = defaultdict(list)
        candidates = Number.objects.filter(
            Q(number__in=wanted) | Q(spelling__in=wanted), account=owner.account, active=True
        ).exclude(kind=numbers.Kind.NAME)
        for number in candidates:
            for key, ways in spelled.items():
                if number.number in ways or number.spelling in ways:
                    found[key].append(number)
        return found

    keys = [("named", owner.account.pk, given) for given in recipients]
    return {given: found for (*_, given), found in process.get(_Cache).get_many(keys, load).items()}


def only_numbers(integrations: Collection[Integration]) -> dict[int, str]:
    """The number of each integration that has exactly one, by the integration's key."""

    def load(missing: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
        active = Number.objects.filter(integration__in=[key for _, key in missing], active=True)
        found: dict[int, list[str]] = defaultdict(list)
        for key, number in active.values_list("integration", "number"):
            found[key or 0].append(number)
        return {("only number", key): has[0] for key, has in found.items() if len(has) == 1}

    keys = [("only number", item.pk) for item in integrations]
    return {key: found for (_, key), found in process.get(_Cache).get_many(keys, load).items()}


def only_named(owner: Owner, request: InboundRequest) -> int | None:
    """The key of the only organization of the account whose phone numbers stand in a request; else None.

    Any number of another organization, also one that is not active, or a short code, makes it None; and so do
    more digits than are looked up. For showing a request to who is not the account's admin.
    """
    said = f"{request.path} {request.query} ".encode("utf-8", "replace") + request.body
    text = unquote_plus(said.decode("utf-8", "replace"))
    found = {re.sub(r"\D", "", each) for way in _DIGITS for each in way.findall(text)}
    if not found or len(found) > MOST_DIGITS:
        return None
    ours = Number.objects.filter(account=owner.account)
    wanted = {way for each in found for way in (each, f"+{each.lstrip('0')}")}
    for country in ours.order_by("country").values_list("country", flat=True).distinct()[:MOST_COUNTRIES]:
        for each in found:
            with suppress(ValueError):
                wanted.add(numbers.recipient(each, country))
    rows = list(
        ours.filter(Q(number__in=wanted) | Q(spelling__in=wanted)).values_list("organization", "kind")
    )
    organizations = {organization for organization, _ in rows}
    whole = any(kind == numbers.Kind.E164 for _, kind in rows)
    return organizations.pop() if len(organizations) == 1 and whole else None


def organizations_of_ids(
    owner: Owner, messageids: Collection[str], uuids: Collection[str]
) -> dict[str, set[int]]:
    """By id, the provider's or ours: keys of the organizations that sent messages with it."""
    found: dict[str, set[int]] = defaultdict(set)
    if messageids:
        attempts = DeliveryAttempt.objects.filter(
            ~Q(provider_id=""),  # as the index says, or SQLite does not use it
            provider_id__in=messageids,
            integration__template=owner.template,
            organization__account=owner.account,
        )
        pairs = attempts.order_by().values_list("provider_id", "organization").distinct()
        for messageid, organization in pairs[:MOST_ATTEMPTS]:
            found[messageid].add(organization)
    if uuids:
        messages = Message.objects.filter(
            uuid__in=uuids, direction=Direction.OUT, organization__account=owner.account
        )
        for uuid, organization in messages.values_list("uuid", "organization"):
            found[str(uuid)].add(organization)
    return found
