"""Sets up integrations for organizations, one or many: their states and values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import calls, confirming, holds, oauth, properties, shared_tokens
from integrations.language.api_methods import RECEIVE_MESSAGES, SUBSCRIBE
from integrations.models import (
    NOT_WORKING,
    AccessToken,
    Integration,
    Poll,
    PropertyValues,
    State,
    Subscription,
    Template,
)
from integrations.signals import credentials_changed
from portal import audit
from portal.audit import Action
from portal.batches import batches
from portal.models import Account, Organization, User


@dataclass(frozen=True)
class Entered:
    """What an administrator has entered, and the origins that the page has named for each secret."""

    values: Mapping[str, Any] = field(repr=False)
    confirmed: Mapping[str, Collection[str]]


@dataclass(frozen=True)
class AccessStatus:
    """The state of the access token: none, good, pending or lost; `by_consent` of an administrator."""

    state: str
    by_consent: bool
    row: AccessToken | None

    @property
    def renewed(self) -> bool:
        """Whether the token is renewed without an administrator."""
        row = self.row
        return not self.by_consent or (row is not None and bool(row.secrets.get("refresh_token")))


def state_of(integration: Integration) -> str:
    """The integration's state in plain words."""
    words = {
        "none": _("Not set up"),
        "off": _("Switched off"),
        "unconnected": _("Not connected yet"),
        "held": _("Waits for you: %(reason)s") % {"reason": integration.held_reason},
        "trouble": _("Not working: %(reason)s")
        % {"reason": integration.problem or _("It is paused after repeated failures.")},
        "on": _("Switched on"),
    }
    return words[kind_of(integration)]


def kind_of(integration: Integration) -> str:
    """The integration's state in a word: none, off, held, unconnected, trouble or on."""
    if not integration.pk:
        return "none"
    if integration.state in (State.OFF, State.HELD):
        return integration.state
    access = access_status(integration)
    if access is not None and access.by_consent and access.state == "none":
        return "unconnected"
    return "trouble" if integration.state in NOT_WORKING else "on"


def integration_of(organization: Organization, template: Template) -> Integration:
    """The organization's integration, or a new one that is not stored yet."""
    found = Integration.objects.ready().filter(organization=organization, template=template).first()
    return found or Integration(organization=organization, template=template)


def own_row(integration: Integration) -> PropertyValues | None:
    """The row of the organization's own values."""
    return PropertyValues.objects.filter(integration=integration).first() if integration.pk else None


def account_row(account: Account, template: Template) -> PropertyValues | None:
    """The row of the values that all organizations of the account inherit."""
    return PropertyValues.objects.filter(account=account, template=template).first()


@transaction.atomic
def save(integration: Integration, entered: Entered, user: User | None = None) -> None:
    """Stores an integration with the organization's own values, clears its trouble, and retries.

    The secrets that were entered may go where the page said; for all else, the integration asks.
    """
    before = properties.credentials_of([integration]) if integration.pk else {}
    own, added = integration.own_values if integration.pk else {}, not integration.pk
    integration.trouble, integration.arrival_trouble, integration.trouble_since = "", "", None
    with audit.covered():
        if integration.pk:
            integration.save(update_fields=["trouble", "arrival_trouble", "trouble_since"])
        else:
            integration.save()
    row = properties.store(integration, entered.values)
    confirming.allow({row.pk: entered.confirmed}, user)
    changes = audit.differing_labels(own, entered.values)
    if added or changes:
        audit.record(Action.ADDED if added else Action.VALUES, integration, changes)
    shared_tokens.drop(before, properties.credentials_of([integration]))
    _apply([integration])


def enable(template: Template, organizations: Iterable[int], user: User) -> int:
    """Sets up a provider with the account's values for organizations, by key, that have not done so.

    Takes the same number of queries for each batch, whatever its size. Where a required value is missing, the
    integration waits for it, and its administrators are told. Returns how many were set up.
    """
    keys, count = sorted(set(organizations)), 0
    for batch in batches(keys):
        count += _enable(template, batch, user)
    return count


@transaction.atomic
def _enable(template: Template, organizations: Collection[int], user: User) -> int:
    having = Integration.objects.filter(template=template, organization__in=organizations)
    known = set(having.values_list("organization", flat=True))
    new = [key for key in organizations if key not in known]
    # Nothing that is kept of values depends on an integration without any, so `save` would do no more.
    Integration.objects.bulk_create(
        [Integration(organization_id=key, template=template) for key in new], ignore_conflicts=True
    )
    added = Integration.objects.filter(template=template, organization__in=new)
    audit.record_each(Action.ADDED, added.select_related("template", "organization"), user)
    calls.plan(added)
    oauth.request_missing(template)
    holds.review(added.values_list("pk", flat=True))
    return len(new)


