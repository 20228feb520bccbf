"""The gallery of providers: what each can do, how it is found, and where it is set up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations import logos, setup
from integrations.language.api_methods import SEND_FILE, SEND_MESSAGE
from integrations.language.document import Template as Compiled
from integrations.models import Integration, Template
from integrations.search import LONGEST, found
from integrations.studio.cases import results
from integrations.studio.cases.results import Score
from portal.models import Account, Organization

FILES = {"media", "url", "urls"}


def _sends_files(compiled: Compiled) -> bool:
    message = compiled.methods.get(SEND_MESSAGE.name)
    return SEND_FILE.name in compiled.methods or (message is not None and bool(FILES & message.uses))


def _sends_to_groups(compiled: Compiled) -> bool:
    return compiled.sends_to_groups


def _reports(compiled: Compiled) -> bool:
    return any(event.type == "messageStatus" for event in compiled.events)


def _verifies(compiled: Compiled) -> bool:
    return bool(compiled.webhook.events) and not compiled.webhook.open


ABILITIES: dict[str, tuple[Promise | str, Callable[[Compiled], bool]]] = {
    "mms": (gettext_lazy("MMS"), _sends_files),
    "groups": (gettext_lazy("Group messages"), _sends_to_groups),
    "reports": (gettext_lazy("Delivery reports"), _reports),
    "signed": (gettext_lazy("Verified webhooks"), _verifies),
}


@dataclass(frozen=True)
class GallerySearch:
    """What somebody looks for: words, what the provider must be able to do, and a country."""

    search: str = ""
    abilities: frozenset[str] = frozenset()
    country: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> GallerySearch:
        """What the address of a gallery asks for; what is unknown is left out."""
        return cls(
            query.get("q", "").strip()[:LONGEST],
            frozenset(query.getlist("can")) & ABILITIES.keys(),
            query.get("country", "")[:2].upper(),
        )

    def fits(self, compiled: Compiled) -> bool:
        """Whether a provider is among what is looked for; one that names no country is for all."""
        return (
            found(self.search, (compiled.name, compiled.id, *compiled.aliases))
            and all(ABILITIES[name][1](compiled) for name in self.abilities)
            and (not self.country or not compiled.countries or self.country in compiled.countries)
        )

    @property
    def choices(self) -> list[tuple[str, str, bool]]:
        """Each ability with its name, and whether it is looked for."""
        return [(key, str(name), key in self.abilities) for key, (name, _test) in ABILITIES.items()]


@dataclass(frozen=True)
class Card:
    """A provider in the gallery; `kind` and `state` say whether it is set up."""

    template: Template
    logo: str
    description: str
    abilities: tuple[str, ...]
    score: Score
    kind: str
    state: str


def countries(templates: Iterable[Template]) -> list[str]:
    """The countries that the published documents name."""
    return sorted(
        {each for item in templates if item.published for each in item.published.compiled.countries}
    )


def providers(account: Account) -> list[Template]:
    """What the account's organizations may set up, with all that cards read, in two queries."""
    rows = Template.objects.published_in(account).select_related("published")
    return list(rows.prefetch_related("cases"))


def cards(organization: Organization, templates: Collection[Template], wanted: GallerySearch) -> list[Card]:
    """The providers that an organization may use, those set up first, in one query."""
    own = {
        item.template_id: item
        for item in organization.integrations.select_related("revision", "access_token")
    }
    made = []
    for template in _fitting(templates, wanted):
        integration = own.get(template.pk) or Integration(organization=organization, template=template)
        integration.template = template
        made.append(_card(template, setup.kind_of(integration), setup.state_of(integration)))
    return _sorted(made)


def account_cards(account: Account, templates: Collection[Template], wanted: GallerySearch) -> list[Card]:
    """The providers that the account's organizations may use, those in use first, in one query."""
    rows = Integration.objects.filter(organization__account=account)
    used = dict(rows.values_list("template").annotate(count=Count("pk")).order_by())
    made = []
    for template in _fitting(templates, wanted):
        count = used.get(template.pk, 0)
        state = _("Used by no organization")
        if count:
            state = ngettext("Used by %(count)d organization", "Used by %(count)d organizations", count)
        made.append(_card(template, "on" if count else "none", state % {"count": count}))
    return _sorted(made)


def _fitting(templates: Iterable[Template], wanted: GallerySearch) -> list[Template]:
    return [item for item in templates if item.published and wanted.fits(item.published.compiled)]


def _sorted(made: list[Card]) -> list[Card]:
    return sorted(made, key=lambda card: (card.kind == "none", card.template.name.casefold()))


def _card(template: Template, kind: str, state: str) -> Card:
    assert template.published is not None
    compiled = template.published.compiled
    can = tuple(str(name) for name, test in ABILITIES.values() if test(compiled))
    score = results.score(template, template.published)
    return Card(template, logos.url_of(template), compiled.description, can, score, kind, state)


@dataclass(frozen=True)
class Row:
    """An organization in the list of those that can get a provider, with the integration that it has."""

    organization: Organization
    state: str = ""


def rows(account: Account, template: Template, words: str, most: int) -> tuple[list[Row], int]:
    """The account's organizations whose name or domain has these words, and how many there are.

    At most so many are returned. Takes three queries.
    """
    matching = _named(account, words)
    shown = list(matching[:most])
    integrations = Integration.objects.filter(template=template, organization__in=shown)
    has: dict[int, str] = {}
    for item in integrations.select_related("revision", "access_token"):
        item.template = template
        has[item.organization_id] = setup.state_of(item)
    return [Row(item, has.get(item.pk, "")) for item in shown], matching.count()


def without(account: Account, template: Template, words: str) -> list[int]:
    """The keys of the account's organizations that match the words and have not set up the provider."""
    lacking = _named(account, words).exclude(integrations__template=template)
    return list(lacking.values_list("pk", flat=True))


def _named(account: Account, words: str) -> QuerySet[Organization]:
    named = Organization.objects.filter(account=account)
    for word in words[:LONGEST].split():
        named = named.filter(Q(name__icontains=word) | Q(domain__icontains=word))
    return named.order_by("name", "pk")