@transaction.atomic
def switch(integration: Integration, *, on: bool) -> None:
    """Switches an integration on or off."""
    integration.enabled = on
    integration.save(update_fields=["enabled"])


@transaction.atomic
def save_for_account(
    account: Account, template: Template, entered: Entered, user: User | None = None
) -> None:
    """Stores the values that the account's organizations inherit, and retries what did not work."""
    assert template.published is not None
    having = list(Integration.objects.ready().filter(organization__account=account, template=template))
    before = properties.credentials_of(having)
    row, _made = PropertyValues.objects.get_or_create(account=account, template=template)
    if changes := audit.differing_labels(row.values, entered.values):
        audit.record(Action.VALUES, template, changes, scope=(account.pk, None))
    properties.replace(row, template.published.compiled, entered.values)
    confirming.allow({row.pk: entered.confirmed}, user)
    shared_tokens.drop(before, properties.credentials_of(having))
    _apply([item for item in having if item.enabled])


def _apply(integrations: Sequence[Integration]) -> None:
    """Has new values used at once: to request an access token, and to send what waits."""
    for item in integrations:
        if item.compiled.grant is not None:
            oauth.request_renewal(item)
    holds.review(item.pk for item in integrations)
    if integrations:
        credentials_changed.send(sender=None, integration_ids=[item.pk for item in integrations])


def access_status(integration: Integration) -> AccessStatus | None:
    """The state of the access; None for a provider that issues no access token."""
    how = integration.compiled.grant
    if how is None:
        return None
    row: AccessToken | None = getattr(integration, "access_token", None) if integration.pk else None
    if row is None or (row.granted_at is None and row.renew_at is None):
        state = "none"
    elif row.is_good:
        state = "good"
    else:
        state = "pending" if row.renew_at is not None else "lost"
    return AccessStatus(state, how.by_consent, row)


def arrival_of(integration: Integration) -> list[tuple[str, str]]:
    """How messages arrive without anybody's doing: each way in a sentence, and its last problem."""
    found, methods = [], integration.compiled.methods
    if RECEIVE_MESSAGES.name in methods:
        poll = Poll.objects.filter(integration=integration.pk).first()
        found.append((_polled(integration, poll), poll.problem if poll is not None else ""))
    if SUBSCRIBE.name in methods:
        row = Subscription.objects.filter(integration=integration.pk).first()
        text = _("Patchbay subscribes to the webhooks of this provider by itself. It has not done so yet.")
        if row is not None and not integration.enabled:
            text = _ending(row)
        elif row is not None and row.expires_at is not None:
            text = _(
                "Patchbay is subscribed to the webhooks of this provider until %(time)s, and renews this by "
                "itself."
            )
            text %= {"time": date_format(localtime(row.expires_at), "j M, H:i")}
        elif row is not None and row.subscribed_at is not None:
            text = _("Patchbay is subscribed to the webhooks of this provider since %(time)s.")
            text %= {"time": date_format(localtime(row.subscribed_at), "j M, H:i")}
        found.append((text, row.problem if row is not None else ""))
    return found


def _polled(integration: Integration, poll: Poll | None) -> str:
    receiving = integration.compiled.methods[RECEIVE_MESSAGES.name].receiving
    assert receiving is not None
    seconds = round(receiving.interval)
    text = ngettext(
        "Patchbay asks this provider every %(number)d second for new messages.",
        "Patchbay asks this provider every %(number)d seconds for new messages.",
        seconds,
    ) % {"number": seconds}
    if seconds >= 120 and seconds % 60 == 0:
        text = _("Patchbay asks this provider every %(number)d minutes for new messages.")
        text %= {"number": seconds // 60}
    last = _("It has not done so yet.")
    if poll is not None and poll.polled_at is not None:
        last = _("The last answer came on %(time)s.")
        last %= {"time": date_format(localtime(poll.polled_at), "j M, H:i:s")}
    return f"{text} {last}"


def _ending(row: Subscription) -> str:
    """Whether a subscription is ended, of an integration that is switched off."""
    if row.subscribed_at is not None:
        return _("Switched off, but still subscribed at the provider. Patchbay is unsubscribing.")
    if not row.problem:
        return _("Switched off, and not subscribed at the provider.")
    if not row.subscription_id:
        return _(
            "Switched off, but the provider has not ended the subscription, and is asked no more. "
            "Delete it at the provider."
        )
    text = _(
        "Switched off, but the provider has not ended the subscription %(id)s, and is asked no more. "
        "Delete it at the provider."
    )
    return text % {"id": row.subscription_id}
